"""Recall by dot product over the whole catalogue, then the ranker's logits of what was recalled.

Letters: U users, I items of the catalogue, K recalled, D vector width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conf.dataset import DatasetConfig
from training.features.rows import Float32, Int32
from training.scoring.catalogue_ranks import (
    CELLS_AT_ONCE,
    PAIRS_AT_ONCE,
    neutral_context,
    same_moment,
)
from training.scoring.metrics import Ints
from training.scoring.slate import Entries, top_k

if TYPE_CHECKING:
    from training.features.reader import FeatureReader
    from training.scoring.composite import Composite


@dataclass(frozen=True)
class Market:
    """Who gets lists of what, as known when a day ends."""

    users: Int32
    """(U,) vocabulary ids, ascending."""
    catalogue: Int32
    """(I,) vocabulary ids, ascending."""
    taken: Ints
    """Keys `user position * I + item position` of pairs that no list may hold, ascending."""

    def taken_by(self, first: int, last: int) -> Ints:
        """Keys of the users [first, last), counted from `first`."""
        size = len(self.catalogue)
        start, end = np.searchsorted(self.taken, [first * size, last * size])
        return self.taken[start:end] - first * size


def chunks(users: int, items: int, recall_k: int) -> Iterator[tuple[int, int]]:
    """Ranges of users whose scores fit into memory at once."""
    step = min(CELLS_AT_ONCE // max(items, 1), PAIRS_AT_ONCE // max(recall_k, 1))
    for first in range(0, users, max(step, 1)):
        yield first, min(first + max(step, 1), users)


class RecallAndRank:
    """One composite, ready to rank items for users at the end of `ds`."""

    def __init__(
        self,
        composite: Composite,
        reader: FeatureReader,
        market: Market,
        ds: str,
        recall_k: int,
        dataset: DatasetConfig,
    ) -> None:
        self._composite, self._market, self._k, self._dataset = composite, market, recall_k, dataset
        self._at, self._day = reader.at_end_of(ds)
        self._reader = reader
        moment = same_moment(len(market.catalogue), self._at, self._day)
        self._items = reader.items(market.catalogue, *moment)
        self._vectors: Float32 = composite.retriever.item_vectors(self._items)

    def entries(self, first: int, last: int) -> Entries:
        """The recalled items of the users [first, last), counted from `first`, with logits."""
        moment = same_moment(last - first, self._at, self._day)
        users = self._reader.users(self._market.users[first:last], *moment)
        scores = self._composite.retriever.user_vectors(users) @ self._vectors.T
        size = len(self._market.catalogue)
        taken = self._market.taken_by(first, last)
        scores[taken // size, taken % size] = -np.inf
        items = top_k(scores, self._k)
        open_ = np.take_along_axis(scores, items, axis=1) > -np.inf
        context = neutral_context(len(users), self._day, self._dataset)
        logits = self._composite.ranker.list_logits(users, self._items, items, context)
        return Entries(np.nonzero(open_)[0], items[open_], logits[open_])
