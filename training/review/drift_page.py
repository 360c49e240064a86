"""The drift report of a day as one HTML page without network: what moved, and what was decided."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from feature_store.days import shift
from feature_store.step import StepContext
from feature_store.tables import DRIFT
from training.drift.sentence import sentence
from training.measures.input_counts import BINS_PER_UNIT, VALUES
from training.plots.canvas import png
from training.plots.drift_tests import draw_drift_tests, of_the_day
from training.scoring.attribute_slices import Words, said_of, words_of

CHART_DAYS = 28
_MEANS = {
    "skip": "Nothing beyond what days usually differ by.",
    "watch": "Something moved, and no training follows from it today.",
    "not_enough_data": "Too little is known to tell change from chance.",
}
_RETRAIN_MEANS = {
    True: "What users do is not what the champion predicts: a candidate was trained, and the gate "
    "decides whether it serves.",
    False: "The day's own labels are as predicted; a change that was found before goes on training "
    "until a champion serves that was trained on a day with it.",
    None: "The day trains because nothing serves yet; it says nothing of what users do.",
}
"""By whether the labels drifted; None = they were not asked."""
_CALENDAR = " It trains all the same, for want of a training in the days before it."
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 900px; color: #1c2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.said { font-size: 1.1rem; border-left: 5px solid #1f5f99; padding: .4rem .9rem; }
p.lead { color: #4a5a6a; } img { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e8ee; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
"""
Row = Mapping[str, Any]


def drift_page(context: StepContext, scores: Any | None) -> str | None:
    """The page of the context's day; None where it has no decision.

    Args:
        context: the day.
        scores: figure of the day's scores against the days before; None = there is none.
    """
    lake, ds = context.lake, context.ds
    first = shift(ds, 1 - CHART_DAYS)
    days = [day for day in lake.days(DRIFT) if first <= day <= ds]
    rows = {row["ds"]: row for row in lake.read(DRIFT, days).to_pylist()}
    if ds not in rows:
        return None
    row, evidence = rows[ds], json.loads(rows[ds]["evidence"])
    words = words_of(lake, ds)
    parts = [
        f"<h1>Drift on {ds}: {html.escape(row['decision'].replace('_', ' '))}</h1>",
        f"<p class=said>{html.escape(sentence(lake, row, evidence))}</p>",
        f"<p class=lead>{_meaning(row, evidence)}</p>",
        _section("The tests", _tests_lead(evidence), _tests(evidence), _over_days(rows, days)),
        _section("The scores", _SCORES, "", _image(scores)),
        _section("In which slices", _SLICES, _slices(evidence, context, words)),
        _section("What moved among the inputs", _INPUTS, _inputs(evidence, context, words)),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>Drift on {ds}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body>"
        "</html>"
    )


def _meaning(row: Row, evidence: Row) -> str:
    if row["decision"] == "retrain":
        return _RETRAIN_MEANS[evidence.get("labels_drifted")]
    return _MEANS[row["decision"]] + (_CALENDAR if row["train"] else "")


# ---- sections ------------------------------------------------------------------------------------

_SCORES = (
    "The line is the day, the band is where nine of ten earlier days lay, group by group, in the "
    "terms of the version that scored the day. A line that leaves it on one side: other users, "
    "items or moments came. Some days do so; whether this one does more than they differ by, the "
    "test of the scores says."
)
_SLICES = (
    "Clicks that came for each one that was predicted, where that moved most. 1.00 = as predicted; "
    "errors: by how many standard errors it differs from what is normal there."
)
_INPUTS = (
    "It explains a change and is no alarm. Moved: the share of rows that have another value than "
    "they usually would, beside what days usually differ by; new: rows with a value that was never "
    "seen before. Scaled: a number as the model reads it, of order one, mostly the logarithm of a "
    "count or of days."
)


def _section(title: str, lead: str, *content: str) -> str:
    if not any(content):
        return ""
    return f"<h2>{title}</h2><p class=lead>{lead}</p>{''.join(content)}"


def _tests_lead(evidence: Row) -> str:
    rows, days = evidence.get("pooled_rows", 0), evidence.get("reference_days", 0)
    return (
        f"{rows:,} rows against {days} days before, the scores against those of the same part of "
        "the week. Grey: what the days before say is usual for so many "
        "rows; beyond it is drift. Orange: days that trained."
    )


def _tests(evidence: Row) -> str:
    rows = [
        (
            test["name"],
            str(test.get("window", 1)),
            f"{of_the_day(test):.4g}",
            f"{test['value']:.4g}",
            f"{test['normal']:.4g}",
            f"{test['threshold']:.4g}",
            f"{test['p']:.2g}",
            "drift" if test["drifted"] else "as usual",
        )
        for test in evidence.get("tests", ())
    ]
    return _table(("test", "days", "the day alone", "these days", "normal", "limit", "p", ""), rows)


def _over_days(rows: Mapping[str, Row], days: Sequence[str]) -> str:
    tests: dict[str, dict[str, Mapping[str, float]]] = {}
    for ds in days:
        for test in json.loads(rows[ds]["evidence"]).get("tests", ()):
            tests.setdefault(test["name"], {})[ds] = test
    trained = {ds for ds in days if rows[ds]["train"]}
    return _image(draw_drift_tests(days, tests, trained))


def _slices(evidence: Row, context: StepContext, words: Words) -> str:
    rows = [
        (
            _slice_name(one["slice"], context, words),
            f"{one['rows']:,}",
            f"{_ratio(one['log_observed_expected']):.2f}",
            f"{_ratio(one['normal']):.2f}",
            f"{one['errors']:+.1f}",
        )
        for one in evidence.get("slices", ())
    ]
    return _table(("slice", "rows", "observed / expected", "normal", "errors"), rows)


def _inputs(evidence: Row, context: StepContext, words: Words) -> str:
    rows = [
        (
            one["field"],
            f"{one['distance']:.1%}",
            f"{one['usual_distance']:.1%}",
            f"{one['new_share']:.1%} ({one['usual_new_share']:.1%})",
            "; ".join(
                f"{_value(one['field'], v['value'], context, words)}: {v['share']:.1%} "
                f"({v['normal_share']:.1%})"
                for v in one["values"]
            ),
        )
        for one in evidence.get("inputs", ())
    ]
    return _table(("field", "moved", "usual", "new (usual)", "share of values (usual)"), rows)


_SLICES_IN_WORDS = {
    "history=none": "users without a history",
    "history=some": "users with a history",
}


def _slice_name(name: str, context: StepContext, words: Words) -> str:
    field, _, value = name.partition("=")
    if not field.startswith("ctx_") or not value.isdecimal():
        return _SLICES_IN_WORDS.get(name, name)
    known = f"context.{field.removeprefix('ctx_')}"
    return f"{known} = {said_of(known, None, int(value), words)}"


def _value(field: str, value: int, context: StepContext, words: Words) -> str:
    """A value of an input in words."""
    if field in ("user_id", "item_id"):
        return "new" if value else "known"
    if field == "context.hour":
        return f"{value}:00"
    if field == "context.weekday":
        return _WEEKDAYS[value]
    if field in ("user.known", "item.known"):
        return "yes" if value else "no"
    attributes = {
        **{f"user.{a.name}": a for a in context.dataset.user_attributes},
        **{f"item.{a.name}": a for a in context.dataset.item_attributes},
    }
    if field in attributes or field.startswith("context."):
        attribute = attributes.get(field)
        return "others" if value >= VALUES else said_of(field, attribute, value, words)
    return f"scaled, about {value / BINS_PER_UNIT:g}"


def _ratio(log_ratio: float) -> float:
    return math.exp(log_ratio)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""

    def line(cells: Sequence[str], tag: str) -> str:
        numbers = {place for place, cell in enumerate(rows[0]) if cell[:1] in "+-.0123456789"}
        told = (
            f"<{tag}{' class=n' if place in numbers else ''}>{html.escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(told)}</tr>"

    return f"<table>{line(headings, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _image(figure: Any | None) -> str:
    if figure is None:
        return ""
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(png(figure)).decode()}'>"
