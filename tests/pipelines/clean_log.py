"""Clean days written straight into a lake: events of a log of values, without the cleaning."""

from __future__ import annotations

from datetime import datetime
from itertools import count

import pyarrow as pa

from feature_store.lake import Lake
from feature_store.tables import EVENTS
from tests.pipelines.vocabulary_oracle import Log

LINEAGE = {"step": "test"}


def write_clean_events(lake: Lake, log: Log) -> None:
    """One event per occurrence of a user; `context.device` values ride on events of user `_`.

    The log's keys may be of the fields user_id and context.device.
    """
    number = count()
    for ds, seen in log.items():
        rows = []
        for (field, value), times in seen.items():
            context = [("device", value)] if field == "context.device" else []
            user = value if field == "user_id" else "_"
            rows += [
                {
                    "event_id": f"e{next(number)}",
                    "event_timestamp": datetime.fromisoformat(f"{ds}T10:00:00+00:00"),
                    "event_ds": ds,
                    "user_id": user,
                    "item_id": "i",
                    "event_type": "click",
                    "value": None,
                    "request_id": None,
                    "position": None,
                    "context": context,
                }
                for _ in range(times)
            ]
        schema = lake.schema(EVENTS)
        schema = schema.remove(schema.get_field_index("ds"))
        lake.replace(EVENTS, {"ds": ds}, pa.Table.from_pylist(rows, schema=schema), LINEAGE)
