"""Random clean events with late ones, written straight into a lake, and given to DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from conf.cleaning import Cleaning
from conf.dataset import DatasetConfig, Labels
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EVENTS

FIRST = "2026-03-27"
DAYS = 8
LATENESS = 3

Row = dict[str, Any]


def declared() -> DatasetConfig:
    """A dataset whose clocks go forward on the third day, and whose events may be 3 days late."""
    return DatasetConfig(
        name="log",
        time_zone="Europe/Berlin",
        positive={"click": 1.0},
        labels=Labels(kind="impressions"),
        cleaning=Cleaning(lateness_days=LATENESS),
    )


@st.composite
def events(draw: st.DrawFn) -> list[Row]:
    """Up to 40 events; each has happened up to 3 days before, or minutes after, its arrival day."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, DAYS - 1),
                st.integers(-1, LATENESS),
                st.sampled_from("abc"),
                st.sampled_from("xy"),
                st.sampled_from(["click", "impression", "purchase"]),
            ),
            max_size=40,
        )
    )
    return [
        {
            **happened(shift(FIRST, day), shift(FIRST, day - late), f"e{number}", item),
            "user_id": user,
            "event_type": kind,
        }
        for number, (day, late, user, item, kind) in enumerate(rows)
    ]


def happened(ds: str, event_ds: str, name: str, item: str = "x") -> Row:
    """One click at noon of `event_ds` that arrived on `ds`."""
    return {
        "ds": ds,
        "event_id": name,
        "event_timestamp": datetime.fromisoformat(event_ds).replace(hour=12, tzinfo=UTC),
        "event_ds": event_ds,
        "user_id": "a",
        "item_id": item,
        "event_type": "click",
        **dict.fromkeys(("value", "request_id", "position")),
        "context": [],
    }


def written(root: Path, rows: list[Row], dataset: DatasetConfig | None = None) -> Lake:
    """A lake that holds `rows`, each on its day of arrival."""
    lake = Lake(root, dataset or declared())
    for ds in sorted({row["ds"] for row in rows}):
        put(lake, ds, [row for row in rows if row["ds"] == ds])
    return lake


def put(lake: Lake, ds: str, rows: list[Row]) -> None:
    """Replace the events that arrived on `ds`."""
    table = pa.Table.from_pylist(rows, lake.schema(EVENTS))
    lake.replace(EVENTS, {"ds": ds}, table, {"step": "test", "ds": ds})


def asked(rows: list[Row], sql: str, **values: object) -> list[tuple[Any, ...]]:
    """What DuckDB answers to `sql` with its `values` over the table `log`, which holds `rows`."""
    columns = ("ds", "event_id", "event_ds", "user_id", "item_id", "event_type")
    with duckdb.connect() as connection:
        log = pa.table({c: pa.array([row[c] for row in rows], pa.string()) for c in columns})
        connection.register("log", log)
        return connection.execute(sql, values).fetchall()
