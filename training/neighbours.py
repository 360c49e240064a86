"""Items that go with a user's history: decayed co-visits, as of a day.

Two items go together when the same users took both. The affinity of an item to a user is a lift:
how much oftener those who took what the user took lately also took this item lately, than
everybody did (0 = never together; log 2, halved, = as often as by chance).

Cost is bounded: of each user the last items count (see `training.histories`), of the catalogue the
`_COLUMNS` most popular items of the day.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from training.rows import Float32, Float64, Int32, Int64

NEIGHBOURS = 100
"""Items with an affinity that are kept per user, by co-visits."""

_COLUMNS = 1000
_HALF_LIFE_DAYS = 7.0
_RECENCY = 0.9
"""Weight of a history item relative to the next newer one."""
_ITEM_PRIOR = 5.0
_POPULARITY_PRIOR = 0.3


class CoVisits:
    """Which items the users of one day's beginning had taken together."""

    def __init__(self, user: Int64, item: Int32, age_days: Float64) -> None:
        """Count the co-visits of entries (user, item, age)."""
        distinct, user = np.unique(user, return_inverse=True)
        self.users = len(distinct)
        self._items = int(item.max(initial=0)) + 1
        taken = np.bincount(user, minlength=self.users)
        degree = np.bincount(item, minlength=self._items)
        recent = 0.5 ** (age_days / _HALF_LIFE_DAYS)
        popularity = np.bincount(item, weights=recent, minlength=self._items)
        top = np.argsort(-popularity, kind="stable")[:_COLUMNS]
        self.columns = np.sort(top[popularity[top] > 0]).astype(np.int32)
        shape = (self.users, self._items)
        everything = sparse.csr_matrix((np.ones(len(user)), (item, user)), shape=shape[::-1])
        # who takes everything says little about what goes together
        weight = recent / np.log(2.0 + taken[user])
        lately = sparse.csr_matrix((weight, (user, item)), shape=shape).tocsc()[:, self.columns]
        self._together = sparse.diags(1.0 / (degree + _ITEM_PRIOR)) @ (everything @ lately)
        self._popularity = np.asarray(lately.sum(axis=0)).ravel()

    def nearest(self, history: Int32) -> tuple[Int32, Float32]:
        """(n, R) items by co-visits with each `history` (n, L), and their affinities; 0 = none."""
        n, length = history.shape
        known = (history > 0) & (history < self._items)
        weight = np.where(known, _RECENCY ** np.arange(length), 0.0)
        row = np.repeat(np.arange(n), length)[known.ravel()]
        shape = (n, self._items)
        entries = (weight[known], (row, history[known]))
        together = (sparse.csr_matrix(entries, shape=shape) @ self._together).toarray()
        kept = min(NEIGHBOURS, len(self.columns))
        best = np.argsort(-together, axis=1, kind="stable")[:, :kept]
        found = np.take_along_axis(together, best, axis=1)
        chance = (self._popularity[best] + _POPULARITY_PRIOR) / self.users
        lift = found / chance / (weight.sum(axis=1, keepdims=True) + 1.0)
        items = np.zeros((n, NEIGHBOURS), dtype=np.int32)
        affinity = np.zeros((n, NEIGHBOURS), dtype=np.float32)
        items[:, :kept] = np.where(found > 0, self.columns[best], 0)
        affinity[:, :kept] = np.log1p(lift) / 2
        return items, affinity
