"""Whether two lakes hold the same rows of a day: all values equal, floats within 1e-9."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.tables import Table

TOLERANCE = 1e-9
"""Relative: engines add up in an order of their own."""
_NEXT_TO_NOTHING = 1e-12
_LONGEST_SHOWN = 80


def first_difference(table: Table, expected: pa.Table, found: pa.Table) -> str | None:
    """What differs first, in the order of the key of `table`; None where the rows are the same.

    Args:
        table: its first `unique` check names the key.
        expected: rows of one day.
        found: rows of the same day, in any order.
    """
    key = next(check.columns for check in table.checks if check.rule == "unique")
    expected, found = (_sorted(rows, key) for rows in (expected, found))
    if expected.select(key) != found.select(key):
        return _missing_row(key, expected, found)
    for name in expected.column_names:
        row = _first_unequal(expected.column(name), found.column(name))
        if row is not None:
            here = _named(key, expected.select(key).slice(row, 1).to_pylist()[0])
            was, now = (rows.column(name)[row].as_py() for rows in (expected, found))
            return f"{here}: {name} {_short(was)} became {_short(now)}"
    return None


def _sorted(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in key]).combine_chunks()


def _missing_row(key: tuple[str, ...], expected: pa.Table, found: pa.Table) -> str:
    was, now = (
        {tuple(row.values()): row for row in rows.select(key).to_pylist()}
        for rows in (expected, found)
    )
    gone, came = was.keys() - now.keys(), now.keys() - was.keys()
    first = min(gone | came, key=str)
    what = "is gone" if first in gone else "is new"
    return f"{_named(key, {**was, **now}[first])} {what} ({len(gone)} gone, {len(came)} new)"


def _first_unequal(expected: pa.ChunkedArray, found: pa.ChunkedArray) -> int | None:
    if expected.equals(found):
        return None
    if pa.types.is_floating(expected.type):
        was, now = expected.to_numpy(), found.to_numpy()
        close = np.isclose(was, now, rtol=TOLERANCE, atol=_NEXT_TO_NOTHING, equal_nan=True)
        unequal = np.flatnonzero(~close | (_is_null(expected) != _is_null(found)))
        return int(unequal[0]) if len(unequal) else None
    pairs = zip(expected.to_pylist(), found.to_pylist(), strict=True)
    return next((row for row, (was, now) in enumerate(pairs) if was != now), None)


def _is_null(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.is_null(), dtype=np.bool_)


def _named(key: tuple[str, ...], row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in key)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."
