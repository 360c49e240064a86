"""The taken items of a lake made without Spark, by pyarrow from its events."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.lake import Lake
from feature_store.tables import EVENTS, USER_TAKEN


def put_taken(lake: Lake, ds: str) -> None:
    """Write USER_TAKEN of `ds`; its events, and those of the days before, are in the lake."""
    base = lake.is_base_day(USER_TAKEN, ds)
    days = [day for day in lake.days(EVENTS) if day == ds or (base and day < ds)]
    events = lake.read(EVENTS, days, ["user_id", "item_id", "event_type"])
    positive = pa.array(sorted(lake.dataset.positive), pa.string())
    rows = events.filter(pc.is_in(events.column("event_type"), positive))
    pairs = rows.group_by(["user_id", "item_id"]).aggregate([])
    lake.replace(USER_TAKEN, {"ds": ds}, pairs, {"step": "test", "ds": ds})
