"""Items that go with a user's history, as of a day: what a log without impressions can tell.

Three affinities of an item to a user are read from who took what, and when:

- `item_lift`: how much oftener those who took what the user took lately also took this item
  lately, than everybody did;
- `user_lift`: the same for the users whose whole history resembles the user's;
- `exposure`: how often the user would have taken the item by now, had each of the user's choices
  followed that day's popularity. Much exposure without taking it means no interest.

Cost is bounded: of each user the last items count (see `training.features.histories`), of the
catalogue the `_COLUMNS` most popular items of the day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from training.features.rows import Float32, Float64, Int32, Int64

NEIGHBOURS = 100
"""Items with affinities that are kept per user: those that go best with the history, else the
most popular ones."""
AFFINITIES = ("item_lift", "user_lift", "exposure")

_COLUMNS = 1000
_HALF_LIFE_DAYS = 7.0
_RECENCY = 0.9
"""Weight of a history item relative to the next newer one."""
_ITEM_PRIOR = 5.0
_POPULARITY_PRIOR = 0.3
_EXPOSURE_DAYS = 60
_EXPOSURE_PRIOR = 0.003


@dataclass(frozen=True)
class Taken:
    """Items taken: `row` of the user, item, age in days, place in the history (0 = newest)."""

    row: Int64
    item: Int32
    age_days: Float64
    place: Int64


class CoVisits:
    """Who took what together before one day began."""

    def __init__(self, taken: Taken) -> None:
        """Count what all users, in any order of `row`, took together."""
        distinct, user = np.unique(taken.row, return_inverse=True)
        self._users, self._size = len(distinct), int(taken.item.max(initial=0)) + 1
        shape = (self._users, self._size)
        degree = np.bincount(taken.item, minlength=self._size)
        recent = 0.5 ** (taken.age_days / _HALF_LIFE_DAYS)
        popularity = np.bincount(taken.item, weights=recent, minlength=self._size)
        top = np.argsort(-popularity, kind="stable")[:_COLUMNS]
        self.columns = np.sort(top[popularity[top] > 0]).astype(np.int32)
        self._popularity = popularity[self.columns]
        self._lately = _matrix(recent, user, taken.item, shape).tocsc()[:, self.columns].tocsr()
        # who takes everything says little about what goes together
        activity = 1.0 / np.log(2.0 + np.bincount(user, minlength=self._users))
        weighted = sparse.diags(activity) @ self._lately
        everything = _matrix(np.ones(len(user)), user, taken.item, shape)
        self._together = sparse.diags(1.0 / (degree + _ITEM_PRIOR)) @ (everything.T @ weighted)
        self._together_alone = np.asarray(weighted.sum(axis=0)).ravel()
        # what everybody takes says little about who resembles whom
        self._rarity = 1.0 / np.log(2.0 + degree)
        self._everybody = _normed(everything @ sparse.diags(self._rarity)).T.tocsr()
        self._share = self._daily_shares(taken)

    def _daily_shares(self, taken: Taken) -> Float64:
        """(days, columns) share of each day's items taken, by age in days."""
        day = taken.age_days.astype(np.int64)
        place = np.minimum(np.searchsorted(self.columns, taken.item), len(self.columns) - 1)
        inside = (day < _EXPOSURE_DAYS) & (self.columns[place] == taken.item)
        counts = np.zeros((_EXPOSURE_DAYS, len(self.columns)))
        np.add.at(counts, (day[inside], place[inside]), 1.0)
        total = np.bincount(day[day < _EXPOSURE_DAYS], minlength=_EXPOSURE_DAYS)
        return counts / np.maximum(total, 1)[:, None]

    def nearest(self, own: Taken, n: int) -> tuple[Int32, Float32]:
        """(n, R) items by how well they go with what each of n users took; (n, R, F) affinities.

        Items are padded with 0 where the day has fewer.
        """
        item_lift, user_lift = self._item_lift(own, n), self._user_lift(own, n)
        # one as often as by chance weighs as much as popularity alone
        worth = (item_lift + 1.0) * (self._popularity + _POPULARITY_PRIOR)
        kept = min(NEIGHBOURS, len(self.columns))
        best = np.argsort(-worth, axis=1, kind="stable")[:, :kept]
        items = np.zeros((n, NEIGHBOURS), dtype=np.int32)
        items[:, :kept] = self.columns[best]
        affinity = np.zeros((n, NEIGHBOURS, len(AFFINITIES)), dtype=np.float32)
        exposure = np.log(self._exposure(own, n) + _EXPOSURE_PRIOR) - np.log(_EXPOSURE_PRIOR)
        for place, values in enumerate((np.log1p(item_lift), np.log1p(user_lift), exposure)):
            affinity[:, :kept, place] = np.take_along_axis(values, best, axis=1) / 2
        return items, affinity

    def _item_lift(self, own: Taken, n: int) -> Float64:
        weight: Float64 = _RECENCY ** own.place.astype(np.float64)
        known = own.item < self._size
        history = _matrix(weight[known], own.row[known], own.item[known], (n, self._size))
        chance = (self._together_alone + _POPULARITY_PRIOR) / self._users
        strength = np.bincount(own.row, weights=weight, minlength=n)[:, None] + 1.0
        lift: Float64 = (history @ self._together).toarray() / chance / strength
        return lift

    def _user_lift(self, own: Taken, n: int) -> Float64:
        known = own.item < self._size
        weight = self._rarity[own.item[known]]
        history = _normed(_matrix(weight, own.row[known], own.item[known], (n, self._size)))
        alike = history @ self._everybody
        alike.data **= 2
        chance = (self._popularity + _POPULARITY_PRIOR) / self._users
        strength = np.asarray(alike.sum(axis=1)) + 1.0
        lift: Float64 = (alike @ self._lately).toarray() / chance / strength
        return lift

    def _exposure(self, own: Taken, n: int) -> Float64:
        day = own.age_days.astype(np.int64)
        inside = day < _EXPOSURE_DAYS
        choices = np.zeros((n, _EXPOSURE_DAYS))
        np.add.at(choices, (own.row[inside], day[inside]), 1.0)
        exposure: Float64 = choices @ self._share
        return exposure


def _matrix(
    values: Float64, row: Int64, column: Int32, shape: tuple[int, int]
) -> sparse.csr_matrix:
    return sparse.csr_matrix((values, (row, column)), shape=shape)


def _normed(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """`matrix` with rows of (nearly) unit length."""
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    return (sparse.diags(1.0 / np.sqrt(squares + 0.05)) @ matrix).tocsr()
