"""The command line: teaches, refuses with one message, loads no engine for its help."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from conf.dataset import load_dataset
from dayfold import launch as launcher
from dayfold.launch import end_running_step, launch, launch_if_decided
from dayfold.lists import PublishedList, list_table
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.ledger import close_day, closed_days
from feature_store.locks import stepping
from tests.dayfold.in_process import Ended, in_process

JANUARY = ("--from", "2026-01-01", "--to", "2026-01-02")
DAYFOLD = str(Path(sys.executable).parent / "dayfold")


def dayfold(home: Path, *arguments: str) -> Ended:
    return in_process(Path.cwd(), {"DAYFOLD__HOME": str(home)}, *arguments)


def test_help_loads_no_engine() -> None:
    code = (
        "import sys, dayfold.cli; "
        "engines = {'pyspark', 'torch', 'mlflow', 'pandas', 'pyarrow', 'airflow'}; "
        "print(sorted(engines & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "audit",
        "demo",
        "run",
        "step",
        "status",
        "day",
        "recommend",
        "ui",
        "simulate",
        "import",
        "quarantine",
        "report",
        "setup",
        "upkeep",
        "lineage",
        "forget",
        "pool",
        "serve",
        "rollback",
        "release",
        "history",
    ],
)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = dayfold(tmp_path, command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--from", "2026-1-1", "--to", "2026-01-02"), "--from is '2026-1-1'"),
        (("run", "--from", "2026-01-01", "--to", "2026-01-02"), "dayfold simulate"),
        (("run", "--dataset", "nope", "--from", "2026-01-01", "--to", "2026-01-02"), "simulated"),
        (("step", "dance", "--ds", "2026-01-01"), "clean_events"),
        (("step", "train", "--ds", "2026-01-01"), "--scorer, one of two_tower, mlp"),
        (("step", "train", "--ds", "2026-01-01", "--scorer", "svd"), "--scorer 'svd'"),
        (("status", "--dataset", r"a\d"), r"Dataset 'a\\d' is not declared"),
        (("day", "waive", "2026-01-01", "--reason", " "), "--reason is empty"),
        (("step", "recommend", "--ds", "2026-01-01"), "has not finished"),
        (("recommend", "--user", "u1"), "no lists"),
        (("report",), "make demo"),
        (
            (
                "simulate",
                "--raw",
                "x",
                "--from",
                "2026-01-01",
                "--to",
                "2026-01-02",
                "--drift",
                "x",
            ),
            "DAY:KIND",
        ),
    ],
)
def test_a_users_mistake_ends_in_a_message_not_in_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = dayfold(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_in_a_message_names_the_dataset_that_it_is_about(tmp_path: Path) -> None:
    arguments = ("step", "recommend", "--ds", "2026-01-01", "--dataset", "movietweetings")
    said = dayfold(tmp_path, *arguments).stderr
    assert "`dayfold step --dataset movietweetings " in said
    known = ("recommend", "--user", "u1", "--dataset", "movietweetings")
    assert dayfold(tmp_path, *known).stderr.count("--dataset movietweetings") == 1


def test_status_of_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    assert "make demo" in dayfold(tmp_path, "status").stdout
    assert json.loads(dayfold(tmp_path, "status", "--json").stdout) == {"days": []}


def test_a_day_can_be_waived_once_open(tmp_path: Path) -> None:
    done = dayfold(tmp_path, "day", "waive", "2026-01-01", "--reason", "the log was lost")
    assert done.returncode == 0
    days = json.loads(dayfold(tmp_path, "status", "--json").stdout)["days"]
    assert [(day["ds"], day["state"]) for day in days] == [("2026-01-01", "waived")]


def test_a_day_is_not_waived_under_a_running_step(tmp_path: Path) -> None:
    root = Lake(tmp_path / "lake" / "simulated", load_dataset("simulated")).root
    with stepping(root):
        done = dayfold(tmp_path, "day", "waive", "2026-01-01", "--reason", "the log was lost")
    assert done.returncode == 1
    assert "A step, `dayfold forget` or" in done.stderr
    assert json.loads(dayfold(tmp_path, "status", "--json").stdout) == {"days": []}


def test_what_looks_like_an_emoji_is_printed_as_it_is(tmp_path: Path) -> None:
    reason = "lost :x: of :100:"
    said = dayfold(tmp_path, "day", "waive", "2026-01-01", "--reason", reason).stdout
    assert said == f"2026-01-01 is waived: {reason}\n"


def test_missing_java_is_one_clear_line(tmp_path: Path) -> None:
    environment = {**os.environ, "DAYFOLD__HOME": str(tmp_path), "PATH": str(tmp_path)}
    environment.pop("JAVA_HOME", None)
    command = [DAYFOLD, "step", "clean_events", "--ds", "2026-01-01"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Java 17" in done.stderr


def test_days_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    done = dayfold(tmp_path, "run", "--from", "2026-02-04", "--to", "2026-02-03")
    assert done.returncode == 2
    assert "lies after" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_that_is_no_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = dayfold(tmp_path, "status", "--lake", str(tmp_path / "file"))
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_history_does_not_reach_over_days_that_were_run(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "simulated" / "events"
    for ds in days_between("2026-01-01", "2026-02-02"):
        (raw / f"ds={ds}").mkdir(parents=True)
        (raw / f"ds={ds}" / "_SUCCESS").touch()
    lake = Lake(tmp_path / "lake" / "simulated", load_dataset("simulated"))
    close_day(lake, "2026-01-31", "published", "", {}, {})
    span = ("--history-from", "2026-01-01", "--from", "2026-02-02", "--to", "2026-02-02")
    done = dayfold(tmp_path, "run", *span)
    assert done.returncode == 2
    assert "2026-01-31 (published)" in done.stderr
    assert "without --history-from" in done.stderr
    assert closed_days(lake)["2026-01-31"].state == "published"


def test_the_raw_zone_of_somebody_else_is_neither_simulated_into_nor_deleted(
    tmp_path: Path,
) -> None:
    theirs = tmp_path / "raw" / "simulated" / "events" / "ds=2026-01-01" / "part-0.jsonl"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("{}")
    for command in (
        ("simulate", "--raw", str(tmp_path / "raw" / "simulated"), *JANUARY),
        ("demo",),
        ("demo", "--fresh"),
    ):
        done = dayfold(tmp_path, *command)
        assert done.returncode == 2, command
        assert "simulat" in done.stderr
        assert "Traceback" not in done.stderr
        assert theirs.read_text() == "{}"


def test_a_simulation_goes_on_with_the_world_that_is_there(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    size = ("--users", "30", "--items", "20", "--seed", "0", "--drift", "2026-01-02:ctr:-0.5")
    whole, parts = str(raw / "whole"), str(raw / "parts")
    assert dayfold(tmp_path, "simulate", "--raw", whole, *JANUARY, *size).returncode == 0
    first, second = JANUARY[1], JANUARY[3]
    for days in (("--from", first, "--to", first, *size), ("--from", second, "--to", second)):
        done = dayfold(tmp_path, "simulate", "--raw", parts, *days)
        assert done.returncode == 0, done.stderr
    for path in (raw / "whole").rglob("*"):
        other = raw / "parts" / path.relative_to(raw / "whole")
        assert path.is_dir() or path.read_bytes() == other.read_bytes(), path
    done = dayfold(tmp_path, "simulate", "--raw", parts, *JANUARY, "--users", "31")
    assert done.returncode == 2
    assert "users: 30 before, 31 now" in done.stderr


def test_a_refusal_of_a_step_is_told_to_the_launcher_as_json(tmp_path: Path) -> None:
    done = dayfold(tmp_path, "step", "recommend", "--ds", "2026-01-01", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1]) == {"error": done.stderr.strip()}


@pytest.mark.airflow
def test_the_subprocess_launcher_passes_on_facts_and_the_whole_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("DAYFOLD__HOME", str(tmp_path))
    for stream in ("events", "profiles", "items"):
        (tmp_path / "raw" / "simulated" / stream / "ds=2026-01-01").mkdir(parents=True)
    with pytest.raises(AirflowFailException, match=r"are not complete.*_SUCCESS"):
        launch("subprocess", "open_day", "2026-01-01")
    (tmp_path / "raw" / "simulated" / "events" / "ds=2026-01-01" / "_SUCCESS").touch()
    assert launch("subprocess", "open_day", "2026-01-01") == {
        "summary": "1 day(s) complete, 0 event file(s)"
    }
    monkeypatch.setenv("DAYFOLD__RECOMMEND__TOP_N", "-5")
    monkeypatch.setenv("DAYFOLD__TRAINING__SEED", "x")
    with pytest.raises(AirflowFailException, match=r"(?s)training\.seed.*recommend\.top_n"):
        launch("subprocess", "open_day", "2026-01-01")


def test_a_run_that_is_stopped_ends_the_step_that_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = "import os; print(os.getpid(), flush=True); import time; time.sleep(60)"
    command = [sys.executable, "-c", step]
    monkeypatch.setattr("dayfold.launch.step_command", lambda *_: command)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(launch, "subprocess", "open_day", "2026-01-01")
        while (running := launcher._running) is None:
            time.sleep(0.01)
        end_running_step()
        with pytest.raises(RuntimeError, match="exit code -9"):
            waiting.result()
    assert running.poll() is not None


def test_markup_in_a_title_or_an_id_is_shown_as_it_is() -> None:
    entry = {"rank": 1, "item_id": "[/x]", "title": "Scream [tv] (2015)", "score": 1.0}
    entry |= {"source": "popularity", "reason": "because you like [tv]"}
    shown = PublishedList("[/u]", "2026-01-01", True, [entry])
    console = Console(width=120, file=io.StringIO())
    console.print(list_table(shown))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Scream [tv] (2015)" in text
    assert "[/x]" in text
    assert "[/u]" in text
    assert "you like [tv]" in text


@pytest.mark.airflow
def test_promote_does_not_run_where_its_day_was_refused() -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="drift decision"):
        launch_if_decided(None, "inline", "promote", "2026-02-03")
