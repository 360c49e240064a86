"""Users' last positive items as of a day, and the items that go with them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import USER_SEQUENCES
from training.features.as_of import DailyState, day_numbers, flat_lists, read_state
from training.features.neighbours import AFFINITIES, NEIGHBOURS, CoVisits, Taken
from training.features.rows import Float32, Instants, Int32, Int64

HISTORY_LENGTH = 50
"""Positive items of a user's history that a scorer sees at most."""

_COUNTED_LENGTH = 30
"""Last items of a user that count as taken together."""
_COUNTED_ITEMS = 300_000
"""Of a day's items taken, over all users, the latest that count as taken together."""
_ROWS_AT_ONCE = 1024
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

    def newest(self, day: int, users: int, length: int) -> Int32:
        """(n <= users, length) last items of who took something last before `day`, newest first.

        Without a word of who they are; 0 = padding.
        """
        index = self._state.entities()
        row, _ = self._state.before(index, np.full(len(index), day))
        row = row[row >= 0]
        row = row[self._end[row] > self._start[row]]
        latest = np.argsort(-self._times[self._end[row] - 1].astype(np.int64), kind="stable")
        row = row[latest[:users]]
        position = self._end[row][:, None] - 1 - np.arange(length)
        inside = position >= self._start[row][:, None]
        return np.where(inside, self._items[position], 0).astype(np.int32)

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

    def neighbours(self, index: Int32, day: Int64, starts: Instants) -> tuple[Int32, Float32]:
        """(n, R) items that go with each user's history before its day; (n, R, F) affinities.

        Args:
            index: (n,) users.
            day: (n,) days since 1970.
            starts: (n,) UTC instants at which they begin.
        """
        items = np.zeros((len(index), NEIGHBOURS), dtype=np.int32)
        affinity = np.zeros((len(index), NEIGHBOURS, len(AFFINITIES)), dtype=np.float32)
        for number in np.unique(day):
            rows = np.flatnonzero(day == number)
            start = starts[rows[0]]
            together = self._together(int(number), start)
            if together is None:
                continue
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[first : first + _ROWS_AT_ONCE]
                row, _ = self._state.before(index[part], day[part])
                own = self._taken(row, start, HISTORY_LENGTH)
                items[part], affinity[part] = together.nearest(own, len(part))
        return items, affinity

    def _together(self, day: int, start: np.datetime64) -> CoVisits | None:
        """What all users took together before `day`, which begins at `start`."""
        users = self._state.entities()
        row, _ = self._state.before(users, np.full(len(users), day))
        taken = self._taken(row, start, _COUNTED_LENGTH)
        if len(taken.row) > _COUNTED_ITEMS:
            latest = np.sort(np.argsort(taken.age_days, kind="stable")[:_COUNTED_ITEMS])
            taken = Taken(*(values[latest] for values in vars(taken).values()))
        return CoVisits(taken) if len(taken.row) else None

    def _taken(self, row: Int64, start: np.datetime64, length: int) -> Taken:
        """The last `length` items of each sequence `row` (-1 = none), with ages at `start`."""
        there = np.flatnonzero(row >= 0)
        last = self._end[row[there]]
        size = np.minimum(last - self._start[row[there]], length)
        place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        position = np.repeat(last, size) - 1 - place
        age = np.maximum((start - self._times[position]) / _DAY, 0.0)
        return Taken(np.repeat(there, size), self._items[position], age, place)


def newest_sequences(lake: Lake, ds: str, users: int, length: int) -> Int32:
    """(n <= users, length) as `Histories.newest`, as known at the end of `ds`."""
    return Histories(lake, ds, ds).newest(ordinal(ds) + 1, users, length)
