"""Next items to be predicted, and the place that scores give them. N predictions, V items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.session_memory import LENGTH, Scores
from benchmarks.sessions import Bools, Ints, Sessions

MISS = 1 << 30
"""Place of an item that has no score."""
PREFIX_LENGTHS = 4
"""Prefixes of 1, 2, 3 and of more items have weights of their own."""
_AT_ONCE = 8_000


@dataclass(frozen=True)
class Predictions:
    """N items to be predicted."""

    target: Ints
    """(N,)."""
    prefix: Ints
    """(N, LENGTH) items before it, newest first; -1 = none, or one that was never seen."""

    @staticmethod
    def of(sessions: Sessions, known: Bools) -> Predictions:
        """Every click but the first of each session."""
        place = np.arange(len(sessions.items)) - sessions.starts[:-1][sessions.session]
        at = np.flatnonzero(place > 0)
        prefix = np.full((len(at), LENGTH), -1, dtype=np.int64)
        seen = np.where(known[sessions.items], sessions.items, -1)
        for lag in range(1, LENGTH + 1):
            there = place[at] >= lag
            prefix[there, lag - 1] = seen[at[there] - lag]
        return Predictions(sessions.items[at], prefix)

    @staticmethod
    def none() -> Predictions:
        """Nothing to be predicted."""
        return Predictions(np.empty(0, dtype=np.int64), np.empty((0, LENGTH), dtype=np.int64))

    @staticmethod
    def joined(parts: list[Predictions]) -> Predictions:
        """All of `parts`, in their order."""
        return Predictions(
            np.concatenate([part.target for part in parts]),
            np.concatenate([part.prefix for part in parts]),
        )

    def __len__(self) -> int:
        """N."""
        return len(self.target)

    def take(self, rows: Ints | slice) -> Predictions:
        """Some of them."""
        return Predictions(self.target[rows], self.prefix[rows])

    def drawn(self, most: int, seed: int) -> Predictions:
        """At most so many of them."""
        if len(self) <= most:
            return self
        return self.take(np.random.default_rng(seed).choice(len(self), most, replace=False))

    def parts(self) -> Iterator[Predictions]:
        """Pieces that fit into memory."""
        for first in range(0, len(self), _AT_ONCE):
            yield self.take(slice(first, first + _AT_ONCE))

    @property
    def length_class(self) -> Ints:
        """(N,) which weights each prefix has."""
        return np.clip((self.prefix >= 0).sum(axis=1), 1, PREFIX_LENGTHS) - 1


def places(scores: Scores, target: Ints) -> Ints:
    """(N,) place of each target in its row, from 1; ties go to the lower item."""
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    own = score_of(scores, target)[rows]
    ahead = (scores.data > own) | ((scores.data == own) & (scores.indices < target[rows]))
    place = 1 + np.bincount(rows[ahead], minlength=scores.shape[0])
    return np.where(score_of(scores, target) > 0, place, MISS)


def score_of(scores: Scores, target: Ints) -> npt.NDArray[np.float64]:
    """(N,) score of each target in its row; 0 = it has none."""
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    hit = scores.indices == target[rows]
    found = np.zeros(scores.shape[0])
    found[rows[hit]] = scores.data[hit]
    return found
