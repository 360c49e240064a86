"""Point-in-time look-ups in the lake's state and dimension tables, vectorised.

A row is found by binary search on one sorted integer that holds (entity, when): the cost of a
look-up depends on the rows asked for and on the days that were loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import Table
from training.features.rows import PADDING, Float64, Instants, Int32, Int64

_DAY_BITS = 20
"""Days since 1970 fit into 20 bits until the year 4840."""


def day_numbers(days: pa.ChunkedArray) -> Int64:
    """Days since 1970-01-01 of a column of days written YYYY-MM-DD."""
    encoded = days.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    numbers = np.array([ordinal(ds) for ds in encoded.dictionary.to_pylist()], dtype=np.int64)
    return numbers[encoded.indices.to_numpy(zero_copy_only=False)] if len(days) else numbers


def instants(column: pa.ChunkedArray) -> Instants:
    """A column of timestamps as datetime64[us] in UTC; null = NaT."""
    values: Instants = column.to_numpy().astype("datetime64[us]")
    return values


def read_state(lake: Lake, table: Table, first: str, last: str, columns: list[str]) -> pa.Table:
    """Rows of `table` from which the state at the end of each day of [first, last] can be read."""
    days = {*lake.state_days(table, first), *(d for d in lake.days(table) if first < d <= last)}
    return lake.read(table, sorted(days), list(dict.fromkeys(["ds", *columns])))


@dataclass(frozen=True)
class DailyState:
    """Rows of a state table, to be read as of a day."""

    key: Int64
    """Sorted: entity in the high bits, day in the low 20."""
    order: Int64
    """Position in the table of the row at each key."""

    @staticmethod
    def of(entity: Int64, day: Int64) -> DailyState:
        """The look-up over rows with these entities and days."""
        key = (entity.astype(np.int64) << _DAY_BITS) | day
        order = np.argsort(key, kind="stable")
        return DailyState(key[order], order)

    def entities(self) -> Int64:
        """Every entity with a row, ascending."""
        return np.unique(self.key >> _DAY_BITS)

    def before(self, entity: Int32 | Int64, day: Int64) -> tuple[Int64, Int64]:
        """For each (entity, day): row of its latest state with ds < day, or -1, and its day."""
        if not len(self.key):
            return np.full(len(entity), -1, np.int64), np.zeros(len(entity), np.int64)
        wanted = entity.astype(np.int64)
        at = np.searchsorted(self.key, (wanted << _DAY_BITS) | day, side="left") - 1
        found = (at >= 0) & ((self.key[at] >> _DAY_BITS) == wanted)
        return np.where(found, self.order[at], -1), self.key[at] & ((1 << _DAY_BITS) - 1)


@dataclass(frozen=True)
class Dimension:
    """Encoded attributes of users or items, to be read as of an instant. Row -1 = nothing known."""

    key: Int64
    order: Int64
    changes: Instants
    """Distinct valid_from, ascending."""
    categorical: Int32
    """(rows + 1, C); the last row is what an entity without attributes reads."""
    multi: tuple[Int32, ...]
    """One (rows + 1, W_f) per multi attribute, padded with -1."""

    @staticmethod
    def of(
        rows: pa.Table, entity: str, categorical: Sequence[str], multi: Sequence[str], missing: int
    ) -> Dimension:
        """The look-up over `rows` (ds, valid_from, the entity and its attribute columns)."""
        rows = rows.sort_by("ds")
        changes, rank = np.unique(instants(rows.column("valid_from")), return_inverse=True)
        span = len(changes) + 1
        key = rows.column(entity).to_numpy().astype(np.int64) * span + rank + 1
        order = np.argsort(key, kind="stable")  # on a tie the later ds wins: it comes last
        values = np.full((rows.num_rows + 1, len(categorical)), missing, dtype=np.int32)
        for position, name in enumerate(categorical):
            # A day from before the attribute was declared has nulls.
            values[:-1, position] = pc.fill_null(rows.column(name), missing).to_numpy()
        lists = tuple(padded_lists(rows.column(name)) for name in multi)
        return Dimension(key[order], order, changes, values, lists)

    def arrays(self) -> Iterator[np.ndarray]:
        """All rows, ordered by entity and valid_from."""
        yield from (self.key, self.changes, self.categorical[self.order])
        yield from (lists[self.order] for lists in self.multi)

    def at(self, entity: Int32, at: Instants) -> Int64:
        """Row of each entity's latest attributes with valid_from <= at; -1 = none."""
        if not len(self.key):
            return np.full(len(entity), -1, np.int64)
        span = len(self.changes) + 1
        wanted = entity.astype(np.int64)
        rank = np.searchsorted(self.changes, at, side="right")
        position = np.searchsorted(self.key, wanted * span + rank, side="right") - 1
        found = (position >= 0) & (self.key[position] // span == wanted)
        return np.where(found, self.order[position], -1)


def padded_lists(column: pa.ChunkedArray) -> Int32:
    """(rows + 1, W) of a column of integer lists, padded with -1; the last row is empty."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    starts, ends, values = flat_lists(lists)
    lengths = ends - starts
    width = max(int(lengths.max(initial=0)), 1)
    padded = np.full((len(lengths) + 1, width), PADDING, dtype=np.int32)
    inside = np.arange(width) < lengths[:, None]
    positions = (starts[:, None] + np.arange(width))[inside]
    padded[:-1][inside] = values[positions]
    return padded


def flat_lists(lists: pa.Array) -> tuple[Int64, Int64, Int32]:
    """Start and end of each list in the array of all values, and those values."""
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return offsets[:-1], offsets[1:], lists.values.to_numpy(zero_copy_only=False).astype(np.int32)


@dataclass(frozen=True)
class Totals:
    """Sum of a state over all entities at the end of each day of [first, last]."""

    first: int
    by_day: Float64
    """(days, statistics)."""

    @staticmethod
    def of(
        state: DailyState, values: Float64, half_lives: Float64, first: int, last: int
    ) -> Totals:
        """Sums of `values` (rows, statistics), each decaying with its half-life in days.

        A row replaces its entity's row before; what it adds is its value less that one, decayed.
        """
        entity, day = state.key >> _DAY_BITS, state.key & ((1 << _DAY_BITS) - 1)
        added = values[state.order].copy()
        if len(entity):
            follows = np.flatnonzero(entity[1:] == entity[:-1]) + 1
            age = (day[follows] - day[follows - 1])[:, None]
            added[follows] -= values[state.order[follows - 1]] * 0.5 ** (age / half_lives)
        start = min(int(day.min(initial=first)), first)
        daily = np.zeros((last - start + 1, values.shape[1]))
        np.add.at(daily, day - start, added)
        for row in range(1, len(daily)):
            daily[row] += daily[row - 1] * 0.5 ** (1 / half_lives)
        return Totals(first, daily[first - start :])

    def before(self, day: Int64) -> Float64:
        """(n, statistics): the sums at the end of the day before each `day`."""
        return self.by_day[day - 1 - self.first]


def first_rows(index: Int32, day: Int64, attributes: Int64) -> tuple[Int64, Int64]:
    """The first of the rows with the same three values, ascending; for each row which one it is."""
    if not len(index):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, dated = np.unique(index.astype(np.int64) << 20 | day, return_inverse=True)
    of_attributes = dated * (attributes.max() + 2) + attributes + 1
    _, first, position = np.unique(of_attributes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[position]
