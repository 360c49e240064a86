"""What the command line advises: its help in order, and the next command where it refuses."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from conf.dataset import load_dataset
from dayfold.cli import app
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.tables import LEDGER
from tests.dayfold.test_commands import JANUARY, dayfold


def test_every_command_is_shown_once_in_the_order_of_the_work(tmp_path: Path) -> None:
    shown = re.findall(r"^  ([a-z]+)  ", dayfold(tmp_path, "--help").stdout, re.MULTILINE)
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]  # type: ignore[union-attr]
    assert sorted(shown) == sorted([*commands, *(str(g.name) for g in app.registered_groups)])
    work = ["demo", "setup", "simulate", "run", "status", "recommend", "upkeep", "bench"]
    assert [name for name in shown if name in work] == work


def test_an_unknown_table_is_answered_with_the_command_of_the_nearest(tmp_path: Path) -> None:
    asked = ("lineage", "examples.exampels", "--ds", "2026-01-01")
    said = dayfold(tmp_path, *asked).stderr
    assert said.endswith("Next: `dayfold lineage examples.examples --ds 2026-01-01`\n")


@pytest.mark.parametrize("wrong", [("--users", "0"), ("--drift", "2026-01-01:ctr:much")])
def test_a_simulation_that_cannot_be_says_what_next(tmp_path: Path, wrong: tuple[str, str]) -> None:
    done = dayfold(tmp_path, "simulate", "--raw", str(tmp_path / "raw"), *JANUARY, *wrong)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Next: correct what is named")
    assert not (tmp_path / "raw").exists()


def test_upkeep_says_what_all_tables_come_to_and_the_command_that_does_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake" / "simulated", load_dataset("simulated"))
    close_day(lake, "2026-01-01", "waived", "for a test", {}, {})
    orphan = Path(lake.uri(LEDGER)) / "ds=2026-01-01" / "part-of-a-killed-commit.parquet"
    orphan.write_bytes(bytes(3 * 2**20))
    old = time.time() - 10 * 86_400
    os.utime(orphan, (old, old))
    said = dayfold(tmp_path, "upkeep", "--keep-days", "5", "--dry-run").stdout.splitlines()[-1]
    assert said == (
        "Nothing was changed: 0 files merged into larger ones, 1 files removed (3.0 MiB) would be. "
        "Next: dayfold upkeep --keep-days 5"
    )
    assert orphan.exists()
    done = dayfold(tmp_path, "upkeep", "--keep-days", "5").stdout.splitlines()[-1]
    assert done == "Done: 0 files merged into larger ones, 1 files removed (3.0 MiB)."
    assert not orphan.exists()
    said = dayfold(tmp_path, "upkeep", "--keep-days", "5", "--dry-run").stdout.splitlines()[-1]
    assert said == "There is nothing to do."
