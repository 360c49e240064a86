"""A day that came late, or with other rows, and the days after it: as if it had come in time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.dataset import load_dataset
from conf.errors import OrderError
from conf.vocabulary import VocabularyRule
from feature_store.days import days_between, ordinal, shift
from feature_store.ledger import begun_days, close_day, closed_days, reopen_days, waive_day
from feature_store.raw_zone import STREAMS, RawZone
from feature_store.rebuild import plan_rebuild
from feature_store.tables import (
    BASE_EVERY_DAYS,
    EXPIRIES,
    LAST_SEEN,
    PENDING_VALUES,
    TABLES,
    VOCABULARIES,
)
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.writer import simulate
from pipelines.steps import STEPS
from tests.pipelines.workbench import Workbench, assert_same_rows

pytestmark = pytest.mark.spark

WRITTEN = [table for table in TABLES for step in STEPS if table in step.writes]
# The second day, the one that comes late, begins a block of base days.
FIRST = shift("1970-01-01", (ordinal("2026-01-05") // BASE_EVERY_DAYS + 1) * BASE_EVERY_DAYS - 1)
DAYS = tuple(days_between(FIRST, shift(FIRST, 3)))
LATE = DAYS[1]
RULES = {
    "user_id": VocabularyRule(expire_days=1),
    "item_id": VocabularyRule(min_count=8),
    "context.device": VocabularyRule(min_count=2, expire_days=1),
}


def shop_at(root: Path) -> Workbench:
    root.mkdir(parents=True)
    declared = load_dataset("simulated").model_copy(update={"vocabulary": RULES})
    return Workbench(root, declared, sequence_length=5)


def run_day(shop: Workbench, ds: str) -> None:
    shop.run("open_day", ds)
    shop.run_all(ds)
    close_day(shop.lake, ds, "published", "", {})


def cascade(shop: Workbench, first: str) -> None:
    complete = RawZone(shop.root / "raw").complete_days()
    closed, begun = closed_days(shop.lake), begun_days(shop.lake)
    rebuild = plan_rebuild(first, first, closed=closed, begun=begun, complete=complete)
    assert rebuild.days == DAYS[1:]
    reopen_days(shop.lake, rebuild.days, {})
    for ds in rebuild.days:
        run_day(shop, ds)


def deliver(raw: Path, shop: Workbench, *days: str) -> None:
    for ds in days:
        for stream in STREAMS:
            source = raw / stream / f"ds={ds}"
            shutil.copytree(source, shop.folder(stream, ds), dirs_exist_ok=True)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw zone of all days."""
    root = tmp_path_factory.mktemp("simulated") / "raw"
    size = SimulationSettings(users=40, items=30, sessions_per_user_day=0.7)
    simulate(root, DAYS[0], DAYS[-1], size)
    return root


@pytest.fixture(scope="module")
def in_time(spark: SparkSession, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The lake in which every day came in time."""
    del spark
    shop = shop_at(tmp_path_factory.mktemp("lakes") / "in_time")
    deliver(raw, shop, *DAYS)
    for ds in DAYS:
        run_day(shop, ds)
    return shop


def assert_same_lake(shop: Workbench, in_time: Workbench) -> None:
    for table in WRITTEN:
        assert_same_rows(shop.rows(table), in_time.rows(table))


def test_a_late_day_and_those_after_it_end_as_if_it_had_come_in_time(
    raw: Path, in_time: Workbench, tmp_path: Path
) -> None:
    shop = shop_at(tmp_path / "late")
    deliver(raw, shop, DAYS[0], *DAYS[2:])
    run_day(shop, DAYS[0])
    waive_day(shop.lake, LATE, "nothing came", {})
    for ds in DAYS[2:]:
        run_day(shop, ds)
    without = {table: shop.rows(table, DAYS[-1]) for table in (VOCABULARIES, EXPIRIES)}
    deliver(raw, shop, LATE)
    with pytest.raises(OrderError, match="--cascade"):
        shop.run("open_day", LATE)

    cascade(shop, LATE)
    assert_same_lake(shop, in_time)
    # Which is no wonder if nothing hung on that day.
    assert all(rows != shop.rows(table, DAYS[-1]) for table, rows in without.items())
    assert all(in_time.rows(table) for table in (PENDING_VALUES, LAST_SEEN))


@pytest.mark.slow
def test_a_day_with_other_rows_and_those_after_it_end_as_if_it_had_had_them_at_once(
    raw: Path, in_time: Workbench, tmp_path: Path
) -> None:
    shop = shop_at(tmp_path / "changed")
    deliver(raw, shop, *DAYS)
    (part,) = shop.folder("events", LATE).glob("part-*")
    whole = part.read_bytes()
    part.unlink()
    for ds in DAYS:
        run_day(shop, ds)
    part.write_bytes(whole)
    with pytest.raises(OrderError, match=f"{part.name} is new.*--cascade"):
        shop.run("open_day", LATE)
    cascade(shop, LATE)
    assert_same_lake(shop, in_time)
