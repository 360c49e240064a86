"""Volume of state tables: base days are told apart, against counts made by DuckDB from the rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from conf.dataset import DatasetConfig, Labels
from feature_store.checks import CheckResult
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.tables import ENCODED_ITEMS, EVENTS, USER_SEQUENCES
from feature_store.volume import check_volumes, same_weekdays

FIRST = "2026-01-01"
BASE = "2026-01-15"
"""The first day of the second block: 20,468 days after 1970-01-01, a multiple of 28."""
NEXT_BASE = shift(BASE, 28)
CHANGED = 40
"""Users with a positive event on a day, but on the last one."""
SHRUNK = 14


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    dataset = DatasetConfig(name="small", positive={"click": 1.0}, labels=Labels(kind="sampled"))
    return Lake(tmp_path, dataset)


def sequences(users: int, known: int) -> pa.Table:
    """Rows of `users` that changed and, on a base day, of all `known`."""
    ids = range(2, 2 + max(users, known))
    return pa.table(
        {
            "user_index": pa.array(ids, pa.int32()),
            "item_indices": pa.array([[2]] * len(ids), pa.list_(pa.int32())),
            "event_timestamps": pa.array(
                [[datetime(2026, 1, 1, tzinfo=UTC)]] * len(ids),
                pa.list_(pa.timestamp("us", tz="UTC")),
            ),
        }
    )


def fill(lake: Lake, last: str, on_last: int) -> None:
    """A state table from FIRST to `last`, as its step writes it: every entity on base days."""
    for ds in days_between(FIRST, last):
        known = 1_000 if lake.is_base_day(USER_SEQUENCES, ds) else 0
        rows = sequences(on_last if ds == last else CHANGED, known)
        lake.replace(USER_SEQUENCES, {"ds": ds}, rows, {"step": "test"})


def counted(lake: Lake) -> dict[str, int]:
    """Rows by day, by another engine and from the rows."""
    files = f"{lake.uri(USER_SEQUENCES)}/ds=*/*.parquet"
    rows = duckdb.read_parquet(files, hive_partitioning=True)
    return dict(rows.aggregate("cast(ds as varchar), count(user_index)", "ds").fetchall())


def judged(lake: Lake, days: Sequence[str]) -> dict[str, CheckResult]:
    return {result.ds: result for result in check_volumes(lake, [USER_SEQUENCES], days)}


def test_base_days_are_not_judged_and_not_compared_with(lake: Lake) -> None:
    last = shift(NEXT_BASE, 14)
    fill(lake, last, SHRUNK)
    counts = counted(lake)
    days = list(days_between(FIRST, last))
    bases = {ds for ds, rows in counts.items() if rows == 1_000}
    assert bases == {FIRST, BASE, NEXT_BASE}
    results = judged(lake, days)
    assert {ds: result.observed for ds, result in results.items()} == counts
    for ds, result in results.items():
        usual = [counts[day] for day in same_weekdays(ds) if day in counts and day not in bases]
        if ds in bases:
            assert (result.passed, result.expected[:22]) == (None, "nothing: on a base day")
        elif len(usual) < 3:
            assert result.passed is None
        else:
            assert statistics.median(usual) == CHANGED
            assert result.passed is (ds != last), ds
    # Two of the four weekdays before this one are bases: with them, 40 rows would be too few.
    assert results[shift(BASE, 14)].passed is None
    assert "median of 3 same weekdays 40" in results[last].expected


def test_days_built_in_bulk_and_one_by_one_are_judged_alike(lake: Lake) -> None:
    last = shift(NEXT_BASE, 14)
    one_by_one = {}
    for ds in days_between(FIRST, last):
        known = 1_000 if lake.is_base_day(USER_SEQUENCES, ds) else 0
        lake.replace(USER_SEQUENCES, {"ds": ds}, sequences(CHANGED, known), {"step": "test"})
        one_by_one |= judged(lake, [ds])
    assert judged(lake, list(days_between(FIRST, last))) == one_by_one


def test_a_day_of_a_state_table_that_lost_all_its_rows_warns(lake: Lake) -> None:
    last = shift(NEXT_BASE, 13)
    fill(lake, last, SHRUNK)
    lake.clear(USER_SEQUENCES, [last], {"step": "test"})
    result = judged(lake, [last])[last]
    assert (result.warns, result.observed) == (True, 0)


def test_a_table_says_which_stream_it_grows_with() -> None:
    streams = {
        table.key: [check.stream for check in table.checks if check.rule == "volume"]
        for table in (EVENTS, ENCODED_ITEMS)
    }
    assert streams == {"clean.events": ["events"], "encoded.items": ["items"]}
