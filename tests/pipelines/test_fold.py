"""The fold, day by day or in bulk, equals a full recompute by DuckDB, row for row."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from feature_store.days import days_between, end_of_day, ordinal, shift
from feature_store.tables import (
    BASE_EVERY_DAYS,
    EVENTS,
    HALF_LIVES_DAYS,
    ITEM_STATS,
    STATISTICS,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
    VOCABULARIES,
    Table,
    decayed,
)
from tests.pipelines.workbench import Row, Workbench, assert_same_rows, dataset

pytestmark = pytest.mark.spark

FIRST = shift("1970-01-01", (ordinal("2026-03-27") // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 3)
DAYS = tuple(days_between(FIRST, shift(FIRST, 5)))
"""The fourth of them begins a new block of base days."""
LENGTH = 3
USERS, ITEMS = "abc", "xyz"
KINDS = ("impression", "click", "favourite", "purchase", "view")
DECLARED = dataset(time_zone="Europe/Berlin")


@dataclass(frozen=True)
class Log:
    """Events, and how their days are run."""

    events: tuple[Row, ...]
    runs: tuple[tuple[str, ...], ...]
    """Each run folds one day, or several in bulk; a day in no run was waived."""


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Few users, items and instants, so that ties, late events and idle entities are common."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(DAYS),
                st.integers(0, 2),
                st.sampled_from((0, 1, 2, 12, 23)),
                st.sampled_from(USERS),
                st.sampled_from(ITEMS),
                st.sampled_from(KINDS),
                st.sampled_from((None, 0.5, 2.0)),
            ),
            min_size=1,
            max_size=40,
        )
    )
    events = tuple(
        _event(f"e{draw(st.integers(0, 9))}-{number}", *fields)
        for number, fields in enumerate(drawn)
    )
    runs: list[tuple[str, ...]] = []
    for ds in DAYS:
        how = draw(st.sampled_from(("alone", "with the day before", "waived", "alone")))
        if how == "with the day before" and runs and runs[-1][-1] == shift(ds, -1):
            runs[-1] = (*runs[-1], ds)
        elif how != "waived":
            runs.append((ds,))
    return Log(events, tuple(runs or [(DAYS[0],)]))


def _event(
    name: str, ds: str, late: int, hour: int, user: str, item: str, kind: str, value: float | None
) -> Row:
    happened = shift(ds, -late)
    return {
        "ds": ds,
        "event_id": name,
        "event_timestamp": end_of_day(shift(happened, -1), DECLARED.zone) + timedelta(hours=hour),
        "event_ds": happened,
        "user_id": user,
        "item_id": item,
        "event_type": kind,
        "value": value,
        "request_id": None,
        "position": None,
        "context": [],
    }


def _shop(root: Path, log: Log) -> Workbench:
    """A lake with the log's clean events and vocabularies, and no features yet."""
    shop = Workbench(root, DECLARED, sequence_length=LENGTH)
    lake = shop.lake
    words = [("user_id", name) for name in USERS] + [("item_id", name) for name in ITEMS]
    vocabulary = [
        {"ds": DAYS[0], "born_on": DAYS[0], "field": field, "value": value, "id": 2 + number % 3}
        for number, (field, value) in enumerate(words)
    ]
    tables = [(VOCABULARIES, DAYS[0], vocabulary)]
    run = {ds for days in log.runs for ds in days}
    for ds in sorted(run):
        tables.append((EVENTS, ds, [row for row in log.events if row["ds"] == ds]))
    for table, ds, rows in tables:
        content = pa.Table.from_pylist(rows, lake.schema(table))
        lake.replace(table, {"ds": ds}, content, {"step": "test", "ds": ds})
    return shop


# ---- the oracle --------------------------------------------------------------------------------

_WEIGHT = "CASE event_type WHEN 'click' THEN 1.0 WHEN 'purchase' THEN 3.0 ELSE 0.0 END"
_ADDED = {
    **{
        n: f"(event_type = '{n}')::DOUBLE" for n in ("impression", "click", "favourite", "purchase")
    },
    "positive": _WEIGHT,
    "valued": "(value IS NOT NULL)::DOUBLE",
    "value": "coalesce(value, 0.0)",
}


_TEXT = ("ds", "event_id", "event_type", "user_id", "item_id")


class Oracle:
    """All events that had arrived by a day's end, summed from the first one on."""

    def __init__(self, events: Sequence[Row]) -> None:
        self._duckdb = duckdb.connect()
        columns = {
            name: pa.array([row[name] for row in events], type_)
            for name, type_ in (
                *((n, pa.string()) for n in _TEXT),
                ("event_timestamp", pa.timestamp("us", tz="UTC")),
                ("value", pa.float64()),
            )
        }
        for name, order in (("user_id", USERS), ("item_id", ITEMS)):
            index = f"{name.removesuffix('_id')}_index"
            columns[index] = pa.array([2 + order.index(row[name]) for row in events], pa.int32())
        self._duckdb.execute("SET TimeZone = 'UTC'")
        self._duckdb.register("log", pa.table(columns))

    def stats(self, entity: str, ds: str, *, everybody: bool) -> list[Row]:
        """Rows of USER_STATS or ITEM_STATS of `ds`."""
        age = (
            f"(epoch_us(TIMESTAMPTZ '{end_of_day(ds, DECLARED.zone)}') - epoch_us(event_timestamp))"
        )
        sums = ", ".join(
            f"sum({_ADDED[name]} * pow(2, -({age} / 864e8) / {h})) AS {decayed(name, h)}"
            for name in STATISTICS
            for h in HALF_LIVES_DAYS
        )
        return self._rows(
            f"""SELECT '{ds}' AS ds, {entity}, min(event_timestamp) AS first_event_timestamp,
                       max(event_timestamp) AS last_event_timestamp, {sums}
                FROM log WHERE ds <= '{ds}' GROUP BY {entity}
                HAVING {everybody} OR bool_or(ds = '{ds}') ORDER BY {entity}"""  # noqa: S608
        )

    def sequences(self, ds: str, *, everybody: bool) -> list[Row]:
        """Rows of USER_SEQUENCES of `ds`."""
        return self._rows(
            f"""WITH positive AS (
                    SELECT *, bool_or(ds = '{ds}') OVER (PARTITION BY user_index) AS active,
                        row_number() OVER (PARTITION BY user_index ORDER BY
                            event_timestamp DESC, ds DESC, event_id DESC) AS back
                    FROM log WHERE ds <= '{ds}' AND {_WEIGHT} > 0)
                SELECT '{ds}' AS ds, user_index,
                       list(item_index ORDER BY back DESC) AS item_indices,
                       list(event_timestamp ORDER BY back DESC) AS event_timestamps
                FROM positive WHERE back <= {LENGTH} AND (active OR {everybody})
                GROUP BY user_index ORDER BY user_index"""  # noqa: S608
        )

    def taken(self, ds: str, *, everybody: bool) -> list[Row]:
        """Rows of USER_TAKEN of `ds`."""
        return self._rows(
            f"""SELECT DISTINCT '{ds}' AS ds, user_id, item_id FROM log
                WHERE ds <= '{ds}' AND {_WEIGHT} > 0 AND (ds = '{ds}' OR {everybody})
                ORDER BY ALL"""  # noqa: S608
        )

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return list(self._duckdb.sql(sql).to_arrow_table().to_pylist())


def _first_of_block(ds: str, run: Sequence[str]) -> bool:
    block = ordinal(ds) // BASE_EVERY_DAYS
    return not any(day < ds and ordinal(day) // BASE_EVERY_DAYS == block for day in run)


# ---- the fold ----------------------------------------------------------------------------------


@pytest.mark.slow
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(log=logs(), again=st.integers(0, len(DAYS)))
def test_the_fold_equals_a_full_recompute_row_for_row(
    spark: SparkSession, log: Log, again: int
) -> None:
    del spark
    run = [ds for days in log.runs for ds in days]
    oracle = Oracle([row for row in log.events if row["ds"] in run])
    with tempfile.TemporaryDirectory() as root:
        shop = _shop(Path(root), log)
        # A day that is run again, after later ones, folds the same state.
        for days in (*log.runs, *log.runs[again : again + 1]):
            shop.run("build_features", *days)
        for ds in run:
            everybody = _first_of_block(ds, run)
            for table in (USER_STATS, ITEM_STATS):
                expected = oracle.stats(str(table.entity), ds, everybody=everybody)
                assert_same_rows(_rows(shop, table, ds), expected)
            expected = oracle.sequences(ds, everybody=everybody)
            assert_same_rows(_rows(shop, USER_SEQUENCES, ds), expected)
            taken = shop.lake.read(USER_TAKEN, [ds])
            ordered = taken.sort_by([(name, "ascending") for name in ("user_id", "item_id")])
            assert_same_rows(ordered.to_pylist(), oracle.taken(ds, everybody=everybody))


def _rows(shop: Workbench, table: Table, ds: str) -> list[Row]:
    rows = shop.lake.read(table, [ds]).to_pylist()
    return sorted(rows, key=lambda row: int(row[str(table.entity)]))
