"""Wrong paths: one line with what is wrong and who named it; reading makes nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from dayfold.mistakes import is_bug, may_pass, message
from tests.dayfold.in_process import Ended, in_process

DAYS = ("--from", "2026-01-01", "--to", "2026-01-01")


def dayfold(folder: Path, home: str, *arguments: str) -> Ended:
    return in_process(folder, {"DAYFOLD__HOME": home}, *arguments)


@pytest.mark.parametrize(
    ("home", "arguments", "said"),
    [
        (".", ("simulate", "--raw", "/proc/nope", *DAYS), "none can be made there (from --raw /pr"),
        (".", ("simulate", "--raw=/proc/nope/deep", *DAYS), "(from --raw /proc/nope/deep). Next: "),
        ("/proc/nope", ("key",), "(from DAYFOLD__HOME /proc/nope). Next: give DAYFOLD__HOME"),
        ("/proc/nope", ("day", "waive", "2026-01-01", "--reason", "x"), "(from DAYFOLD__HOME"),
        (
            ".",
            ("import", "table", "--mapping", "/proc", "--raw", "x"),
            "/proc is a folder, expected a Y",
        ),
        (".", ("report", "--lake", "file"), "file is a file, expected the folder of a lake"),
        ("file", ("key",), "expected a folder (from DAYFOLD__HOME file)"),
    ],
)
def test_a_wrong_path_is_one_line_that_says_who_named_it(
    tmp_path: Path, home: str, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_text("")
    done = dayfold(tmp_path, home, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Next: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("recommend", "--user", "u1"),
        ("report",),
        ("lineage", "examples.examples", "--ds", "2026-01-01"),
        ("lineage", "--model", "1"),
        ("quarantine", "--ds", "2026-01-01"),
    ],
)
def test_what_only_reads_makes_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = dayfold(tmp_path, "home", *arguments)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_status_of_a_lake_that_is_not_there_says_so(tmp_path: Path) -> None:
    said = dayfold(tmp_path, "/proc/nope", "status").stdout
    assert "There is no lake at /proc/nope" in said
    assert "make demo" in said
    nothing = dayfold(tmp_path, "/proc/nope", "status", "--json").stdout
    assert json.loads(nothing) == {"days": []}


@pytest.mark.parametrize(
    "command",
    [
        ("forget", "--user", "u1", "--yes"),
        ("forget", "--pseudonym", "0" * 32),
        ("step", "open_day", "--ds", "2026-01-01"),
        ("step", "recommend", "--ds", "2026-01-01"),
        ("status",),
        ("upkeep",),
        ("report",),
        ("recommend", "--user", "u1"),
        ("quarantine", "--ds", "2026-01-01"),
        ("lineage", "examples.examples", "--ds", "2026-01-01"),
        ("day", "reopen", "2026-01-01"),
        ("day", "waive", "2026-01-01", "--reason", "lost"),
    ],
)
def test_a_lake_is_not_made_of_a_typing_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "raw" / "events" / "ds=2026-01-01").mkdir(parents=True)
    (tmp_path / "raw" / "events" / "ds=2026-01-01" / "_SUCCESS").touch()
    (tmp_path / "other").mkdir()
    for lake in ("typo", "other"):
        done = dayfold(tmp_path, "home", *command, "--lake", lake)
        assert done.returncode == 2, done.stdout
        assert len(done.stderr.splitlines()) == 1
        assert f"There is no lake at {tmp_path / lake}" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "raw"]
    assert list((tmp_path / "other").iterdir()) == []


def test_the_first_step_of_a_first_day_begins_the_lake_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "raw" / "events" / "ds=2026-01-01").mkdir(parents=True)
    (tmp_path / "raw" / "events" / "ds=2026-01-01" / "_SUCCESS").touch()
    step = ("step", "open_day", "--ds", "2026-01-01", "--raw", "raw")
    assert dayfold(tmp_path, "home", *step).returncode == 0
    assert (tmp_path / "home" / "lake" / "simulated" / "lake.json").exists()
    again = dayfold(tmp_path, "home", *step, "--lake", "home/lake/simulated")
    assert again.returncode == 0, again.stderr


def test_the_advice_of_ui_keeps_the_places_that_were_given(tmp_path: Path) -> None:
    places = ("--raw", "r", "--lake", "l", "--dataset", "movietweetings")
    ports = ("--mlflow-port", "5000", "--airflow-port", "5000")
    said = dayfold(tmp_path, "home", "ui", *ports, *places).stderr
    assert "Next: `dayfold ui --dataset movietweetings --raw r --lake l " in said


def test_the_flag_is_named_before_the_variable_that_it_sets() -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file", "/a/b")
    environment = {"DAYFOLD__LAKE": "/a/b/c", "DAYFOLD__HOME": "/a"}
    assert "(from --lake /a/b/c)" in message(error, ["run", "--lake", "/a/b/c"], environment)
    assert "(from DAYFOLD__LAKE /a/b/c)" in message(error, ["run"], environment)
    assert "(from DAYFOLD__HOME /a)" in message(error, [], {"DAYFOLD__HOME": "/a"})
    folder = IsADirectoryError(errno.EISDIR, "Is a directory", "/a")
    given = ["import", "table", "--raw", "/a/raw", "--mapping", "/a"]
    assert "(from --mapping /a)" in message(folder, given, environment)
    assert "name another place (--lake, --raw," in message(error, [], {})


def test_a_full_disk_may_pass_and_a_wrong_path_does_not() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/a/b")
    assert may_pass(full, ["run"])
    assert "/a/b: the disk is full. Next: make room" in message(full, ["--lake", "/a"], {})
    assert not may_pass(NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a"), ["step"])


def test_what_a_step_does_not_find_may_be_there_on_the_next_try() -> None:
    vanished = FileNotFoundError(errno.ENOENT, "No such file", "/a/part-0.parquet")
    assert may_pass(vanished, ["step", "train"])
    assert not may_pass(vanished, ["run"])


def test_an_error_of_no_path_is_not_explained_away() -> None:
    assert is_bug(ConnectionResetError(errno.ECONNRESET, "reset"))
    assert not is_bug(PermissionError(errno.EACCES, "denied", "/a"))
