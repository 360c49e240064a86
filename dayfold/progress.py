"""What a person sees of a long run: a line per task on the terminal, the rest in a file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from dayfold.hints import complete


class Progress:
    """Prints one line per finished task; on a terminal also what runs now."""

    def __init__(self, console: Console, log_file: Path) -> None:
        self.console = console
        self.log_file = log_file
        self.when_stopped = "Stopped. The same command goes on with the day that was stopped."
        """The last word of a run that somebody ends."""
        self._status: Status | None = None

    def heading(self, text: str) -> None:
        """A line that begins a day or a phase."""
        self._clear()
        self.console.print(f"[bold]{escape(text)}[/bold]")

    def note(self, text: str) -> None:
        """A line that belongs to no task."""
        self._clear()
        self.console.print(escape(complete(text)), highlight=False, soft_wrap=True)

    def last_word(self, text: str) -> None:
        """A line written by a signal's handler.

        The handler may have interrupted a print of this very console, which cannot be entered
        twice: so past it, to the terminal itself.
        """
        with suppress(RuntimeError):
            self._clear()
        os.write(self.console.file.fileno(), f"{complete(text)}\n".encode())

    def started(self, task: str) -> None:
        """`task` runs now."""
        self._clear()
        if self.console.is_terminal:
            self._status = self.console.status(f"  {escape(task)} ...")
            self._status.start()

    def finished(self, task: str, seconds: float, summary: str) -> None:
        """`task` ended well."""
        self._line("[green]ok[/green]  ", task, f"{seconds:6.1f} s", summary)

    def skipped(self, task: str, why: str) -> None:
        """`task` was not needed."""
        self._line("[dim]--[/dim]  ", task, "        ", why)

    def failed(self, task: str, message: str) -> None:
        """`task` ended badly."""
        self._line("[red]FAIL[/red]", task, "        ", message)

    def now(self, text: str) -> None:
        """How far the task that runs now has come."""
        if self._status is not None:
            self._status.update(f"  {escape(text)}")

    def close(self) -> None:
        """End the line of what runs now."""
        self._clear()

    def _line(self, mark: str, task: str, seconds: str, text: str) -> None:
        self._clear()
        line = f"  {mark} {task:<20} {seconds}  {escape(complete(text))}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def _clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Listener(logging.Handler):
    """Hands each line on."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._hear(record.getMessage())


@contextmanager
def steps_heard(hear: Callable[[str], None]) -> Iterator[None]:
    """While inside, what steps log of how far they are (logger `dayfold`) goes to `hear` too."""
    logger, listener = logging.getLogger("dayfold"), _Listener(hear)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


@contextmanager
def progress_to_terminal(logs: Path, name: str) -> Iterator[Progress]:
    """A `Progress` on the terminal while file descriptors 1 and 2 write to a new log file.

    The descriptors themselves are redirected, so that the JVM, Airflow and child processes write
    to the file as well.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log_file = logs / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    with log_file.open("ab", buffering=0) as log, os.fdopen(terminal, "w", closefd=False) as kept:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        progress = Progress(Console(emoji=False, file=kept), log_file)
        try:
            with steps_heard(progress.now):
                yield progress
        finally:
            progress.close()
            kept.flush()
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)
