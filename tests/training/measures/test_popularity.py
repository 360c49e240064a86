from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from feature_store.lake import Lake
from feature_store.tables import EVENTS
from tests.training.log_fixture import FIRST_DAY
from training.measures.popularity import (
    by_popularity,
    days_before,
    popular_decayed,
    popular_in_window,
)
from training.measures.positives import taken_by

DS = "2026-01-11"


@pytest.fixture
def events(lake_of: Callable[[str], Lake]) -> duckdb.DuckDBPyConnection:
    """DuckDB with every event of the fixture's lake as table `events`."""
    lake = lake_of("impressions")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("events", lake.read(EVENTS, lake.days(EVENTS)))
    return connection


def test_seven_day_popularity_is_what_duckdb_counts(
    lake_of: Callable[[str], Lake], events: duckdb.DuckDBPyConnection
) -> None:
    expected = events.sql(
        """SELECT item_id FROM events WHERE event_type IN ('click', 'purchase')
        AND ds >= '2026-01-04' AND ds < '2026-01-11' GROUP BY 1 ORDER BY count(*) DESC, item_id"""
    ).fetchall()
    assert popular_in_window(lake_of("impressions"), DS).to_pylist() == [i for (i,) in expected]


def test_decayed_popularity_is_what_duckdb_sums(
    lake_of: Callable[[str], Lake], events: duckdb.DuckDBPyConnection
) -> None:
    expected = events.sql(
        """SELECT item_id FROM events WHERE event_type IN ('click', 'purchase')
        AND ds < '2026-01-11' GROUP BY 1
        ORDER BY sum(pow(0.5, (epoch(TIMESTAMP '2026-01-11') - epoch(event_timestamp))
        / 86400 / 2)) DESC"""
    ).fetchall()
    assert popular_decayed(lake_of("impressions"), DS).to_pylist() == [i for (i,) in expected]


def test_the_first_day_knows_no_popular_item(lake_of: Callable[[str], Lake]) -> None:
    assert popular_in_window(lake_of("impressions"), FIRST_DAY).to_pylist() == []
    assert popular_decayed(lake_of("impressions"), FIRST_DAY).to_pylist() == []


def test_popularity_sums_weights_and_breaks_ties_by_id() -> None:
    items = pa.chunked_array([["b", "a"], ["c", "b", "d"]])
    weights = np.array([0.1, 0.3, 0.5, 0.2, 0.5])
    # 0.1 + 0.2 is not 0.3 in binary; it is a tie all the same.
    assert by_popularity(items, weights).to_pylist() == ["c", "d", "a", "b"]


def test_days_before_counts_whole_and_part_days() -> None:
    end = datetime(2026, 1, 11, tzinfo=UTC)
    stamps = pa.chunked_array(
        [pa.array([end - timedelta(hours=36), end], pa.timestamp("us", tz="UTC"))]
    )
    assert days_before(end, stamps).tolist() == [1.5, 0]


def test_taken_pairs_are_what_duckdb_finds(
    lake_of: Callable[[str], Lake], events: duckdb.DuckDBPyConnection
) -> None:
    users = ["u00002", "u00007", "nobody"]
    expected = events.sql(
        """SELECT DISTINCT user_id, item_id FROM events WHERE ds <= '2026-01-06'
        AND event_type IN ('click', 'purchase') AND user_id IN ('u00002', 'u00007') ORDER BY ALL"""
    ).fetchall()
    found = taken_by(lake_of("impressions"), "2026-01-06", pa.array(users))
    assert sorted((r["user_id"], r["item_id"]) for r in found.to_pylist()) == expected
    assert expected
