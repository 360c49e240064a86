"""Negatives for logs without impressions: items drawn from those known before the event's day.

Three of four draws are proportional to decayed popularity (the 2,000 most popular items of the
day), one of four is uniform over the day's catalogue. The probability of each draw is known, so
that a softmax over the drawn items estimates the softmax over the whole catalogue.
"""

from __future__ import annotations

import numpy as np

from training.features.reader import FeatureReader
from training.features.rows import Float64, Int32, Int64

POPULAR_SHARE = 0.75
POPULAR_ITEMS = 2000

_ITEM_BITS = 32


class Proposal:
    """The catalogue and the sampling distribution of each of `days`."""

    def __init__(self, reader: FeatureReader, days: Int64) -> None:
        """Prepare the distributions of `days` (distinct, ascending days since 1970)."""
        self._days = days
        catalogues = [reader.catalogue(reader.start_of(int(day)), int(day)) for day in days]
        self._size = np.array([len(c) for c in catalogues], dtype=np.int64)
        self._start = np.concatenate([[0], np.cumsum(self._size)[:-1]]).astype(np.int64)
        self._catalogue = np.concatenate([*catalogues, np.empty(0, np.int32)])
        self._catalogue_key = item_key(np.repeat(np.arange(len(days)), self._size), self._catalogue)
        keys, shares, cumulated = [], [], []
        for position, (day, items) in enumerate(zip(days, catalogues, strict=True)):
            popular, share = _most_popular(reader, items, int(day))
            keys.append(item_key(np.full(len(popular), position), popular))
            shares.append(share)
            cumulated.append(position + np.cumsum(share))
        self._popular_key = np.concatenate([*keys, np.empty(0, np.int64)])
        self._popular_share = np.concatenate([*shares, np.empty(0)])
        self._cumulated = np.concatenate([*cumulated, np.empty(0)])
        self._has_popular = np.array([len(share) > 0 for share in shares])

    def contains(self, item: Int32, day: Int64) -> np.ndarray:
        """Whether each item was in the catalogue of its day."""
        key = item_key(np.searchsorted(self._days, day), item)
        at = np.minimum(np.searchsorted(self._catalogue_key, key), len(self._catalogue_key) - 1)
        return self._catalogue_key[at] == key if len(self._catalogue_key) else key < 0

    def draw(self, day: Int64, n: int, generator: np.random.Generator) -> tuple[Int32, Float64]:
        """(days, n) items, drawn independently for each `day`, and log(n x their probability)."""
        position = np.searchsorted(self._days, day)[:, None]
        branch = generator.random((len(day), n))
        pick = generator.random((len(day), n))
        popular_share = np.where(self._has_popular[position], POPULAR_SHARE, 0.0)
        spread = (pick * self._size[position]).astype(np.int64)
        item = self._catalogue[self._start[position] + spread]
        if len(self._popular_key):
            at = np.searchsorted(self._cumulated, position + pick, side="right")
            drawn_at, drawn = split_key(self._popular_key[np.minimum(at, len(self._cumulated) - 1)])
            # rounding at the very end of a day's distribution must not reach into the next day
            popular = (branch < popular_share) & (drawn_at == position)
            item = np.where(popular, drawn, item)
        probability = popular_share * self._share(position, item)
        probability = probability + (1.0 - popular_share) / self._size[position]
        return item, np.log(n * probability)

    def _share(self, position: Int64, item: Int32) -> Float64:
        if not len(self._popular_key):
            return np.zeros(item.shape)
        key = item_key(position, item)
        at = np.minimum(np.searchsorted(self._popular_key, key), len(self._popular_key) - 1)
        return np.where(self._popular_key[at] == key, self._popular_share[at], 0.0)


def item_key(day: Int64 | Int32, item: Int32) -> Int64:
    """One sorted number for a day (or its position) and an item; see `split_key`."""
    return (np.asarray(day, np.int64) << _ITEM_BITS) | np.asarray(item, np.int64)


def split_key(key: Int64) -> tuple[Int64, Int32]:
    """The day and the item of an `item_key`."""
    return key >> _ITEM_BITS, (key & ((1 << _ITEM_BITS) - 1)).astype(np.int32)


def _most_popular(reader: FeatureReader, items: Int32, day: int) -> tuple[Int32, Float64]:
    """The day's most popular items (ascending ids), and each one's share of their popularity."""
    sums = reader.popularity(items, day)
    total = sums.sum(axis=0)
    mixed = (sums / np.where(total > 0, total, 1.0)).mean(axis=1)
    top = np.sort(np.argsort(-mixed, kind="stable")[:POPULAR_ITEMS])
    top = top[mixed[top] > 0]
    return items[top], mixed[top] / max(mixed[top].sum(), 1e-300)
