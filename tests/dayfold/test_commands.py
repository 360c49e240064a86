"""The command line: teaches, refuses with one message, loads no engine for its help."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dayfold.launch import launch_if_decided

DAYFOLD = str(Path(sys.executable).parent / "dayfold")


def dayfold(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DAYFOLD__HOME": str(home)}
    return subprocess.run(
        [DAYFOLD, *arguments], env=environment, capture_output=True, text=True, check=False
    )


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
        "demo",
        "run",
        "step",
        "status",
        "day",
        "recommend",
        "ui",
        "simulate",
        "import",
        "report",
        "setup",
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


def test_status_of_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    assert "make demo" in dayfold(tmp_path, "status").stdout
    assert json.loads(dayfold(tmp_path, "status", "--json").stdout) == {"days": []}


def test_a_day_can_be_waived_once_open(tmp_path: Path) -> None:
    done = dayfold(tmp_path, "day", "waive", "2026-01-01", "--reason", "the log was lost")
    assert done.returncode == 0
    days = json.loads(dayfold(tmp_path, "status", "--json").stdout)["days"]
    assert [(day["ds"], day["state"]) for day in days] == [("2026-01-01", "waived")]


def test_a_port_in_use_is_named_with_the_flag_for_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = dayfold(tmp_path, "ui", "--mlflow-port", str(port))
    assert done.returncode == 2
    assert f"--mlflow-port {port + 1}" in done.stderr


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


@pytest.mark.airflow
def test_promote_does_not_run_where_its_day_was_refused() -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="drift decision"):
        launch_if_decided("inline", "promote", "2026-02-03", None)
