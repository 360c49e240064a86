"""A day by the real scheduler, a process per step, ends as the same day run inline."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from conf.fields import STREAMS
from feature_store.ledger import closed_days
from feature_store.tables import LEDGER, STEP_RUNS, TABLES
from tests.e2e.conftest import DAYFOLD, HISTORY_FROM, SIZE, Shop
from tests.e2e.same_rows import assert_same_rows, rows_of

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]

FIRST, SECOND, LAST = "2026-02-03", "2026-02-04", "2026-02-05"
DAY_TIMEOUT_SECONDS = 900
# Versions of the lake, times and costs differ between two runs of a day.
COMPARED = [table for table in TABLES if table not in (STEP_RUNS, LEDGER)]


def test_the_schedulers_days_have_the_rows_and_versions_of_the_inline_ones(
    shop: Shop, tmp_path: Path
) -> None:
    _next_days(shop, tmp_path / "raw")
    inline, scheduled = (_copy(shop, tmp_path / name) for name in ("inline", "scheduled"))
    inline.run("run", "--from", FIRST, "--to", LAST)
    with _served(scheduled):
        day = f"{FIRST}T00:00:00+00:00"
        scheduled.run("airflow", "dags", "trigger", "dayfold_daily", "--logical-date", day)
        scheduled.run("airflow", "dags", "unpause", "dayfold_daily", "--yes")
        _wait_for(scheduled, FIRST)
        span = ("--from-date", SECOND, "--to-date", LAST, "--max-active-runs", "1")
        scheduled.run("airflow", "backfill", "create", "--dag-id", "dayfold_daily", *span)
        _wait_for(scheduled, LAST)
    for ds in (FIRST, SECOND, LAST):
        for table in COMPARED:
            rows = [rows_of(shop, table, ds) for shop in (inline, scheduled)]
            for row in (*rows[0], *rows[1]):
                row.pop("run_id", None)  # MLflow draws it
                row.pop("at", None)  # when something was decided
            assert_same_rows(table, *rows)
    assert _promoted(scheduled) == _promoted(inline)
    assert sum(version is not None for version in _promoted(scheduled).values()) >= 1


def _next_days(shop: Shop, raw: Path) -> None:
    """Three days more for the shop's raw zone."""
    span = ("--from", HISTORY_FROM, "--to", LAST)
    shop.run("simulate", "--raw", str(raw), *span, *SIZE)
    for stream in STREAMS:
        for folder in (raw / stream).glob("ds=*"):
            target = shop.raw / stream / folder.name
            if not target.exists():
                shutil.copytree(folder, target)


def _copy(shop: Shop, home: Path) -> Shop:
    shutil.copytree(shop.home, home, ignore=shutil.ignore_patterns("airflow", "logs"))
    return Shop(home)


@contextmanager
def _served(shop: Shop) -> Iterator[str]:
    """`dayfold ui` while the block runs, the scheduler is part of it; the address of Airflow."""
    airflow = _port()
    command = [DAYFOLD, "ui", "--mlflow-port", str(_port()), "--airflow-port", str(airflow)]
    environment = {**os.environ, "DAYFOLD__HOME": str(shop.home)}
    log = shop.home / "ui.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 240
        while "Ctrl-C" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(1)
        _assert_on_loopback(server.pid)
        yield f"http://127.0.0.1:{airflow}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def _assert_on_loopback(pid: int) -> None:
    """Nothing that a process and its children listen on can be reached from outside."""
    parent = psutil.Process(pid)
    listening = [
        connection.laddr.ip
        for process in (parent, *parent.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) <= {"127.0.0.1", "::1"}


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(shop: Shop, ds: str) -> None:
    deadline = time.monotonic() + DAY_TIMEOUT_SECONDS
    while ds not in closed_days(shop.lake):
        if time.monotonic() > deadline:
            states = shop.run("airflow", "dags", "list-runs", "dayfold_daily", check=False)
            pytest.fail(f"{ds} was not published in time\n{states.stdout}")
        time.sleep(3)


def _promoted(shop: Shop) -> dict[str, int | None]:
    return {ds: day["promoted_version"] for ds, day in shop.days().items() if ds >= FIRST}
