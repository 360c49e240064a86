"""Who may write to a lake at once, on one machine: any number of steps, or one who erases.

A lock is the kernel's: it ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conf.errors import ConcurrentWrite

_FILE = "steps.lock"
_SERVING = "serving.lock"


@contextmanager
def stepping(root: Path) -> Iterator[None]:
    """Within it nobody erases from the lake at `root`.

    Raises:
        ConcurrentWrite: somebody does.
    """
    with _locked(root, fcntl.LOCK_SH, "`dayfold forget` or `dayfold upkeep` is at work"):
        yield


@contextmanager
def erasing(root: Path) -> Iterator[None]:
    """Within it no step runs on the lake at `root`, and nobody else erases.

    A step could put back what has just been erased.

    Raises:
        ConcurrentWrite: one does.
    """
    with _locked(root, fcntl.LOCK_EX, "A step, `dayfold forget` or `dayfold upkeep` is at work"):
        yield


@contextmanager
def changing_what_serves(root: Path) -> Iterator[None]:
    """Within it nobody else changes what serves from the lake at `root`.

    Raises:
        ConcurrentWrite: somebody does.
    """
    said = "Step promote, or `dayfold approve`, `reject`, `rollback` or `release`, is at work"
    with _locked(root, fcntl.LOCK_EX, said, _SERVING):
        yield


@contextmanager
def _locked(root: Path, kind: int, otherwise: str, file: str = _FILE) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / file).open("a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConcurrentWrite(
                f"{otherwise} in {root}. Next: wait for its end, then run the same command again."
            ) from error
        yield
