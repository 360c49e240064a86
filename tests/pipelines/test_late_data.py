"""Late events: counted where they belong, without a byte changed of what was read before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from feature_store.as_known import arrival_days, as_known_now, as_known_on
from feature_store.days import shift
from feature_store.tables import EVENTS, EXAMPLES, ITEM_STATS, USER_SEQUENCES, USER_STATS, Table
from pipelines.spark import read_days
from pipelines.steps import STEPS
from tests.pipelines.workbench import MONDAY, Workbench, assert_same_rows, event

pytestmark = pytest.mark.spark

TUESDAY = shift(MONDAY, 1)
WRITTEN = [table for step in STEPS for table in step.writes]


def _bytes(shop: Workbench, table: Table) -> dict[str, bytes]:
    return {uri: Path(uri).read_bytes() for uri in shop.lake.file_uris(table, [MONDAY])}


def test_a_late_day_changes_nothing_of_the_days_before(
    spark: SparkSession, bench: Callable[..., Workbench]
) -> None:
    shop = bench()
    shown = [
        event(f"{MONDAY} 10:00", user, "x", "impression", event_id=f"{user}-x") for user in "ab"
    ]
    people = [{"user_id": u, "updated_at": f"{MONDAY}T00:00:00Z", "gender": "f"} for u in "ab"]
    thing = {"item_id": "x", "updated_at": f"{MONDAY}T00:00:00Z", "category": "tent"}
    shop.write(MONDAY, [*shown, event(f"{MONDAY} 10:05", "a", "x")], people, [thing])
    shop.run_all(MONDAY)
    before = {table: _bytes(shop, table) for table in WRITTEN}
    state = (USER_STATS, ITEM_STATS, USER_SEQUENCES, EXAMPLES)
    rows = {table: shop.rows(table, MONDAY) for table in state}
    assert all(rows.values())

    # Monday's other impression was clicked as well, and the shop's catalogue has changed.
    late = [event(f"{MONDAY} 10:06", "b", "x"), event(f"{MONDAY} 10:07", "a", "new", "purchase")]
    shop.write(TUESDAY, late, [], [thing | {"category": "stove"}])
    shop.run_all(TUESDAY)
    assert {table: _bytes(shop, table) for table in WRITTEN} == before
    shop.run("build_features", MONDAY)
    shop.run("build_examples", MONDAY)
    for table in state:
        assert_same_rows(shop.rows(table, MONDAY), rows[table])

    assert as_known_on(shop.lake, MONDAY, MONDAY).num_rows == 3
    assert as_known_now(shop.lake, MONDAY).num_rows == 5
    days = arrival_days(shop.dataset, MONDAY, MONDAY, TUESDAY)
    in_spark = read_days(spark, shop.lake, EVENTS, days).where(f"event_ds = '{MONDAY}'")
    assert in_spark.count() == 5
    newest = {len(row["item_indices"]) for row in shop.rows(USER_SEQUENCES, TUESDAY)}
    assert newest == {1, 2}
