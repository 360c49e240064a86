"""Recall by dot product over the whole catalogue, then the ranker's logits of what was recalled.

Letters: U users, I items of the catalogue, K recalled, D vector width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conf.dataset import DatasetConfig
from training.features.reader import ITEM_NUMERIC
from training.features.rows import Float32, Int32, Rows, Side
from training.light.told import RISING
from training.scoring.catalogue_ranks import (
    CELLS_AT_ONCE,
    PAIRS_AT_ONCE,
    neutral_context,
    same_moment,
)
from training.scoring.entry_reasons import Shelf, reasons_of
from training.scoring.metrics import Bools, Ints
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

    def users(self, first: int, last: int) -> Side:
        """The users [first, last) as known when the day ends."""
        moment = same_moment(last - first, self._at, self._day)
        return self._reader.users(self._market.users[first:last], *moment)

    def reasons(self, users: Side, entries: Entries, names: list[str]) -> list[str]:
        """(n,) why each entry is there, in words.

        Args:
            users: those that `entries` counts.
            entries: of lists, without those that popularity proposed.
            names: (I,) the log's ids of the catalogue.
        """
        # the last two numbers of a vector are biases
        unknown = np.zeros(1, np.int32), *same_moment(1, self._at, self._day)
        shelf = Shelf(
            self._market.catalogue,
            names,
            self._items,
            self._vectors[:, :-2],
            self._reader.users(*unknown),
            self._reader.items(*unknown),
        )
        context = neutral_context(len(entries), self._day, self._dataset)
        rows = Rows(users.take(entries.user), self._items.take(entries.item), context)
        return reasons_of(self._composite.ranker, rows, entries.item, shelf)

    def rising(self, items: Ints) -> Bools:
        """(n,) whether the popularity of each of `items`, positions in the catalogue, rises."""
        return np.asarray(self._items.numeric[items, ITEM_NUMERIC.index(RISING)] > 0)

    def entries(self, users: Side, first: int, last: int) -> Entries:
        """The recalled items of `users`, which are [first, last) of the market, with logits."""
        scores = self._composite.retriever.user_vectors(users) @ self._vectors.T
        size = len(self._market.catalogue)
        taken = self._market.taken_by(first, last)
        scores[taken // size, taken % size] = -np.inf
        items = top_k(scores, self._k)
        open_ = np.take_along_axis(scores, items, axis=1) > -np.inf
        context = neutral_context(len(users), self._day, self._dataset)
        logits = self._composite.ranker.list_logits(users, self._items, items, context)
        return Entries(np.nonzero(open_)[0], items[open_], logits[open_])
