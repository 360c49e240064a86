"""The HTML report: metrics, drift, data quality and cost over days, in one file without network."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

from conf.errors import MissingPartition
from dayfold.arms import HEADINGS, arm_cells, arms_of_days
from dayfold.page_file import write_page
from dayfold.status import collect_status
from dayfold.workplace import Workplace
from feature_store.lake import Lake

REPORT_DAYS = 60

_DAYS_AT_A_GLANCE = 14
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1080px; color: #1c2733; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p.lead { color: #4a5a6a; } img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e8ee; }
td.d { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.retrain { color: #b35900; font-weight: 600; } .watch { color: #0b6e8a; }
"""


def write_report(workplace: Workplace, path: Path) -> None:
    """Write the report of the last 60 days to `path` (one write, by rename).

    Raises:
        ConfigError: `path` is a folder.
        MissingPartition: the lake has no day yet.
    """
    lake = workplace.lake()
    days = collect_status(lake, REPORT_DAYS)
    if not days:
        raise MissingPartition(
            "There is no day to report on yet. Next: make demo, or dayfold run --help"
        )
    page = _page(workplace.dataset.name, days, _arms(lake))
    write_page(path, page)


def _page(dataset: str, days: list[dict[str, Any]], arms: str) -> str:
    first, last = days[0]["ds"], days[-1]["ds"]
    sections = [
        ("Metrics", "The champion scores each day before anything trains on it.", _metrics(days)),
        (
            "Lists",
            "Recall@10: how many of the items that users newly took on a day stood in the ten that "
            "the list of the day before showed them; beside plain popularity.",
            _lists(days),
        ),
        (
            "A/B by version",
            f"What users took on a day of what the list of the day before showed them, by the "
            f"version that made it, over the last {_DAYS_AT_A_GLANCE} days. An interval that holds "
            "0 shows no difference to the version without one.",
            arms,
        ),
        (
            "Drift",
            "Each test's value of the day, what is normal, and the limit beyond which it is drift. "
            "Orange: promoted.",
            _drift(days),
        ),
        ("Data quality", "Raw rows of each day: clean, and rejected by reason.", _quality(days)),
        (
            "Checks",
            "What the tables' checks found: a failed one stopped its step, a warning did not.",
            _checks(days),
        ),
        ("Cost", "Wall seconds of each step.", _cost(days)),
    ]
    body = "".join(
        f"<h2>{title}</h2><p class=lead>{lead}</p>{picture}"
        for title, lead, picture in sections
        if picture
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>Dayfold: {html.escape(dataset)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Dayfold: {html.escape(dataset)}, {first} to {last}</h1>"
        f"{_table(days[-_DAYS_AT_A_GLANCE:])}{body}{_earlier(days[:-_DAYS_AT_A_GLANCE])}"
        "</body></html>"
    )


def _arms(lake: Lake) -> str:
    """The versions of the pool beside each other; nothing where one made all lists."""
    arms = arms_of_days(lake, _DAYS_AT_A_GLANCE)
    if not arms:
        return ""
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = (
        "".join(f"<td class=n>{html.escape(cell)}</td>" for cell in cells)
        for cells in arm_cells(arms)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _earlier(days: list[dict[str, Any]]) -> str:
    """The days that are not at a glance, folded."""
    if not days:
        return ""
    return (
        f"<h2>Earlier days</h2><details><summary>{len(days)} days</summary>{_table(days)}</details>"
    )


def _table(days: list[dict[str, Any]]) -> str:
    rows = []
    for day in reversed(days):
        champion, promoted = day["champion"], day["promoted_version"]
        cells = (
            ("d", day["ds"]),
            ("", day["state"]),
            ("n", f"{day['rows_in']:,}"),
            ("n", f"{sum(day['quarantined'].values()):,}"),
            (day["decision"] or "", day["decision"] or "-"),
            ("", day["reason"] or ""),
            ("", f"v{champion['version']} {champion['scorer']}" if champion else "-"),
            ("", (champion and champion["by_hand"]) or ("promoted" if promoted else "")),
        )
        rows.append("".join(f"<td class='{css}'>{html.escape(text)}</td>" for css, text in cells))
    headings = ("day", "state", "rows in", "rejected", "decision", "reason", "champion", "change")
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _metrics(days: list[dict[str, Any]]) -> str:
    """What the version that scored each day had on it, whoever serves since."""
    names = ("auc", "log_loss", "observed_expected", "mean_percentile_rank")
    values = {
        name: [(day["scored"] or {"metrics": {}})["metrics"].get(name) for day in days]
        for name in names
    }
    present = {
        name: series for name, series in values.items() if any(v is not None for v in series)
    }
    return _plot(days, [[(f"champion {name}", series)] for name, series in present.items()])


def _lists(days: list[dict[str, Any]]) -> str:
    subjects = sorted(
        {key for day in days for key in day["lists"] if key.endswith(".recall_at_10")}
    )
    lines = [(key.split(".")[0], [day["lists"].get(key) for day in days]) for key in subjects]
    return _plot(days, [lines]) if lines else ""


def _drift(days: list[dict[str, Any]]) -> str:
    """Each test's value of the day, what was normal, and where drift would have begun."""
    by_day = [{test["name"]: test for test in day["evidence"].get("tests", ())} for day in days]
    panels = [
        [
            (f"{name}{suffix}", [tests[name][key] if name in tests else None for tests in by_day])
            for suffix, key in (("", "value"), (": normal", "normal"), (": limit", "threshold"))
        ]
        for name in dict.fromkeys(name for tests in by_day for name in tests)
    ]
    return _plot(days, panels) if panels else ""


def _quality(days: list[dict[str, Any]]) -> str:
    reasons = sorted({reason for day in days for reason in day["quarantined"]})
    return _plot(
        days,
        [
            [
                ("rows in", [day["rows_in"] for day in days]),
                ("clean", [day["clean"] for day in days]),
            ],
            [(reason, [day["quarantined"].get(reason, 0) for day in days]) for reason in reasons],
        ],
        stacked_from=1,
    )


def _checks(days: list[dict[str, Any]]) -> str:
    """The checks that warned or failed, the last day first."""
    rows = [
        (
            day["ds"],
            *(found[name] for name in ("severity", "table", "check", "step")),
            f"{found['observed']:,.0f}",
            found["expected"],
        )
        for day in reversed(days)
        for found in day["checks"]["found"]
    ]
    run = sum(day["checks"]["run"] for day in days)
    if not rows:
        return f"<p>{run:,} checks ran and none found anything.</p>" if run else ""
    headings = ("day", "severity", "table", "check", "step", "rows", "expected")
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<p>{len(rows)} of {run:,} checks:</p><table><tr>{head}</tr>{body}</table>"


def _cost(days: list[dict[str, Any]]) -> str:
    steps = list(dict.fromkeys(step for day in days for step in day["seconds"]))
    return _plot(
        days,
        [[(step, [day["seconds"].get(step, 0.0) for day in days]) for step in steps]],
        stacked_from=0,
    )


Line = tuple[str, list[float | None]]


def _plot(
    days: list[dict[str, Any]], panels: list[list[Line]], stacked_from: int | None = None
) -> str:
    """An inline picture: `panels` one below the other, stacked bars from `stacked_from` on."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(panels), 1, figsize=(11, 2.4 * len(panels)), sharex=True, squeeze=False
    )
    labels = [day["ds"] for day in days]
    for number, lines in enumerate(panels):
        axis = axes[number][0]
        bottom = [0.0] * len(days)
        for name, series in lines:
            if stacked_from is not None and number >= stacked_from:
                heights = [value or 0.0 for value in series]
                axis.bar(labels, heights, bottom=bottom, label=name, width=0.8)
                bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
            else:
                points = [float("nan") if value is None else float(value) for value in series]
                axis.plot(labels, points, marker="o", markersize=3, linewidth=1.4, label=name)
        for day in days:
            if day["promoted_version"]:
                axis.axvline(day["ds"], color="#e8a04c", alpha=0.5, linewidth=3, zorder=0)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.005, 1))
        axis.tick_params(axis="x", rotation=90, labelsize=7)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return (
        f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
    )
