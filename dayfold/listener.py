"""Airflow's task events as lines of progress."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.listeners import hookimpl
from airflow.sdk.listener import get_listener_manager

from dayfold.launch import end_running_step
from dayfold.progress import Progress


class TaskLines:
    """Shows each task of a DAG run in this process; keeps the messages of those that failed."""

    def __init__(
        self, progress: Progress, scorers: tuple[str, ...], summary_of: Callable[[str], str]
    ) -> None:
        self.failures: dict[str, str] = {}
        self._progress = progress
        self._scorers = scorers
        self._summary_of = summary_of
        self._started = 0.0

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        """A task begins."""
        # Airflow has just taken these signals for the task, and would try it again.
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)
        self._started = time.perf_counter()
        self._progress.started(self._name(task_instance))

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """A task ended well."""
        name = self._name(task_instance)
        self._progress.finished(name, time.perf_counter() - self._started, self._summary_of(name))

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: object) -> None:
        """A task ended badly (and is not tried again)."""
        name = self._name(task_instance)
        self.failures[name] = str(error)
        self._progress.failed(name, str(error))

    def _stop(self, number: int, _: object) -> None:
        """Whoever ends this command means all of it; what a killed step leaves is made good."""
        try:
            end_running_step()
            self._progress.last_word(self._progress.when_stopped)
        finally:
            os._exit(128 + number)

    def _name(self, task_instance: Any) -> str:
        step = str(task_instance.task_id)
        index = task_instance.map_index
        return step if index is None or index < 0 else f"{step}.{self._scorers[index]}"


@contextmanager
def listening(lines: TaskLines) -> Iterator[None]:
    """While inside, Airflow reports its task instances to `lines`."""
    manager = get_listener_manager()
    manager.add_listener(lines)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        manager.pm.unregister(lines)
