"""Users' last positive items as of a day, and the items that go with them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from feature_store.lake import Lake
from feature_store.tables import USER_SEQUENCES
from training.as_of import DailyState, day_numbers, flat_lists, read_state
from training.neighbours import NEIGHBOURS, CoVisits
from training.rows import Float32, Int32, Int64

HISTORY_LENGTH = 50
"""Positive items of a user's history that a scorer sees at most."""

_COUNTED_LENGTH = 30
"""Last items of a user that count as taken together."""
_COUNTED_ITEMS = 300_000
"""Of a day's items taken, over all users, the latest that count as taken together."""
_ROWS_AT_ONCE = 4096
_DAY = np.timedelta64(1, "D")
_NO_ITEMS = pa.array([], pa.list_(pa.int32()))
_NO_TIMES = pa.array([], pa.list_(pa.timestamp("us", tz="UTC")))


class Histories:
    """The rows of the sequence table from which each day of a span can be read."""

    def __init__(self, lake: Lake, first: str, last: str) -> None:
        """Load what was known at the end of each day of [first, last]."""
        columns = ["user_index", "item_indices", "event_timestamps"]
        rows = read_state(lake, USER_SEQUENCES, first, last, columns)
        user = rows.column("user_index").to_numpy().astype(np.int64)
        self._state = DailyState.of(user, day_numbers(rows.column("ds")))
        lists = pa.concat_arrays(rows.column("item_indices").chunks or [_NO_ITEMS])
        self._start, self._end, self._items = flat_lists(lists)
        times = pa.concat_arrays(rows.column("event_timestamps").chunks or [_NO_TIMES])
        self._times = times.values.to_numpy(zero_copy_only=False).astype("datetime64[us]")

    def before(self, index: Int32, day: Int64) -> Int32:
        """(n, HISTORY_LENGTH) each user's last items before its day, newest first; 0 = padding."""
        row, _ = self._state.before(index, day)
        history = np.zeros((len(index), HISTORY_LENGTH), dtype=np.int32)
        if not len(self._end):
            return history
        position = self._end[row][:, None] - 1 - np.arange(HISTORY_LENGTH)
        inside = (position >= self._start[row][:, None]) & (row >= 0)[:, None]
        history[inside] = self._items[position[inside]]
        return history

    def neighbours(self, history: Int32, day: Int64, starts: np.ndarray) -> tuple[Int32, Float32]:
        """(n, NEIGHBOURS) items that go with each history as of its day, and their affinities.

        Args:
            history: (n, L) as from `before`.
            day: (n,) days since 1970.
            starts: (n,) UTC instants at which they begin.
        """
        items = np.zeros((len(history), NEIGHBOURS), dtype=np.int32)
        affinity = np.zeros((len(history), NEIGHBOURS), dtype=np.float32)
        for number in np.unique(day):
            rows = np.flatnonzero((day == number) & history.any(axis=1))
            together = self._together(int(number), starts[rows[0]]) if len(rows) else None
            if together is None:
                continue
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[first : first + _ROWS_AT_ONCE]
                items[part], affinity[part] = together.nearest(history[part])
        return items, affinity

    def _together(self, day: int, start: np.datetime64) -> CoVisits | None:
        """What all users took together before `day`, which begins at `start`."""
        users = self._state.entities()
        row, _ = self._state.before(users, np.full(len(users), day))
        users, row = users[row >= 0], row[row >= 0]
        first = np.maximum(self._start[row], self._end[row] - _COUNTED_LENGTH)
        length = self._end[row] - first
        if not length.sum():
            return None
        offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        position = np.repeat(first, length) + offset
        user = np.repeat(users, length)
        age = np.maximum((start - self._times[position]) / _DAY, 0.0)
        if len(position) > _COUNTED_ITEMS:
            latest = np.sort(np.argsort(age, kind="stable")[:_COUNTED_ITEMS])
            user, position, age = user[latest], position[latest], age[latest]
        return CoVisits(user, self._items[position], age)
