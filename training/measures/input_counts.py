"""The day's inputs, counted: what the drift check explains a change with. It is no alarm.

Per field a fixed set of values, so that days are merged by addition and a day costs the same
whatever came before it: of attributes and contexts the ids below VALUES, which are the earliest and
so mostly the commonest ones, of numbers fixed bins. Nobody is named: ids of users and items are
only counted as known or new.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from conf.dataset import DatasetConfig
from feature_store.tables import FIRST_VALUE_ID
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC
from training.features.rows import PADDING, Float32, Int32, Rows
from training.scorers.schema import Schema
from training.scoring.attribute_slices import fields_of
from training.scoring.metrics import Ints

VALUES = 100
"""Ids from here on are counted together."""
BINS_PER_UNIT, MOST_UNITS = 4, 5
"""Numbers are counted in quarters from -5 to 5."""
_HOUR, _WEEKDAY = 0, 1


def input_counts(rows: Rows, dataset: DatasetConfig, known: Schema) -> pa.Table:
    """Rows of table `input_counts`, without `ds`.

    Args:
        rows: features of the day's examples, as known when they came.
        dataset: its attributes in declared order.
        known: the vocabularies of the evening before: ids beyond them are new.
    """
    sizes = known.sizes()
    counted: list[tuple[str, Ints, Ints]] = []
    for side, index in (("user_id", rows.user.index), ("item_id", rows.item.index)):
        fresh = ((index == 0) | (index >= sizes[side])).astype(np.int64)
        counted.append((side, fresh, fresh))
    for name, _, ids in fields_of(rows, dataset):
        # of several values a row counts with each
        there = ids[ids != PADDING]
        fresh = (there == 0) | (there >= sizes.get(name, FIRST_VALUE_ID))
        counted.append((name, np.minimum(there, VALUES).astype(np.int64), fresh.astype(np.int64)))
    for name, position in (("context.hour", _HOUR), ("context.weekday", _WEEKDAY)):
        counted.append((name, *_no_new(rows.context[:, position])))
    for prefix, names, numbers in (
        ("user", USER_NUMERIC, rows.user.numeric),
        ("item", ITEM_NUMERIC, rows.item.numeric),
    ):
        for position, name in enumerate(names):
            counted.append((f"{prefix}.{name}", *_no_new(_binned(numbers[:, position]))))
    return _table(counted)


def _no_new(values: Int32) -> tuple[Ints, Ints]:
    return values.astype(np.int64), np.zeros(len(values), dtype=np.int64)


def _binned(numbers: Float32) -> Int32:
    return np.rint(np.clip(numbers, -MOST_UNITS, MOST_UNITS) * BINS_PER_UNIT).astype(np.int32)


def _table(counted: list[tuple[str, Ints, Ints]]) -> pa.Table:
    parts = []
    for name, values, fresh in counted:
        distinct, which = np.unique(values, return_inverse=True)
        rows, new = np.bincount(which), np.bincount(which, fresh, len(distinct))
        parts.append((np.repeat(name, len(distinct)), distinct, rows, new.astype(np.int64)))
    names = ("field", "value", "rows", "new")
    types = (pa.string(), pa.int32(), pa.int64(), pa.int64())
    return pa.table(
        {
            name: pa.array(np.concatenate([part[place] for part in parts]), kind)
            for place, (name, kind) in enumerate(zip(names, types, strict=True))
        }
    )
