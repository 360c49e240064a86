"""The days as a table: what came in, what was decided, who serves, what it cost."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.table import Table as RichTable

from feature_store.ledger import begun_days, closed_days
from feature_store.promotion_ledger import PromotionEvent, last_that_moved
from feature_store.step import EXAMPLES
from feature_store.tables import (
    CANDIDATES,
    CHECKS,
    DAILY_METRICS,
    DRIFT,
    EVALUATIONS,
    GATES,
    INTAKE,
    PROMOTIONS,
    STEP_RUNS,
    Table,
)

if TYPE_CHECKING:
    from feature_store.lake import Lake

_SHOWN_METRICS = ("auc", "log_loss", "mean_percentile_rank")


def collect_status(lake: Lake, last: int) -> list[dict[str, Any]]:
    """One mapping per day (the `last` ones), ascending; the shape of `dayfold status --json`."""
    closed = closed_days(lake)
    days = sorted({*closed, *_begun(lake)})[-last:]
    rows = {table.key: _by_day(lake, table, days) for table in _READ}
    by_hand = last_that_moved(lake, days[-1], since=days[0]) if days else {}
    return [
        _day(ds, closed[ds].state if ds in closed else "open", rows, by_hand.get(ds)) for ds in days
    ]


def decision_line(lake: Lake, days: list[dict[str, Any]]) -> str | None:
    """The last drift decision in a sentence, with what a training gains and costs."""
    from training.drift.sentence import sentence

    for day in reversed(days):
        if day["decision"]:
            row = {name: day[name] for name in ("ds", "decision", "reason")}
            said = sentence(lake, row | {"train": day["trains"]}, day["evidence"])
            return f"{day['ds']} {said} Next: dayfold drift report --ds {day['ds']}"
    return None


def open_line(lake: Lake) -> str | None:
    """Which days are open, and the command that runs them; None where all are closed."""
    closed = closed_days(lake)
    days = sorted(_begun(lake) - closed.keys())
    if not days:
        return None
    return (
        f"{len(days)} day(s) are open, the first is {days[0]}; days after it wait. Next, if no run "
        f"is at work: `dayfold run --from {days[0]} --to {days[-1]}`"
    )


def _begun(lake: Lake) -> set[str]:
    return {*lake.days(STEP_RUNS), *lake.days(CHECKS), *begun_days(lake)}


_READ = (
    INTAKE,
    DRIFT,
    CANDIDATES,
    EVALUATIONS,
    GATES,
    PROMOTIONS,
    DAILY_METRICS,
    STEP_RUNS,
    CHECKS,
)


def _by_day(lake: Lake, table: Table, days: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lake.read(table, days).to_pylist():
        found[row["ds"]].append(row)
    return found


def _day(
    ds: str,
    state: str,
    rows: dict[str, dict[str, list[dict[str, Any]]]],
    by_hand: PromotionEvent | None,
) -> dict[str, Any]:
    intake = {r["outcome"]: r["rows"] for r in rows[INTAKE.key][ds] if r["stream"] == "events"}
    drift = next(iter(rows[DRIFT.key][ds]), None)
    promotion = next(iter(rows[PROMOTIONS.key][ds]), None)
    scored = {
        r["metric"]: r["value"] for r in rows[DAILY_METRICS.key][ds] if r["subject"] == "champion"
    }
    return {
        "ds": ds,
        "state": state,
        "rows_in": intake.pop("read", 0),
        "clean": intake.pop("clean", 0),
        "quarantined": {reason: n for reason, n in intake.items() if n},
        "decision": drift["decision"] if drift else None,
        "reason": drift["reason"] if drift else None,
        "trains": bool(drift and drift["train"]),
        "trained": sorted(r["scorer"] for r in rows[CANDIDATES.key][ds]),
        "scored": {"version": _scored_by(promotion), "metrics": scored}
        if scored and promotion
        else None,
        "champion": _champion(
            promotion, by_hand, scored, rows[GATES.key][ds], rows[EVALUATIONS.key][ds]
        ),
        "candidates": [
            {k: r[k] for k in ("scorer", "outcome", "reason", "version")}
            for r in rows[GATES.key][ds]
        ],
        "promoted_version": promotion["champion_version"]
        if promotion and promotion["promoted"]
        else None,
        "lists": {
            f"{r['subject']}.{r['metric']}": r["value"]
            for r in rows[DAILY_METRICS.key][ds]
            if r["subject"] not in {"champion", "base_rate"}
        },
        "seconds": {r["step"]: round(r["seconds"], 3) for r in rows[STEP_RUNS.key][ds]},
        "evidence": json.loads(drift["evidence"]) if drift else {},
        "checks": _checks(rows[CHECKS.key][ds]),
        "warnings": [
            {"step": run["step"], "text": text}
            for run in sorted(rows[STEP_RUNS.key][ds], key=lambda run: run["finished_at"])
            for text in run["warnings"] or ()
        ],
    }


def _checks(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many checks ran, warned and failed, and those that found something."""
    found = [row for row in rows if row["passed"] is False]
    shown = ("step", "table", "check", "severity", "observed", "expected")
    return {
        "run": len(rows),
        "warnings": sum(row["severity"] == "warn" for row in found),
        "failed": sum(row["severity"] == "fail" for row in found),
        "found": [
            {name: row[name] for name in shown}
            for row in sorted(found, key=lambda row: (row["step"], row["table"], row["check"]))
        ],
    }


def nothing_yet(lake: Lake) -> str:
    """What is said, with the next command, where there are no days to show."""
    missing = not lake.root.exists()
    what = f"There is no lake at {lake.root}" if missing else f"{lake.root} has no day"
    return (
        f"{what}: no day is closed or begun yet. Next: make demo, or dayfold run --help; a lake "
        "elsewhere is named by --lake or DAYFOLD__HOME."
    )


def _warned(day: dict[str, Any]) -> int:
    return int(day["checks"]["warnings"]) + int(day["checks"]["failed"]) + len(day["warnings"])


def warning_lines(days: list[dict[str, Any]]) -> list[str]:
    """One line for each warning of a step, and each check that warned or failed, for people.

    The newest ones, and without the examples, which are long: `--json` has all of it.
    """
    lines = [line for day in days for line in _lines_of(day)]
    earlier = len(lines) - _LINES
    if earlier <= 0:
        return lines
    return [f"{earlier} earlier warning(s): dayfold status --json", *lines[-_LINES:]]


_LINES = 20
"""Warnings that `dayfold status` prints below its table."""


def _lines_of(day: dict[str, Any]) -> list[str]:
    return [
        f"{day['ds']} WARNING {warning['step']}: {warning['text'].split(EXAMPLES)[0]}"
        + (" (examples: --json)" if EXAMPLES in warning["text"] else "")
        for warning in day["warnings"]
    ] + [
        f"{day['ds']} {'FAILED' if found['severity'] == 'fail' else 'WARNING'} {found['table']} "
        f"{found['check']}: {found['observed']:,.0f} rows, expected {found['expected']}"
        for found in day["checks"]["found"]
    ]


def _scored_by(promotion: dict[str, Any]) -> int:
    """The version that scored the day before anything trained on it."""
    replaced = promotion["promoted"] and promotion["previous_version"]
    return int(promotion["previous_version"] if replaced else promotion["champion_version"])


def _champion(
    promotion: dict[str, Any] | None,
    by_hand: PromotionEvent | None,
    scored: dict[str, float],
    gates: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Who serves after the day, with its metrics on the day's rows; None while nobody does.

    What was done by hand holds after the day's own promotion.
    """
    if promotion is None:
        return None
    own = promotion["champion_version"]
    version, scorer = own, promotion["champion_scorer"]
    if by_hand is not None:
        version, scorer = by_hand.version, by_hand.scorer
    if not version:
        return None
    metrics = scored
    if version != _scored_by(promotion):
        tested = {row["scorer"] for row in gates if row["version"] == version}
        metrics = {row["metric"]: row["value"] for row in evaluations if row["scorer"] in tested}
    changed = by_hand.kind if by_hand is not None and version != own else None
    return {"version": version, "scorer": scorer, "by_hand": changed, "metrics": metrics}


_WIDE = 130
"""Characters that the whole table takes; in less, `_LEFT_OUT` is left to `--json`."""
_LEFT_OUT = frozenset({"state", "clean", "warnings", "trained", "lists recall@10"})
_NUMBERS = frozenset({"in", "clean", "rejected", "warnings", "scored by", "s"})


def status_table(days: list[dict[str, Any]], width: int) -> RichTable:
    """The table that `dayfold status` shows on a screen `width` characters wide."""
    rows = [_cells(day) for day in days]
    shown = [name for name in (rows[0] if rows else ()) if width >= _WIDE or name not in _LEFT_OUT]
    # Without frames the narrow table fits into 80 columns.
    title = "Days" if "trained" in shown else "Days (+: trained all the same)"
    table = RichTable(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    for name in shown:
        table.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    for row in rows:
        if "state" not in shown and row["state"] in {"open", "waived"}:
            row["day"] += f" {row['state']}"
        if "trained" not in shown and row["trained"] != "-" and "retrain" not in row["decision"]:
            row["decision"] += " +"
        table.add_row(*(row[name] for name in shown))
    return table


def _cells(day: dict[str, Any]) -> dict[str, str]:
    champion = day["champion"]
    serving = f"v{champion['version']} {champion['scorer']}" if champion else "-"
    if champion and champion["by_hand"]:
        serving = f"[yellow]{serving} {champion['by_hand']}[/yellow]"
    elif day["promoted_version"]:
        serving = f"[green]{serving} *new*[/green]"
    metrics = day["scored"]["metrics"] if day["scored"] else {}
    by = f"v{day['scored']['version']}" if day["scored"] else ""
    shown = next(
        (f"{by} {name} {metrics[name]:.3f}" for name in _SHOWN_METRICS if name in metrics), "-"
    )
    recall = day["lists"].get("lists.recall_at_10")
    popular = day["lists"].get("popularity_7d.recall_at_10")
    lists = (
        "-"
        if recall is None
        else f"{recall:.3f}" + (f" (popular {popular:.3f})" if popular is not None else "")
    )
    decision = day["decision"] or "-"
    style = {"retrain": "yellow", "watch": "cyan"}.get(decision, "")
    return {
        "day": day["ds"],
        "state": day["state"],
        "in": f"{day['rows_in']:,}",
        "clean": f"{day['clean']:,}",
        "rejected": f"{sum(day['quarantined'].values()):,}",
        "warnings": f"{_warned(day) or '-'}",
        "decision": f"[{style}]{decision}[/{style}]" if style else decision,
        "trained": ", ".join(day["trained"]) or "-",
        "champion": serving,
        "scored by": shown,
        "lists recall@10": lists,
        "s": f"{sum(day['seconds'].values()):.0f}",
    }
