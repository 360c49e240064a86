"""Logs of sessions in periods, as the incremental protocol of ADER has them (Mi et al. 2020).

A folder holds `period_0`, `period_1`, ... (`.txt` or `.txt.gz`); a line is `session item`, and the
lines of a session stand in the order of its clicks. Letters: C clicks, S sessions, V items.
"""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_NAME = re.compile(r"period_(\d+)\.txt(\.gz)?")


@dataclass(frozen=True)
class Sessions:
    """Sessions one after the other, by the time of their last click."""

    items: Ints
    """(C,) in the order of the clicks within each session."""
    starts: Ints
    """(S + 1,) where each session begins in `items`, and the end of the last."""

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self.starts) - 1

    @property
    def session(self) -> Ints:
        """(C,) the session of each click."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def of_known(self, known: Bools) -> Sessions:
        """Without the clicks on other items than `known` (V,), and the sessions of one click left.

        What the protocol does with the test of a period: an item that was never seen can be
        neither asked for nor recommended.
        """
        kept = known[self.items]
        session = self.session
        clicks = np.bincount(session[kept], minlength=len(self))
        kept &= clicks[session] > 1
        return Sessions(self.items[kept], _starts(session[kept]))


def joined(periods: list[Sessions]) -> Sessions:
    """All sessions of `periods`, in their order."""
    ends = np.cumsum([0, *(len(period.items) for period in periods)])
    starts = [period.starts[:-1] + end for period, end in zip(periods, ends, strict=False)]
    items = np.concatenate([period.items for period in periods])
    return Sessions(items, np.append(np.concatenate(starts), len(items)))


def load_periods(folder: Path) -> tuple[list[Sessions], int]:
    """The periods of `folder` and V; items are numbered as they first occur.

    Raises:
        SystemExit: the folder has no periods, misses one of them, or a line is none.
    """
    found = {int(m[1]): p for p in folder.glob("period_*") if (m := _NAME.fullmatch(p.name))}
    if not found or sorted(found) != list(range(len(found))):
        sys.exit(
            f"{folder} has the periods {sorted(found)}, expected period_0.txt(.gz), period_1 and "
            "so on. Next: --source DIR names such a folder."
        )
    number: dict[str, int] = {}
    return [_period(found[k], number) for k in range(len(found))], len(number)


def _period(path: Path, number: dict[str, int]) -> Sessions:
    sessions: list[str] = []
    items: list[int] = []
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for at, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) != len(("session", "item")):
                sys.exit(f"{path} line {at}: {line[:60]!r}, expected two words, `session item`")
            sessions.append(words[0])
            items.append(number.setdefault(words[1], len(number)))
    _, session = np.unique(np.array(sessions), return_inverse=True)
    last = np.zeros(session.max(initial=-1) + 1, dtype=np.int64)
    np.maximum.at(last, session, np.arange(len(session)))
    when = last[session]
    order = np.argsort(when, kind="stable")
    return Sessions(np.array(items, dtype=np.int64)[order], _starts(when[order]))


def _starts(session: Ints) -> Ints:
    """Where each session begins in the ascending `session` of each click, and the end."""
    if not len(session):
        return np.zeros(1, dtype=np.int64)
    new = np.flatnonzero(np.diff(session)) + 1
    return np.concatenate([[0], new, [len(session)]])


__all__ = ["Bools", "Ints", "Sessions", "joined", "load_periods"]
