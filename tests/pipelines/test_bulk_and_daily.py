"""The Spark steps over a set of days give the rows that they give day by day."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conf.dataset import load_dataset
from conf.settings import Settings, load_settings
from dayfold.day import step_named
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.step import StepContext, resolve
from feature_store.tables import (
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
    USERS,
    VOCABULARIES,
    Table,
)
from pipelines.sources.simulator import SimulationSettings, simulate

pytestmark = pytest.mark.spark

# 2026-01-15 begins a block of 28 days, so base days are crossed.
DAYS = list(days_between("2026-01-13", "2026-01-17"))
STEPS = ("clean_events", "encode_profiles", "build_features", "build_examples")
COMPARED = (
    EVENTS,
    PROFILES,
    ITEMS,
    QUARANTINE,
    INTAKE,
    VOCABULARIES,
    USERS,
    ENCODED_ITEMS,
    USER_STATS,
    ITEM_STATS,
    USER_SEQUENCES,
    EXAMPLES,
)


@dataclass(frozen=True)
class Built:
    """The same raw days, built in two ways."""

    bulk: Lake
    daily: Lake
    settings: Settings


def build(lake: Lake, settings: Settings, days: list[str]) -> None:
    for name in STEPS:
        context = StepContext(tuple(days), lake, lake.dataset, settings)
        resolve(step_named(name).entry)(context)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("spark")
    dataset = load_dataset("simulated")
    settings = load_settings({"DAYFOLD__HOME": str(root), "DAYFOLD__RAW": str(root / "raw")})
    simulate(root / "raw", DAYS[0], DAYS[-1], SimulationSettings(users=60, items=30, seed=5))
    both = Built(Lake(root / "bulk", dataset), Lake(root / "daily", dataset), settings)
    build(both.bulk, settings, DAYS)
    for ds in DAYS:
        build(both.daily, settings, [ds])
    return both


def rows_of(lake: Lake, table: Table, days: list[str]) -> list[dict[str, Any]]:
    rows = lake.read(table, days).to_pylist()
    keys = ["ds", *table.checks[0].columns]
    return sorted(rows, key=lambda row: tuple(str(row[key]) for key in keys))


def assert_same(table: Table, some: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert len(some) == len(others), table.key
    for one, other in zip(some, others, strict=True):
        for name, value in one.items():
            if isinstance(value, float) and other[name] is not None:
                assert math.isclose(value, other[name], rel_tol=1e-9, abs_tol=1e-12), (
                    table.key,
                    one,
                )
            else:
                assert value == other[name], (table.key, name, one, other)


@pytest.mark.parametrize("table", COMPARED, ids=lambda table: table.key)
def test_days_in_bulk_have_the_rows_of_days_one_by_one(built: Built, table: Table) -> None:
    bulk, daily = (rows_of(lake, table, DAYS) for lake in (built.bulk, built.daily))
    assert bulk
    assert_same(table, bulk, daily)


def test_a_day_run_again_has_the_same_rows_although_later_days_are_there(built: Built) -> None:
    ds = DAYS[2]
    before = {table: rows_of(built.daily, table, [ds]) for table in COMPARED}
    build(built.daily, built.settings, [ds])
    for table in COMPARED:
        assert_same(table, before[table], rows_of(built.daily, table, [ds]))


def test_read_rows_are_clean_or_rejected_for_one_reason(built: Built) -> None:
    for ds in DAYS:
        counts: dict[tuple[str, str], int] = {
            (row["stream"], row["outcome"]): row["rows"]
            for row in built.daily.read(INTAKE, [ds]).to_pylist()
        }
        rejected = rows_of(built.daily, QUARANTINE, [ds])
        for stream, table in (("events", EVENTS), ("profiles", PROFILES), ("items", ITEMS)):
            clean = built.daily.read(table, [ds]).num_rows
            own = sum(row["stream"] == stream for row in rejected)
            assert counts.get((stream, "read"), 0) == clean + own
            assert counts.get((stream, "clean"), 0) == clean


def test_decayed_sums_are_those_of_a_plain_loop(built: Built) -> None:
    events = built.daily.read(EVENTS, DAYS).to_pylist()
    words = built.daily.read(VOCABULARIES, DAYS).to_pylist()
    index = {row["value"]: row["id"] for row in words if row["field"] == "user_id"}
    for ds in DAYS:
        end = datetime.fromisoformat(ds).replace(tzinfo=UTC) + timedelta(days=1)
        expected: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for event in (e for e in events if e["ds"] <= ds):
            age = (end - event["event_timestamp"]).total_seconds() / 86400
            for half_life in (1, 7, 30):
                for statistic in (event["event_type"], "positive"):
                    if statistic == "impression" and event["event_type"] != "impression":
                        continue
                    if statistic == "positive" and event["event_type"] == "impression":
                        continue
                    name = f"{statistic}_h{half_life}"
                    expected[index[event["user_id"]]][name] += 2 ** (-age / half_life)
        rows = rows_of(built.daily, USER_STATS, [ds])
        assert {index[e["user_id"]] for e in events if e["ds"] == ds} <= {
            row["user_index"] for row in rows
        }
        for row in rows:
            for name in ("impression_h1", "click_h7", "purchase_h30", "positive_h1"):
                assert math.isclose(
                    row[name], expected[row["user_index"]][name], rel_tol=1e-9, abs_tol=1e-12
                )


def test_a_base_day_holds_every_entity_known_by_then(built: Built) -> None:
    base = "2026-01-15"
    known = {
        r["user_index"] for r in rows_of(built.daily, USER_STATS, [d for d in DAYS if d <= base])
    }
    assert {row["user_index"] for row in rows_of(built.daily, USER_STATS, [base])} == known


def test_no_raw_id_and_no_key_is_written(built: Built) -> None:
    for path in Path(built.daily.root).rglob("*.parquet"):
        content = path.read_bytes()
        assert b"00112233445566778899aabbccddeeff" not in content, path
    assert all(len(e["user_id"]) == 32 for e in built.daily.read(EVENTS, DAYS).to_pylist())
