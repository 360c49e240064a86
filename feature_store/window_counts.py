"""Exact counts of the last days, for the entities asked for.

Models read decayed sums, which are folded forward. Where a rule needs a hard window ("at most three
purchases in 30 days"), it is added up here from what each arrival day holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from conf.errors import ConfigError
from feature_store.as_known import arrival_days
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EVENTS

Entity = Literal["user_id", "item_id"]

LONGEST_WINDOW_DAYS = 90


def window_counts(
    lake: Lake, entity: Entity, ids: Sequence[str], ds: str, window_days: int
) -> pa.Table:
    """Events of the `window_days` days up to `ds`, as known at its end: entity, event_type, events.

    A row for each id and event type with at least one event, in their order. An event counts on
    the day on which it happened, once it has arrived. Memory is that of one day; the cost is that
    of reading three columns of the window.

    Args:
        lake: holds the clean events.
        entity: the column of clean.events that is counted by.
        ids: its values (users: pseudonyms, see docs/lists.md).
        ds: the last day of the window; nothing that arrived later counts.
        window_days: 1 to LONGEST_WINDOW_DAYS days of the dataset's time zone.

    Raises:
        ConfigError: `window_days` is out of range.
    """
    if not 1 <= window_days <= LONGEST_WINDOW_DAYS:
        raise ConfigError(
            f"A window of {window_days} days was asked for, expected 1 to {LONGEST_WINDOW_DAYS}. "
            "Next: for longer ones read the decayed sums of features.user_stats and item_stats."
        )
    first = shift(ds, 1 - window_days)
    happened = pc.field("event_ds")
    asked_for = pc.field(entity).isin(pa.array(ids, pa.string()))
    wanted = (happened >= first) & (happened <= ds) & asked_for
    keys = [entity, "event_type"]
    partials = [
        lake.read(EVENTS, [day], keys, where=wanted).group_by(keys).aggregate([([], "count_all")])
        for day in arrival_days(lake.dataset, first, ds, ds)
    ]
    totals = pa.concat_tables(partials).group_by(keys).aggregate([("count_all", "sum")])
    order = [(name, "ascending") for name in keys]
    return totals.rename_columns([*keys, "events"]).sort_by(order)
