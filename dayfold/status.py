"""The days as a table: what came in, what was decided, who serves, what it cost."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable

from feature_store.ledger import closed_days
from feature_store.tables import (
    CANDIDATES,
    DAILY_METRICS,
    DRIFT,
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
    days = sorted(set(closed) | set(lake.days(STEP_RUNS)))[-last:]
    rows = {table.key: _by_day(lake, table, days) for table in _READ}
    return [_day(ds, closed[ds].state if ds in closed else "open", rows) for ds in days]


_READ = (INTAKE, DRIFT, CANDIDATES, GATES, PROMOTIONS, DAILY_METRICS, STEP_RUNS)


def _by_day(lake: Lake, table: Table, days: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lake.read(table, days).to_pylist():
        found[row["ds"]].append(row)
    return found


def _day(ds: str, state: str, rows: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    intake = {r["outcome"]: r["rows"] for r in rows[INTAKE.key][ds] if r["stream"] == "events"}
    drift = next(iter(rows[DRIFT.key][ds]), None)
    promotion = next(iter(rows[PROMOTIONS.key][ds]), None)
    champion_metrics = {
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
        "trained": sorted(r["scorer"] for r in rows[CANDIDATES.key][ds]),
        "champion": None
        if promotion is None or not promotion["champion_version"]
        else {
            "version": promotion["champion_version"],
            "scorer": promotion["champion_scorer"],
            "metrics": champion_metrics,
        },
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
    }


def status_table(days: list[dict[str, Any]]) -> RichTable:
    """The table that `dayfold status` shows."""
    table = RichTable(title="Days", title_justify="left")
    for heading in ("day", "state", "in", "clean", "rejected", "decision"):
        table.add_column(
            heading,
            no_wrap=True,
            justify="right" if heading in {"in", "clean", "rejected"} else "left",
        )
    for heading in ("trained", "champion", "its metric", "lists recall@10", "s"):
        table.add_column(heading, justify="right" if heading in {"its metric", "s"} else "left")
    for day in days:
        table.add_row(*_cells(day))
    return table


def _cells(day: dict[str, Any]) -> list[str]:
    champion = day["champion"]
    serving = f"v{champion['version']} {champion['scorer']}" if champion else "-"
    if day["promoted_version"]:
        serving = f"[green]{serving} *new*[/green]"
    metrics = champion["metrics"] if champion else {}
    shown = next((f"{name} {metrics[name]:.4f}" for name in _SHOWN_METRICS if name in metrics), "-")
    recall = day["lists"].get("lists.recall_at_10")
    popular = day["lists"].get("popularity_7d.recall_at_10")
    lists = (
        "-"
        if recall is None
        else f"{recall:.3f}" + (f" (popular {popular:.3f})" if popular is not None else "")
    )
    decision = day["decision"] or "-"
    style = {"retrain": "yellow", "watch": "cyan"}.get(decision, "")
    return [
        day["ds"],
        day["state"],
        f"{day['rows_in']:,}",
        f"{day['clean']:,}",
        f"{sum(day['quarantined'].values()):,}",
        f"[{style}]{decision}[/{style}]" if style else decision,
        ", ".join(day["trained"]) or "-",
        serving,
        shown,
        lists,
        f"{sum(day['seconds'].values()):.1f}",
    ]
