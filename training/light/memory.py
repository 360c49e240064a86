"""A memory of item sequences: what those who took the same items took as well.

Letters: S sequences of W items, V items known to the memory, B histories of L items, M items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SEQUENCES = 20_000
"""Sequences that a memory holds: those of the users who took something last."""
LENGTH = 20
"""Newest items of each."""
EVIDENCE = ("votes", "follows")

_NEWEST_PER_ITEM = 1000
"""Of those who took an item, how many are looked at: the newest, whatever the item's popularity."""
_NEIGHBOURS = 300
_PLACE_POWER = 0.7
"""The k-th newest item of a history counts k ** -_PLACE_POWER when neighbours are looked for."""
_REACH = 4
"""Items between which an order is counted are at most so far apart."""
_PRIOR = 0.3
"""Added to what was observed and to what chance would give, so that little is no evidence."""
_AT_ONCE = 256


@dataclass(frozen=True)
class Memory:
    """S sequences with lists of who holds an item, and of what followed it."""

    sequences: Int32
    """(S, W) item ids: rows from the newest user to the oldest, items from newest; 0 = padding."""

    def evidence(self, history: Int32, items: Int32, pair: Int64) -> Float32:
        """(B, P, 2) log of observed over expected by chance, by `EVIDENCE`; 0 = as by chance.

        `votes`: how often the nearest sequences hold the item (session-kNN, Jannach and Ludewig
        2017). `follows`: how often it came soon after the newest items of the history.

        Args:
            history: (B, L) item ids, newest first; 0 = padding.
            items: (M,) item ids.
            pair: (B, P) positions in `items`.
        """
        found = np.zeros((*pair.shape, len(EVIDENCE)), dtype=np.float32)
        if not self._held.nnz or not pair.size:
            return found
        distinct, row = np.unique(self._known(history), axis=0, return_inverse=True)
        order = np.argsort(row, kind="stable")
        for first in range(0, len(distinct), _AT_ONCE):
            ours = order[(row[order] >= first) & (row[order] < first + _AT_ONCE)]
            asked, at = np.unique(pair[ours], return_inverse=True)
            at = at.reshape(len(ours), -1)
            known = self._known(items[asked])
            histories = distinct[first : first + _AT_ONCE]
            for place, lifts in enumerate((self._votes, self._follows)):
                observed, expected = lifts(histories, known)
                lift = np.log((observed + _PRIOR) / (expected + _PRIOR))
                lift[:, known == 0] = 0.0
                found[ours, :, place] = lift[(row[ours] - first)[:, None], at]
        return found

    def _known(self, ids: Int32) -> Int32:
        """`ids` with those that no sequence can hold read as 0."""
        return np.where(ids < self._size, ids, 0)

    def _votes(self, histories: Int32, items: Int32) -> tuple[Float64, Float64]:
        nearest = _nearest(self._weighted(histories) @ self._newest @ self._shortness)
        total = np.asarray(nearest.sum(axis=1)).ravel()
        squares = np.asarray(nearest.multiply(nearest).sum(axis=1)).ravel()
        effective = total**2 / np.maximum(squares, 1e-12)
        shares = (nearest @ self._held_by_item[:, items]).toarray()
        shares /= np.maximum(total, 1e-12)[:, None]
        by_chance = self._degree[items] / max(int((self.sequences[:, 0] > 0).sum()), 1)
        return effective[:, None] * shares, effective[:, None] * by_chance

    def _follows(self, histories: Int32, items: Int32) -> tuple[Float64, Float64]:
        newest = histories[:, :_REACH]
        row, lag = np.nonzero(newest)
        cells = (1.0 / (lag + 1.0), (row, newest[row, lag]))
        asked = sparse.csr_matrix(cells, shape=(len(histories), self._size))
        counts = self._followed.sum(axis=0).A1[items]
        total = asked @ self._followed.sum(axis=1).A1
        by_chance = counts / max(self._followed.sum(), 1e-12)
        return (asked @ self._followed_by_item[:, items]).toarray(), total[:, None] * by_chance

    def _weighted(self, histories: Int32) -> sparse.csr_matrix:
        """(B, V) weight of each item of a history: by its newest place, less if it is common."""
        row, place = np.nonzero(histories)
        item = histories[row, place]
        _, first = np.unique(row * np.int64(self._size) + item, return_index=True)
        row, place, item = row[first], place[first], item[first]
        weight = (place + 1.0) ** -_PLACE_POWER / np.log(2.0 + self._degree[item])
        return sparse.csr_matrix((weight, (row, item)), shape=(len(histories), self._size))

    @cached_property
    def _size(self) -> int:
        return int(self.sequences.max(initial=0)) + 1

    @cached_property
    def _held(self) -> sparse.csr_matrix:
        """(S, V): 1 where a sequence holds an item."""
        row, place = np.nonzero(self.sequences)
        cells = (np.ones(len(row)), (row, self.sequences[row, place]))
        held = sparse.csr_matrix(cells, shape=(len(self.sequences), self._size))
        held.data[:] = 1.0
        return held

    @cached_property
    def _held_by_item(self) -> sparse.csc_matrix:
        return self._held.tocsc()

    @cached_property
    def _degree(self) -> Int64:
        """(V,) sequences that hold each item."""
        degree: Int64 = np.diff(self._held_by_item.indptr)
        return degree

    @cached_property
    def _newest(self) -> sparse.csr_matrix:
        """(V, S): 1 where a sequence is among the newest of an item."""
        found = self._held.T.tocsr()
        found.sort_indices()
        number = np.arange(found.nnz) - np.repeat(found.indptr[:-1], np.diff(found.indptr))
        found.data *= number < _NEWEST_PER_ITEM
        found.eliminate_zeros()
        return found

    @cached_property
    def _shortness(self) -> sparse.dia_matrix:
        return sparse.diags(1.0 / np.sqrt(1.0 + np.diff(self._held.indptr)))

    @cached_property
    def _followed(self) -> sparse.csr_matrix:
        """(V, V) how often the second came after the first, each over how far apart they were."""
        counts = sparse.csr_matrix((self._size, self._size))
        for apart in range(1, _REACH + 1):
            newer, older = self.sequences[:, :-apart].ravel(), self.sequences[:, apart:].ravel()
            there = (newer > 0) & (older > 0)
            cells = (np.full(there.sum(), 1.0 / apart), (older[there], newer[there]))
            counts = counts + sparse.csr_matrix(cells, shape=counts.shape)
        return counts

    @cached_property
    def _followed_by_item(self) -> sparse.csc_matrix:
        return self._followed.tocsc()


def _nearest(similarity: sparse.csr_matrix) -> sparse.csr_matrix:
    """The largest cells of each row; of equal ones those of the newer sequences."""
    similarity.sort_indices()
    kept = np.ones(similarity.nnz, dtype=np.bool_)
    for row in np.flatnonzero(np.diff(similarity.indptr) > _NEIGHBOURS):
        first, end = similarity.indptr[row], similarity.indptr[row + 1]
        best = np.argsort(-similarity.data[first:end], kind="stable")[:_NEIGHBOURS]
        kept[first:end] = False
        kept[first + best] = True
    similarity.data *= kept
    similarity.eliminate_zeros()
    return similarity
