"""Processes that encode one day at once, or are killed on the way: one id per value, always."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.vocabulary import VocabularyRule
from feature_store.days import shift
from feature_store.tables import (
    EXPIRIES,
    LAST_SEEN,
    PENDING_VALUES,
    USERS,
    VOCABULARIES,
)
from tests.pipelines.clean_log import write_clean_events
from tests.pipelines.vocabulary_oracle import rows_of
from tests.pipelines.workbench import MONDAY, Row, Workbench, dataset

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TUESDAY = shift(MONDAY, 1)
RULES = {"user_id": VocabularyRule(min_count=2, expire_days=1)}
TABLES = (VOCABULARIES, PENDING_VALUES, LAST_SEEN, EXPIRIES, USERS)
ENCODE = """
import sys, time
from pathlib import Path
from conf.errors import ConcurrentWrite
from pipelines.spark import session
from tests.pipelines.test_vocabulary_races import bench
root, ds, gate = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
shop = bench(root)
session(shop.settings)
print("ready", flush=True)
while not gate.exists():
    time.sleep(0.01)
try:
    shop.run("encode_profiles", ds)
except ConcurrentWrite as error:
    sys.exit(f"ConcurrentWrite: {error}")
"""


def bench(root: Path) -> Workbench:
    """The lake under `root`."""
    return Workbench(root, dataset(vocabulary=RULES))


def _filled(root: Path) -> Workbench:
    shop = bench(root)
    values = {MONDAY: "abcdefgh", TUESDAY: "efghijklmnop"}
    log = {ds: {("user_id", v): 1 + n % 2 for n, v in enumerate(vs)} for ds, vs in values.items()}
    write_clean_events(shop.lake, log)
    return shop


def _started(root: Path, ds: str, gate: Path) -> subprocess.Popen[str]:
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", ENCODE, str(root), ds, str(gate)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and message."""
    message = process.communicate(timeout=300)[1]
    return process.returncode, message


def _assert_one_id_per_value(shop: Workbench) -> None:
    rows = shop.rows(VOCABULARIES)
    for pair in (("field", "value"), ("field", "id")):
        found = rows_of(rows, *pair)
        assert len(found) == len(set(found))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Row]], float]:
    """The rows of one undisturbed process for each day, and the seconds that the second took."""
    root = tmp_path_factory.mktemp("alone")
    shop = _filled(root)
    (root / "gate").touch()
    for ds in (MONDAY, TUESDAY):
        process = _started(root, ds, root / "gate")
        started = time.monotonic()
        code, message = _ended(process)
        assert code == 0, message
    assert shop.rows(EXPIRIES)
    return {table.key: shop.rows(table) for table in TABLES}, time.monotonic() - started


def test_of_processes_that_encode_one_day_at_once_all_that_end_well_wrote_the_same(
    alone: tuple[dict[str, list[Row]], float], tmp_path: Path
) -> None:
    shop = _filled(tmp_path)
    for ds in (MONDAY, TUESDAY):
        gate = tmp_path / f"gate-{ds}"
        racing = [_started(tmp_path, ds, gate) for _ in range(2)]
        gate.touch()
        ends = [_ended(process) for process in racing]
        assert any(code == 0 for code, _ in ends), ends
        for code, message in ends:
            assert code == 0 or "ConcurrentWrite: encoded." in message, message
        _assert_one_id_per_value(shop)
    assert {table.key: shop.rows(table) for table in TABLES} == alone[0]


def test_a_process_killed_at_any_instant_and_run_again_leaves_what_one_run_leaves(
    alone: tuple[dict[str, list[Row]], float], tmp_path: Path
) -> None:
    shop = _filled(tmp_path)
    (tmp_path / "gate").touch()
    assert _ended(_started(tmp_path, MONDAY, tmp_path / "gate"))[0] == 0
    draw = random.Random(3)
    for share in (0.3, 0.6, 0.85):
        process = _started(tmp_path, TUESDAY, tmp_path / "gate")
        time.sleep(alone[1] * (share + draw.uniform(-0.1, 0.1)))
        process.send_signal(signal.SIGKILL)
        _ended(process)
        _assert_one_id_per_value(shop)
    assert _ended(_started(tmp_path, TUESDAY, tmp_path / "gate"))[0] == 0
    assert {table.key: shop.rows(table) for table in TABLES} == alone[0]
