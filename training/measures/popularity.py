"""Popularity of items: the baselines that published lists are measured against.

The popularity of an item is the summed weight of its positive events: those that arrived in the
last seven days, or all of four weeks decayed with a half-life of two days. Both are exact, from
the events, and know nothing of the day that they are measured on.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import days_between, end_of_day, shift
from feature_store.lake import Lake
from training.measures.positives import event_weights, positions_in, positive_events
from training.scoring.metrics import Floats

WINDOW_DAYS = 7
HALF_LIFE_DAYS = 2.0
MEMORY_DAYS = 28
"""Days read for decayed popularity: after 14 half-lives an event weighs less than 1e-4."""


def popular_in_window(lake: Lake, ds: str) -> pa.Array:
    """item_id by weight of the positives that arrived in the last WINDOW_DAYS, descending."""
    items, weights = window_popularity(lake, ds)
    return _descending(items, weights)


def window_popularity(lake: Lake, ds: str) -> tuple[pa.Array, Floats]:
    """Distinct item_id, ascending, and the weight of the positives of the last WINDOW_DAYS."""
    days = days_between(shift(ds, -WINDOW_DAYS), shift(ds, -1))
    events = positive_events(lake, days, ["item_id", "event_type"])
    return _summed(events.column("item_id"), event_weights(lake, events.column("event_type")))


def popular_decayed(lake: Lake, ds: str) -> pa.Array:
    """item_id by weight, halved every HALF_LIFE_DAYS up to the beginning of `ds`, descending."""
    days = days_between(shift(ds, -MEMORY_DAYS), shift(ds, -1))
    events = positive_events(lake, days, ["item_id", "event_type", "event_timestamp"])
    start = end_of_day(shift(ds, -1), lake.dataset.zone)
    ages = days_before(start, events.column("event_timestamp"))
    weights = event_weights(lake, events.column("event_type")) * 0.5 ** (ages / HALF_LIFE_DAYS)
    return by_popularity(events.column("item_id"), weights)


def days_before(instant: datetime, timestamps: pa.ChunkedArray) -> Floats:
    """How many days before `instant` each timestamp lies."""
    at = np.datetime64(instant.replace(tzinfo=None), "us")
    when = timestamps.to_numpy().astype("datetime64[us]")
    return np.asarray((at - when) / np.timedelta64(1, "D"), dtype=np.float64)


def by_popularity(item_ids: pa.ChunkedArray, weights: Floats) -> pa.Array:
    """Distinct item ids by summed weight, descending; ties by id, ascending."""
    return _descending(*_summed(item_ids, weights))


def _summed(item_ids: pa.ChunkedArray, weights: Floats) -> tuple[pa.Array, Floats]:
    text = item_ids.cast(pa.string())
    items = pc.unique(text)
    items = items.take(pc.sort_indices(items))
    summed = np.bincount(positions_in(text, items), weights, minlength=len(items))
    return items, summed.astype(np.float64)


def _descending(items: pa.Array, weights: Floats) -> pa.Array:
    # Sums of the same events in another order differ in the last digits; they are still a tie.
    return items.take(pa.array(np.argsort(-np.round(weights, 9), kind="stable")))
