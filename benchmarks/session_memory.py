"""What past sessions say of the next item, folded forward period by period; nothing is trained.

Letters: V items, N prefixes, L newest items of a prefix, S sessions kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.sessions import Ints, Sessions, joined

Scores = sparse.csr_matrix
"""(N, V), or (V, V): what is not stored is 0."""

DISTANCE = 4
"""Clicks between two items that are still counted together."""
SESSIONS_PER_ITEM = 1000
NEIGHBOURS = 300
LAG_POWER = 0.7
"""The k-th newest item of a prefix counts k ** -LAG_POWER when neighbours are looked for."""
LENGTH = 10
"""Newest items of a prefix that are looked at."""
_AT_ONCE = 4000


@dataclass(frozen=True)
class Counts:
    """How often one item followed another, by distance; older periods count less."""

    half_life: float
    """In periods; inf = nothing is forgotten."""
    by_distance: tuple[Scores, ...]

    @staticmethod
    def empty(items: int, half_life: float) -> Counts:
        """Nothing counted yet."""
        nothing = sparse.csr_matrix((items, items), dtype=np.float32)
        return Counts(half_life, (nothing,) * DISTANCE)

    def with_period(self, period: Sessions) -> Counts:
        """The counts after a further period, whose own weight is 1."""
        kept = np.float32(0.5 ** (1 / self.half_life))
        session = period.session
        counted = []
        for distance, before in enumerate(self.by_distance, start=1):
            within = session[:-distance] == session[distance:]
            pair = (period.items[:-distance][within], period.items[distance:][within])
            ones = np.ones(len(pair[0]), dtype=np.float32)
            counted.append(before * kept + sparse.csr_matrix((ones, pair), shape=before.shape))
        return replace(self, by_distance=tuple(counted))

    def around(self, distance: int, reach: int) -> Scores:
        """(V, V) counts up to `reach` away from `distance`, each over 1 + how far it is away."""
        near = range(max(1, distance - reach), min(DISTANCE, distance + reach) + 1)
        return sum(self.by_distance[d - 1] / np.float32(1 + abs(d - distance)) for d in near)


@dataclass(frozen=True)
class SessionMemory:
    """The newest SESSIONS_PER_ITEM sessions of each item (session-kNN, Jannach & Ludewig 2017)."""

    items: int
    sessions: Sessions = field(
        default_factory=lambda: Sessions(np.zeros(0, np.int64), np.zeros(1, np.int64))
    )

    def with_period(self, period: Sessions) -> SessionMemory:
        """The memory after a further period; sessions that no item needs any more are dropped."""
        both = joined([self.sessions, period])
        needed = np.zeros(len(both), dtype=np.bool_)
        needed[self._by_item(both).indices] = True
        kept = needed[both.session]
        lengths = np.diff(both.starts)[needed]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return replace(self, sessions=Sessions(both.items[kept], starts))

    def scores(self, prefixes: Ints) -> Scores:
        """(N, V) of `prefixes` (N, L): each item's summed similarity over the nearest sessions."""
        by_item = self._by_item(self.sessions)
        by_session = self._holds(self.sessions)
        parts = []
        for first in range(0, len(prefixes), _AT_ONCE):
            wanted = _weighted(prefixes[first : first + _AT_ONCE], self.items)
            parts.append(largest(wanted @ by_item, NEIGHBOURS) @ by_session)
        return sparse.vstack(parts, format="csr")

    def _holds(self, sessions: Sessions) -> Scores:
        """(S, V): 1 where a session holds an item."""
        cells = (np.ones(len(sessions.items), np.float32), (sessions.session, sessions.items))
        holds = sparse.csr_matrix(cells, shape=(len(sessions), self.items))
        holds.data[:] = 1
        return holds

    def _by_item(self, sessions: Sessions) -> Scores:
        """(V, S): 1 where a session is among the newest of an item."""
        found = self._holds(sessions).T.tocsr()
        found.sort_indices()
        number = np.diff(found.indptr)
        back = np.repeat(found.indptr[1:], number) - np.arange(found.nnz)  # 1 = the newest
        found.data *= back <= SESSIONS_PER_ITEM
        found.eliminate_zeros()
        return found


def chosen(items: Ints, size: int) -> Scores:
    """(N, V): 1 at each of `items` (N,), nothing where it is negative."""
    there = np.flatnonzero(items >= 0)
    cells = (np.ones(len(there), np.float32), (there, items[there]))
    return sparse.csr_matrix(cells, shape=(len(items), size))


def shares(scores: Scores) -> Scores:
    """`scores` with rows that sum to one, or to nothing."""
    totals = np.asarray(scores.sum(axis=1)).ravel()
    found: Scores = (sparse.diags(1 / np.maximum(totals, 1e-9)) @ scores).tocsr()
    return found.astype(np.float32)


def _weighted(prefixes: Ints, size: int) -> Scores:
    """(N, V) weight of each item of a prefix, at its newest place."""
    rows, items, weights = [], [], []
    for lag in range(prefixes.shape[1]):
        newest = prefixes[:, lag] >= 0
        newest &= ~(prefixes[:, :lag] == prefixes[:, lag : lag + 1]).any(axis=1)
        row = np.flatnonzero(newest)
        rows.append(row)
        items.append(prefixes[row, lag])
        weights.append(np.full(len(row), (lag + 1) ** -LAG_POWER, dtype=np.float32))
    cells = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(items)))
    return sparse.csr_matrix(cells, shape=(len(prefixes), size))


def largest(similarity: Scores, most: int) -> Scores:
    """The `most` largest cells of each row; ties: the newer session."""
    similarity.sort_indices()
    kept = np.ones(similarity.nnz, dtype=np.bool_)
    for row in np.flatnonzero(np.diff(similarity.indptr) > most):
        first, end = similarity.indptr[row], similarity.indptr[row + 1]
        values: npt.NDArray[np.float64] = similarity.data[first:end].astype(np.float64)
        values += np.arange(end - first) * 1e-9
        kept[first:end] = False
        kept[first + np.argpartition(-values, most)[:most]] = True
    similarity.data *= kept
    similarity.eliminate_zeros()
    return similarity
