"""The cleaning rules of a row by itself: for which reason it is rejected.

Rules have a fixed order; the first that a row breaks is its reason. What a record cannot be read
for (its fault) comes before; `duplicate`, `bot` and `superseded`, which look at other rows, come
after (`pipelines.cleaning_windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from conf.dataset import OWN_FIELDS, DatasetConfig
from feature_store.raw_zone import Stream
from pipelines.field_columns import Kind, is_bad
from pipelines.spark import day_of, ends_at

MISSING_USER_ID = "missing_user_id"
MISSING_ITEM_ID = "missing_item_id"
UNKNOWN_EVENT_TYPE = "unknown_event_type"
BAD_TIMESTAMP = "bad_timestamp"
FUTURE_TIMESTAMP = "future_timestamp"
TOO_LATE = "too_late"
BAD_VALUE = "bad_value"

_KINDS: dict[str, Kind] = {
    "event_timestamp": "instant",
    "updated_at": "instant",
    "available_from": "instant",
    "available_until": "instant",
    "value": "number",
    "position": "whole",
}
"""Own fields that are not text."""
_ATTRIBUTE_KINDS: dict[str, Kind] = {"categorical": "text", "multi": "values", "numeric": "number"}


@dataclass(frozen=True)
class Rule:
    """One rule: rows for which `broken` is true are rejected for `reason`."""

    reason: str
    broken: Column


def first_broken(rules: Sequence[Rule], fault: Column) -> Column:
    """The reason for which a row is rejected: its `fault`, else the first broken rule or null."""
    return F.coalesce(fault, *(F.when(rule.broken, F.lit(rule.reason)) for rule in rules))


def own_fields(stream: Stream) -> dict[str, Kind]:
    """The fields that every row of a stream has, and what each means."""
    return {name: _KINDS.get(name, "text") for name in OWN_FIELDS[stream]}


def fields_of(dataset: DatasetConfig, stream: Stream) -> dict[str, Kind]:
    """The declared fields of a stream's rows, and what each means; own fields come first."""
    own = own_fields(stream)
    if stream == "events":
        return own | dict.fromkeys(dataset.context, "text")
    return own | attributes_of(dataset, stream)


def attributes_of(dataset: DatasetConfig, stream: Stream) -> dict[str, Kind]:
    """The declared attributes of `profiles` or `items`, and what each means."""
    attributes = dataset.user_attributes if stream == "profiles" else dataset.item_attributes
    return {attribute.name: _ATTRIBUTE_KINDS[attribute.kind] for attribute in attributes}


def rules_of(dataset: DatasetConfig, stream: Stream) -> list[Rule]:
    """The rules of one row of a stream, in order, on its typed fields."""
    if stream == "events":
        return _event_rules(dataset)
    key = "user_id" if stream == "profiles" else "item_id"
    fields = fields_of(dataset, stream)
    times = [name for name, kind in fields.items() if kind == "instant"]
    values = [name for name, kind in fields.items() if kind in ("number", "whole", "values")]
    return [
        Rule(MISSING_USER_ID if key == "user_id" else MISSING_ITEM_ID, F.col(key).isNull()),
        Rule(BAD_TIMESTAMP, F.col("updated_at").isNull() | is_bad(times)),
        Rule(FUTURE_TIMESTAMP, _is_future("updated_at", dataset)),
        Rule(BAD_VALUE, is_bad(values)),
    ]


def _event_rules(dataset: DatasetConfig) -> list[Rule]:
    known_types = sorted(dataset.event_types)
    event_day = day_of(F.col("event_timestamp"), dataset.time_zone)
    days_late = F.date_diff(F.to_date("ds"), event_day)
    return [
        Rule(MISSING_USER_ID, F.col("user_id").isNull()),
        Rule(MISSING_ITEM_ID, F.col("item_id").isNull()),
        Rule(
            UNKNOWN_EVENT_TYPE,
            F.col("event_type").isNull() | ~F.col("event_type").isin(known_types),
        ),
        Rule(BAD_TIMESTAMP, F.col("event_timestamp").isNull()),
        Rule(FUTURE_TIMESTAMP, _is_future("event_timestamp", dataset)),
        Rule(TOO_LATE, days_late > dataset.cleaning.lateness_days),
        Rule(BAD_VALUE, is_bad(["value", "position"])),
    ]


def _is_future(name: str, dataset: DatasetConfig) -> Column:
    tolerance = F.make_dt_interval(mins=F.lit(dataset.cleaning.future_tolerance_minutes))
    return F.col(name) > ends_at(F.col("ds"), dataset.time_zone) + tolerance
