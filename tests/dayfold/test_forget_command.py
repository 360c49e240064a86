"""`dayfold forget`: what it refuses, what it says, and that it never says the raw id."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from conf.dataset import load_dataset
from conf.errors import ConfigError
from conf.pseudonym import pseudonym
from dayfold.cli import app
from dayfold.launch import EXIT_REFUSED
from feature_store.lake import Lake
from feature_store.tables import EVENTS, PROFILES
from feature_store.tombstones import forgotten_users, tombstone_of
from tests.dayfold.forget_fixture import files_naming
from tests.dayfold.test_commands import DAYFOLD
from tests.pipelines.workbench import KEY

USER = "visitor-4711"
PSEUDONYM = pseudonym(KEY, USER)
DATASET = load_dataset("simulated")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose lake has one profile of the user."""
    lake = lake_of(tmp_path)
    row = {"ds": "2026-01-05", "user_id": PSEUDONYM, "updated_at": datetime(2026, 1, 5, tzinfo=UTC)}
    rows = pa.Table.from_pylist([row], lake.schema(PROFILES))
    lake.replace(PROFILES, {"ds": "2026-01-05"}, rows, {"step": "test"})
    return tmp_path


def lake_of(home: Path) -> Lake:
    return Lake(home / "lake" / "simulated", DATASET)


def dayfold(home: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DAYFOLD__HOME": str(home), "COLUMNS": "200"}
    done = subprocess.run(
        [DAYFOLD, "forget", *arguments],
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert USER not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert files_naming(home, USER) == []
    return done


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either --user"),
        (("--user", USER, "--pseudonym", PSEUDONYM), "either --user"),
        (("--user", " "), "--user is empty"),
        (("--pseudonym", USER), "32 hex digits"),
        (("--user", USER, "--reason", f"letter of {USER}"), "without the id"),
        (("--user", USER), "Nothing was changed. Next: the same command with --yes."),
        (("--user", "nobody-1"), "with --yes drops what of this user may arrive later"),
    ],
)
def test_what_is_not_clear_is_refused_and_nothing_changes(
    home: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = CliRunner().invoke(app, ["forget", *arguments], env={"DAYFOLD__HOME": str(home)})
    assert isinstance(refused.exception, ConfigError)
    assert said in str(refused.exception)
    assert USER not in str(refused.exception) + refused.output
    assert forgotten_users(lake_of(home)) == []


def test_another_key_than_the_lakes_is_refused(home: Path) -> None:
    about = home / "lake" / "simulated" / "lake.json"
    about.write_text(about.read_text().replace('"key": null', '"key": "0123456789abcdef"'))
    done = dayfold(home, "--user", USER, "--yes")
    assert done.returncode == EXIT_REFUSED
    assert "made with another key" in done.stderr


def test_a_dry_run_shows_the_rows_and_leaves_them(home: Path) -> None:
    done = dayfold(home, "--user", USER, "--dry-run")
    assert done.returncode == 0
    assert PSEUDONYM in done.stdout
    assert "clean.profiles" in done.stdout
    assert "Raw files (not touched) of: 2026-01-05" in done.stdout
    assert forgotten_users(lake_of(home)) == []
    assert lake_of(home).read(PROFILES, ["2026-01-05"]).num_rows == 1


def test_the_end_says_what_was_done_and_what_is_left(home: Path) -> None:
    done = dayfold(home, "--user", "-", "--reason", "by letter", "--yes", typed=f"{USER}\n")
    assert done.returncode == 0, done.stderr
    assert "clean.profiles: 1 rows of 1 days" in done.stdout
    assert "Done: 1 rows of 1 tables are erased" in done.stdout
    assert "Left: raw files" in done.stdout
    lake = lake_of(home)
    assert lake.read(PROFILES, ["2026-01-05"]).num_rows == 0
    stone = tombstone_of(lake, PSEUDONYM)
    assert stone is not None
    assert (stone.state, stone.reason, stone.removed) == ("done", "by letter", {PROFILES.key: 1})
    assert lake.delta(EVENTS) is None
    again = dayfold(home, "--pseudonym", PSEUDONYM, "--yes")
    assert "Forgotten on 20" in again.stdout
    assert "UTC: nothing is left." in again.stdout
    assert again.returncode == 0
