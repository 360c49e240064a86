"""A day's Spark steps on a cluster of two workers give what they give in one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.standalone_cluster import standalone_cluster
from feature_store.tables import EVENTS, EXAMPLES, INTAKE, QUARANTINE, USER_SEQUENCES, USERS
from tests.e2e.conftest import Shop
from tests.e2e.same_rows import assert_same_rows, rows_of

pytestmark = pytest.mark.slow

DAY = "2026-01-05"
STEPS = ("open_day", "clean_events", "encode_profiles", "build_features", "build_examples")
TABLES = (EVENTS, QUARANTINE, USERS, USER_SEQUENCES, EXAMPLES)


def _counts(shop: Shop) -> list[dict[str, object]]:
    rows = shop.lake.read(INTAKE, [DAY]).to_pylist()
    return sorted(rows, key=lambda row: (row["stream"], row["outcome"]))


def test_two_workers_give_the_rows_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, shared = Shop(tmp_path / "alone"), Shop(tmp_path / "shared")
    span = ("--from", DAY, "--to", DAY)
    alone.run("simulate", "--raw", str(alone.raw), *span, "--users", "300", "--items", "120")
    alone.run("key")
    shutil.copytree(alone.home, shared.home)
    for step in STEPS:
        alone.run("step", step, "--ds", DAY)
    with standalone_cluster(tmp_path / "cluster") as url:
        monkeypatch.setenv("DAYFOLD__SPARK__MASTER", url)
        for step in STEPS:
            shared.run("step", step, "--ds", DAY)
        applications = list((tmp_path / "cluster").glob("worker-*/app-*/*"))
    assert len(applications) >= 2 * len(STEPS[1:])
    assert _counts(shared) == _counts(alone)
    for table in TABLES:
        assert_same_rows(table, rows_of(alone, table, DAY), rows_of(shared, table, DAY))
