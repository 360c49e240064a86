"""Users and items between the online store and what a scorer is asked about.

A vector holds what `FeatureReader` gives at the end of a day, bit for bit: a service that reads it
on the next day scores with the very numbers that an example of that day is trained with. Padding is
left out on the way in and comes back on the way out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import Attribute
from feature_store.days import days_between, end_of_day, shift
from feature_store.lake import Lake
from feature_store.online_vectors import OnlineVector, Section, Vectors
from feature_store.tables import UNKNOWN, USERS
from training.features.histories import HISTORY_LENGTH
from training.features.neighbours import AFFINITIES, NEIGHBOURS
from training.features.population import names_of, served_users
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC, FeatureReader
from training.features.rows import PADDING, Int32, Int64, Side

_MULTI = "multi."


def vectors_of_day(
    lake: Lake, reader: FeatureReader, ds: str, active_days: int
) -> tuple[Vectors, Vectors]:
    """Users and items as known at the end of `ds`.

    Users: those with an event or a new profile in the last `active_days`. Items: all that may be
    shown, now or later. Both with the one of whom nothing is known.
    """
    at, day = reader.at_end_of(ds)
    users = np.union1d(served_users(lake, ds, active_days), _new_profiles(lake, ds, active_days))
    items = np.union1d([UNKNOWN], reader.known_items(at, day))
    users, items = users.astype(np.int32), items.astype(np.int32)
    user_ids, item_ids = names_of(lake, ds, users, items)
    dataset = lake.dataset
    of_users = reader.users(users, np.full(len(users), at), np.full(len(users), day))
    of_items = reader.items(items, np.full(len(items), at), np.full(len(items), day))
    return (
        vectors_of(of_users, user_ids, dataset.user_attributes, USER_NUMERIC),
        vectors_of(of_items, item_ids, dataset.item_attributes, ITEM_NUMERIC),
    )


def _new_profiles(lake: Lake, ds: str, active_days: int) -> Int32:
    days = days_between(shift(ds, 1 - active_days), ds)
    since = end_of_day(shift(ds, -active_days), lake.dataset.zone)
    new = pc.field("valid_from") >= pa.scalar(since)
    index: Int32 = lake.read(USERS, days, ["user_index"], where=new).column("user_index").to_numpy()
    return index


def vectors_of(
    side: Side, ids: pa.Array, attributes: Sequence[Attribute], numeric: Sequence[str]
) -> Vectors:
    """The rows of `side` as vectors of `ids`."""
    rows = len(side)
    single = tuple(a.name for a in attributes if a.kind != "multi")
    several = [a.name for a in attributes if a.kind == "multi"]
    parts = [
        (Section("index", "int32", ("vocabulary id",)), side.index[:, None], None),
        (Section("categorical", "int32", single), side.categorical, None),
        *(
            (Section(f"{_MULTI}{name}", "int32"), values, _lengths(values, PADDING))
            for name, values in zip(several, side.multi, strict=True)
        ),
        (Section("numeric", "float32", tuple(numeric)), side.numeric, None),
    ]
    if side.history.shape[1]:
        lengths = _lengths(side.history, UNKNOWN)
        parts.append((Section("history", "int32"), side.history, lengths))
    if side.neighbours is not None and side.affinity is not None:
        there = _lengths(side.neighbours, UNKNOWN)
        flat = side.affinity.reshape(rows, -1)
        parts += [
            (Section("neighbours", "int32"), side.neighbours, there),
            (Section("affinity", "float32", AFFINITIES), flat, there * len(AFFINITIES)),
        ]
    return Vectors(
        ids.to_pylist(),
        tuple(section for section, _, _ in parts),
        tuple(values for _, values, _ in parts),
        tuple(np.full(rows, v.shape[1]) if n is None else n for _, v, n in parts),
    )


def side_of(vectors: Sequence[OnlineVector]) -> Side:
    """The users, or items, that a service has read (at least one), as a scorer takes them."""
    parts = {name: [vector.values[name] for vector in vectors] for name in vectors[0].values}
    history = np.zeros((len(vectors), 0), dtype=np.int32)
    if "history" in parts:
        history = _padded(parts["history"], HISTORY_LENGTH, UNKNOWN)
    neighbours, affinity = None, None
    if "neighbours" in parts:
        neighbours = _padded(parts["neighbours"], NEIGHBOURS, UNKNOWN)
        flat = _padded(parts["affinity"], NEIGHBOURS * len(AFFINITIES), 0)
        affinity = flat.reshape(len(vectors), NEIGHBOURS, len(AFFINITIES))
    return Side(
        np.concatenate(parts["index"]),
        np.stack(parts["categorical"]),
        tuple(
            _padded(lists, max(1, *map(len, lists)), PADDING)
            for name, lists in parts.items()
            if name.startswith(_MULTI)
        ),
        np.stack(parts["numeric"]),
        history,
        neighbours,
        affinity,
    )


def _lengths(values: Int32, padding: int) -> Int64:
    """(n,) elements of each row up to the last that is no padding."""
    there = values != padding
    last = values.shape[1] - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), last, 0)


def _padded(rows: Sequence[np.ndarray], width: int, padding: int) -> np.ndarray:
    padded = np.full((len(rows), width), padding, dtype=rows[0].dtype)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
