"""One pass over many days, day by day, and again: always the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.dataset import load_dataset
from feature_store.days import days_between, ordinal, shift
from feature_store.tables import (
    BASE_EVERY_DAYS,
    ENCODED_ITEMS,
    EVENTS,
    EXAMPLES,
    INTAKE,
    ITEM_STATS,
    ITEMS,
    PROFILES,
    QUARANTINE,
    USER_SEQUENCES,
    USER_STATS,
    USER_TAKEN,
    USERS,
    VOCABULARIES,
    Table,
)
from pipelines.sources.simulator.settings import DirtRates, SimulationSettings
from pipelines.sources.simulator.writer import simulate
from tests.pipelines.workbench import Row, Workbench, assert_same_rows

pytestmark = pytest.mark.spark

WRITTEN: tuple[Table, ...] = (
    *(EVENTS, PROFILES, ITEMS, QUARANTINE, INTAKE),
    *(VOCABULARIES, USERS, ENCODED_ITEMS),
    *(USER_STATS, ITEM_STATS, USER_SEQUENCES, USER_TAKEN, EXAMPLES),
)
# The third day begins a new block of base days.
FIRST = shift("1970-01-01", (ordinal("2026-01-05") // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 2)
DAYS = tuple(days_between(FIRST, shift(FIRST, 4)))

Make = Callable[[str], Workbench]


@pytest.fixture(scope="module")
def make(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Lakes over one simulated shop with much dirt and many late events."""
    del spark
    root = tmp_path_factory.mktemp("simulated")
    dirt = DirtRates(
        **dict.fromkeys(
            ("duplicate", "redelivered", "malformed", "missing_user_id", "far_late"), 0.02
        ),
        late=0.1,
        bot_day=0.2,
        bot_events=1_100,
    )
    size = SimulationSettings(users=60, items=40, sessions_per_user_day=1.0, dirt=dirt)
    simulate(root / "raw", DAYS[0], DAYS[-1], size)

    def open_lake(name: str) -> Workbench:
        (root / name).mkdir()
        (root / name / "raw").symlink_to(root / "raw")
        return Workbench(root / name, load_dataset("simulated"), sequence_length=5)

    return open_lake


def _all_rows(shop: Workbench, *days: str) -> dict[str, list[Row]]:
    return {table.key: shop.rows(table, *days) for table in WRITTEN}


@pytest.fixture(scope="module")
def daily(make: Make) -> Workbench:
    """The lake that was built day by day."""
    shop = make("daily")
    for ds in DAYS:
        shop.run_all(ds)
    return shop


@pytest.fixture(scope="module")
def bulk(make: Make) -> Workbench:
    """The lake that was built at once."""
    shop = make("bulk")
    shop.run_all(*DAYS)
    return shop


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.key)
def test_all_days_at_once_give_the_rows_of_one_day_after_the_other(
    daily: Workbench, bulk: Workbench, table: Table
) -> None:
    expected = daily.rows(table)
    assert expected
    assert_same_rows(bulk.rows(table), expected)


def test_the_simulated_days_hold_what_matters_here(daily: Workbench) -> None:
    reasons = {row["reason"] for row in daily.rows(QUARANTINE)}
    assert reasons >= {"duplicate", "malformed", "missing_user_id", "invalid_utf8"}
    assert any(row["event_ds"] < row["ds"] for row in daily.rows(EVENTS))
    assert any(len(row["item_indices"]) == 5 for row in daily.rows(USER_SEQUENCES))


def test_a_day_run_again_gives_the_same_rows_whatever_lies_after_it(daily: Workbench) -> None:
    ds = DAYS[2]
    before = _all_rows(daily)
    daily.run_all(ds)
    for table, rows in _all_rows(daily).items():
        assert_same_rows(rows, before[table])


@pytest.mark.slow
def test_history_may_be_built_in_pieces_and_over_what_is_there(
    daily: Workbench, bulk: Workbench
) -> None:
    before = dict(_all_rows(daily))
    bulk.run_all(*DAYS[1:4])
    bulk.run_all(*DAYS[3:])
    for table, rows in _all_rows(bulk).items():
        assert_same_rows(rows, before[table])


def test_staging_folders_are_left_empty(bulk: Workbench) -> None:
    staging = list((Path(bulk.settings.lake)).glob("*/*/_staging/*"))
    assert staging == []
