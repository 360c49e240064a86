"""Days that ran end to end, run again: on the same files, after a stop, on other files and back."""

from __future__ import annotations

import gzip
import shutil
import signal
from pathlib import Path

import pytest

from feature_store.days import days_between
from feature_store.tables import EXAMPLES, LEDGER, PROMOTIONS, STEP_RUNS, TABLES
from tests.e2e.conftest import FIRST, LAST, Shop
from tests.e2e.same_rows import assert_same_rows, rows_of

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]
DAYS = list(days_between(FIRST, LAST))
ALIASES = {"champion", "previous", "challenger", "head-two_tower", "head-mlp"}
COMPARED = [table for table in TABLES if table not in (STEP_RUNS, LEDGER)]


def test_running_a_finished_day_again_changes_no_row_and_registers_nothing(shop: Shop) -> None:
    for ds in (FIRST, LAST):
        before = {table.key: rows_of(shop, table, ds) for table in COMPARED}
        champion = shop.lake.read(PROMOTIONS, [LAST]).to_pylist()
        versions = shop.registered()
        again = shop.run("run", "--from", ds, "--to", ds, "--force")
        assert "ok" in again.stdout
        for table in COMPARED:
            assert_same_rows(table, before[table.key], rows_of(shop, table, ds))
        assert shop.lake.read(PROMOTIONS, [LAST]).to_pylist() == champion
        assert shop.registered() == versions


def test_a_run_that_is_stopped_leaves_its_day_open_and_the_next_one_makes_it_whole(
    shop: Shop,
) -> None:
    before = {table.key: rows_of(shop, table, LAST) for table in COMPARED}
    versions = shop.registered()
    with shop.started("run", "--from", LAST, "--to", LAST, "--force") as running:
        assert running.stdout is not None
        line = next(line for line in running.stdout if "build_features" in line)
        assert "ok" in line
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert running.returncode == 130
    assert "Stopped. The same command goes on" in rest
    assert shop.days()[LAST]["state"] == "open"
    assert "ok" in shop.run("run", "--from", LAST, "--to", LAST).stdout
    assert shop.days()[LAST]["state"] == "published"
    for table in COMPARED:
        assert_same_rows(table, before[table.key], rows_of(shop, table, LAST))
    assert shop.registered() == versions


def test_a_changed_day_is_rebuilt_with_those_after_it_and_back_again(
    shop: Shop, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("airflow", "logs")
    mine, changed = Shop(shutil.copytree(shop.home, tmp_path / "home", ignore=ignored)), DAYS[-2]
    before = {table.key: rows_of(mine, table, LAST) for table in COMPARED}
    aliases = [row for row in mine.registered() if row[0] in ALIASES]
    (part,) = (mine.raw / "events" / f"ds={changed}").glob("part-*")
    whole = part.read_bytes()
    lines = gzip.decompress(whole).removesuffix(b"\n").split(b"\n")
    part.write_bytes(gzip.compress(b"\n".join(lines[: len(lines) // 2]) + b"\n"))

    span = ("--from", changed, "--to", changed)
    refused = mine.run("run", *span, "--force", check=False)
    assert refused.returncode == 2
    assert f"{changed} is closed, and has other raw files than it was built on" in refused.stderr
    assert mine.days()[changed]["state"] == "published"

    said = mine.run("run", *span, "--cascade").stdout
    assert f"Rebuilds 2 day(s), {changed} to {LAST}: 2 closed one(s) become open" in said
    assert f"2 day(s) rebuilt, {changed} to {LAST}" in said
    days = mine.days()
    assert [days[ds]["state"] for ds in DAYS] == ["published"] * 3
    assert days[changed]["rows_in"] == len(lines) // 2
    assert rows_of(mine, EXAMPLES, LAST) != before[EXAMPLES.key]

    part.write_bytes(whole)
    mine.run("run", *span, "--cascade")
    for table in COMPARED:
        assert_same_rows(table, before[table.key], rows_of(mine, table, LAST))
    assert [row for row in mine.registered() if row[0] in ALIASES] == aliases
