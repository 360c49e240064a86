"""What a scorer is asked about, as NumPy arrays: entities with their features, and pairs of them.

Letters: n rows, C categorical attributes, W_f widest list of multi attribute f, S numeric features,
L history length, R neighbours with F affinities, X context fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.features.words import Words, joined

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Instants = NDArray[np.datetime64]
Selection = slice | NDArray[np.bool_] | NDArray[np.integer]
Array = TypeVar("Array", Int32, Int64, Float32)

PADDING = -1
"""Fills the lists of multi attributes; histories are padded with 0, the unknown item."""


@dataclass(frozen=True)
class Side:
    """Users, or items, each as known at one instant."""

    index: Int32
    """(n,) vocabulary ids; 0 = unknown."""
    categorical: Int32
    """(n, C) vocabulary ids of the categorical and binned attributes, in declared order."""
    multi: tuple[Int32, ...]
    """One (n, W_f) array per multi attribute, in declared order, padded with -1."""
    numeric: Float32
    """(n, S) numeric features, of order one."""
    history: Int32
    """(n, L) users: last positive items, newest first, padded with 0; items: L = 0."""
    neighbours: Int32 | None = None
    """(n, R) users: items to which affinities are known, padded with 0; None = not computed."""
    affinity: Float32 | None = None
    """(n, R, F) how each neighbour goes with the history, of order one; see
    `training.features.neighbours`."""
    text: Int64 | None = None
    """(n, K) numbers of texts, 0 = none. Items: K = 1. Users: their last items' texts, newest
    first, then their profile's words; see `training.features.texts`. None = not read."""
    words: Words | None = None
    """What the numbers stand for."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.index)

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Every array that is there, in a fixed order."""
        yield from (self.index, self.categorical, *self.multi, self.numeric, self.history)
        yield from (
            part for part in (self.neighbours, self.affinity, self.text) if part is not None
        )

    def take(self, rows: Selection) -> Side:
        """The rows that `rows` selects (positions, a mask or a slice), in its order."""
        return Side(
            self.index[rows],
            self.categorical[rows],
            tuple(values[rows] for values in self.multi),
            self.numeric[rows],
            self.history[rows],
            None if self.neighbours is None else self.neighbours[rows],
            None if self.affinity is None else self.affinity[rows],
            None if self.text is None else self.text[rows],
            self.words,
        )


@dataclass(frozen=True)
class Rows:
    """Pairs of a user and an item in a context; the three are aligned."""

    user: Side
    item: Side
    context: Int32
    """(n, X): hour 0-23, weekday 0-6, then the dataset's context fields in declared order."""

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.user)

    def take(self, rows: Selection) -> Rows:
        """The pairs that `rows` selects, in its order."""
        return Rows(self.user.take(rows), self.item.take(rows), self.context[rows])


def concatenate_sides(sides: Sequence[Side]) -> Side:
    """The rows of `sides`, one after the other; lists are padded to the widest."""
    multi = tuple(
        _stack([side.multi[field] for side in sides]) for field in range(len(sides[0].multi))
    )
    return Side(
        np.concatenate([side.index for side in sides]),
        np.concatenate([side.categorical for side in sides]),
        multi,
        np.concatenate([side.numeric for side in sides]),
        np.concatenate([side.history for side in sides]),
        _optional([side.neighbours for side in sides]),
        _optional([side.affinity for side in sides]),
        _optional([side.text for side in sides]),
        joined([side.words for side in sides]),
    )


def _optional(parts: Sequence[Array | None]) -> Array | None:
    """The parts one after the other; None where none of them is there.

    Raises:
        ValueError: only some are there.
    """
    there = [part for part in parts if part is not None]
    if not there:
        return None
    if len(there) != len(parts):
        raise ValueError("Sides with neighbours or texts cannot be joined with sides without.")
    return np.concatenate(there)


def _stack(lists: Sequence[Int32]) -> Int32:
    stacked = np.full(
        (sum(len(part) for part in lists), max(part.shape[1] for part in lists)),
        PADDING,
        dtype=np.int32,
    )
    start = 0
    for part in lists:
        stacked[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return stacked
