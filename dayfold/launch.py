"""How a DAG's task starts a step: in this process (`inline`) or as a command (`subprocess`).

Imports no engine: the inline launcher finds its code by name when the task runs.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from conf.errors import ConcurrentWrite, ConfigError, DayfoldError, OnlineStoreError
from feature_store.raw_zone import RawZone

INLINE = "dayfold.inline:run"
EXIT_FAILED = 1
"""Exit code of `dayfold` when trying again may help."""
EXIT_REFUSED = 2
"""Exit code of `dayfold` for a user's mistake or a refused day: trying again does not help."""

_running: subprocess.Popen[str] | None = None
"""The step's process that this task waits for."""


def may_begin(raw: str, ds: str) -> bool:
    """Whether the run of `ds` need not wait: its log is complete, or nobody seems to write it.

    Then `open_day` says what is missing, at once.
    """
    zone = RawZone(Path(raw))
    return zone.is_complete(ds) or not zone.is_expected(ds)


def launch_if_decided(
    decision: dict[str, Any] | None, launcher: str, name: str, ds: str, scorer: str | None = None
) -> dict[str, Any]:
    """As `launch`, for a step that runs even when others before it failed.

    Raises:
        AirflowSkipException: this run did not get as far as its drift decision, which is what an
            earlier run of the same day left behind must not hide.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    if decision is None:
        raise AirflowSkipException(f"{ds} did not get as far as its drift decision.")
    return launch(launcher, name, ds, scorer)


def launch(launcher: str, name: str, ds: str, scorer: str | None = None) -> dict[str, Any]:
    """Run step `name` of `ds`; give its facts (`summary`, and for check_drift `train`).

    Raises:
        AirflowFailException: the step refused; Airflow does not try again.
        RuntimeError: the step's process died; Airflow may try again.
    """
    from airflow.sdk.exceptions import AirflowFailException

    try:
        if launcher == "inline":
            module, function = INLINE.split(":")
            facts: dict[str, Any] = getattr(importlib.import_module(module), function)(
                name, ds, scorer
            )
            return facts
        return _run_command(step_command(name, ds, scorer))
    except (ConcurrentWrite, OnlineStoreError):
        raise
    except DayfoldError as error:
        raise AirflowFailException(str(error)) from error


def step_command(name: str, ds: str, scorer: str | None) -> list[str]:
    """The command line that runs one step and prints its facts as JSON on the last line."""
    command = [_program(), "step", name, "--ds", ds, "--json"]
    return [*command, "--scorer", scorer] if scorer else command


def launch_answer(answer: str, version: int, reason: str, by: str) -> dict[str, Any]:
    """Run `dayfold approve`, or `reject`, in a process of its own; give its facts.

    Args:
        answer: `approve` or `reject`.
        version: the one that waits.
        reason: in the human's words.
        by: who it was.

    Raises:
        AirflowFailException: the answer came too late, or is no answer; trying again is no use.
        RuntimeError: the process died; Airflow may try again, which goes on with it.
    """
    from airflow.sdk.exceptions import AirflowFailException

    command = [_program(), answer, str(version), f"--reason={reason}", f"--by={by}", "--json"]
    try:
        return _run_command(command)
    except DayfoldError as error:
        raise AirflowFailException(str(error)) from error


def _program() -> str:
    """The path of `dayfold`.

    Raises:
        ConfigError: it is not installed here.
    """
    beside_python = Path(sys.executable).parent / "dayfold"
    program = str(beside_python) if beside_python.exists() else shutil.which("dayfold")
    if program is None:
        raise ConfigError(
            "`dayfold` is not on PATH. Next: install Dayfold where Airflow's tasks run."
        )
    return program


def _run_command(command: list[str]) -> dict[str, Any]:
    """The facts on the last line of what `command` prints; its other lines are passed on."""
    last_line = ""
    global _running  # noqa: PLW0603 - a signal's handler has no other way to know
    # Standard error is inherited: what an engine says while it ends must not hide the facts.
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        _running = process
        try:
            assert process.stdout is not None  # noqa: S101
            for line in process.stdout:
                last_line = line.rstrip() or last_line
                print(line, end="", flush=True)  # noqa: T201
            code = process.wait()
        finally:
            end_running_step()
            _running = None
    facts = _facts(last_line)
    if code == EXIT_REFUSED:
        raise DayfoldError(str(facts.get("error", f"{' '.join(command)} was refused.")))
    if code == -signal.SIGKILL:
        raise RuntimeError(
            f"{' '.join(command)} was killed (exit code -9), as the kernel does when memory runs "
            "out. Next: see `dmesg`; give the machine more memory or lower spark.driver_memory, "
            "training.batch_size or training.replay_rows in conf/base.yaml; then clear this task."
        )
    if code != 0 or not facts:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {code}: {last_line}")
    return facts


def end_running_step() -> None:
    """A task that is killed must not leave its step writing in the background."""
    if _running is not None and _running.poll() is None:
        os.killpg(_running.pid, signal.SIGKILL)


def _facts(line: str) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError:
        facts = None
    return facts if isinstance(facts, dict) else {}
