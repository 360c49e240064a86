"""Kinds of evidence for the next item, all of them counted: a period is folded in, nothing trained.

Letters: V items, N prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.next_item import PREFIX_LENGTHS, Predictions, score_of
from benchmarks.session_memory import Counts, Scores, SessionMemory, chosen, largest, shares
from benchmarks.sessions import Bools, Ints, Sessions

HALF_LIFE, SHORT_HALF_LIFE = 6.0, 1.0
"""In periods, of the counts."""
NEIGHBOURS = 9
"""Place of session-kNN among the kinds of evidence."""
_NEAR_ITEMS, _SECOND_ITEMS = 60, 300
"""Items kept that are one and two steps away from an item."""
_STEPS = 100


@dataclass(frozen=True)
class State:
    """All that is kept of the periods so far; its size does not depend on their number."""

    known: Bools
    """(V,) items seen."""
    popularity: Ints
    """(V,) clicks."""
    latest: Ints
    """(V,) clicks of the newest period."""
    flat: Counts
    slow: Counts
    fast: Counts
    memory: SessionMemory
    newest: SessionMemory
    """Of the newest period alone."""

    @staticmethod
    def empty(items: int) -> State:
        """Before the first period."""
        half_lives = (float("inf"), HALF_LIFE, SHORT_HALF_LIFE)
        flat, slow, fast = (Counts.empty(items, half_life) for half_life in half_lives)
        nothing, memory = np.zeros(items, dtype=np.int64), SessionMemory(items)
        return State(nothing > 0, nothing, nothing, flat, slow, fast, memory, memory)

    def with_period(self, period: Sessions) -> State:
        """After a further period."""
        clicks = np.bincount(period.items, minlength=len(self.known))
        return State(
            self.known | (clicks > 0),
            self.popularity + clicks,
            clicks,
            *(counts.with_period(period) for counts in (self.flat, self.slow, self.fast)),
            self.memory.with_period(period),
            SessionMemory(len(self.known)).with_period(period),
        )

    @cached_property
    def follows(self) -> tuple[tuple[int, Scores], ...]:
        """Which of the newest items (0 = the newest) says what of the next one: (V, V) each."""
        slow, fast = self.slow, self.fast
        around, lately = slow.around(1, 2).tocsr(), fast.around(1, 2).tocsr()
        return (
            (0, slow.around(1, 0).tocsr()),
            (0, around),
            (0, around.T.tocsr()),
            (0, lately),
            (0, lately.T.tocsr()),
            (1, slow.around(2, 1).tocsr()),
            (1, around.T.tocsr()),
            (2, slow.around(3, 1).tocsr()),
            (3, slow.around(4, 1).tocsr()),
        )

    @cached_property
    def two_steps(self) -> Scores:
        """(V, V) items that go with the items that go with an item, as a walk of two steps."""
        both = self.slow.around(1, 3)
        one = shares(largest((both + both.T).tocsr(), _NEAR_ITEMS))
        return shares(largest(one @ one, _SECOND_ITEMS))

    @cached_property
    def support(self) -> tuple[npt.NDArray[np.float32], ...]:
        """(V,) each: log of how often an item was followed, lately, and preceded."""
        sums = [self.follows[place][1].sum(axis=1) for place in (1, 3, 2)]
        return tuple(np.log1p(np.asarray(total).ravel()).astype(np.float32) for total in sums)


def sources(state: State, prefix: Ints) -> list[Scores]:
    """(N, V) each, rows that sum to one: what each kind of evidence says of the next item."""
    newest, second, third, fourth = (chosen(prefix[:, lag], len(state.known)) for lag in range(4))
    places = (newest, second, third, fourth)
    near = newest + second / np.float32(2) + third / np.float32(3)
    found = [
        *(places[lag] @ scores for lag, scores in state.follows),
        state.memory.scores(prefix),
        newest,
        second,
        third,
        near @ state.two_steps,
        state.newest.scores(prefix),
    ]
    return [shares(scores.tocsr()) for scores in found]


def mixed(by_source: list[Scores], weights: npt.NDArray[np.float64], part: Predictions) -> Scores:
    """(N, V) their sum, weighted as the length of each prefix wants it."""
    rows = weights[part.length_class]
    return sum(sparse.diags(rows[:, k]) @ scores for k, scores in enumerate(by_source)).tocsr()


def target_shares(by_source: list[Scores], target: Ints) -> npt.NDArray[np.float64]:
    """(N, sources) what each kind says of the item that came."""
    return np.stack([score_of(scores, target) for scores in by_source], axis=1)


def learned_weights(said: npt.NDArray[np.float64], lengths: Ints) -> npt.NDArray[np.float64]:
    """(PREFIX_LENGTHS, sources) weights under which what came is likeliest, by EM.

    As Jelinek and Mercer (1980) interpolate language models.

    Args:
        said: `target_shares` of what is learned from.
        lengths: (N,) its classes of length.
    """
    number = said.shape[1]
    learned = np.full((PREFIX_LENGTHS, number), 1.0 / number)
    for length in range(PREFIX_LENGTHS):
        mine = said[(lengths == length) & (said.sum(axis=1) > 0)]
        for _ in range(_STEPS if len(mine) else 0):
            part = mine * learned[length]
            learned[length] = (part / part.sum(axis=1, keepdims=True).clip(1e-300)).mean(axis=0)
    return learned
