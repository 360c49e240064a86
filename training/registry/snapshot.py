"""Users and items as known when a day ends: what a version answers from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from feature_store.lake import Lake
from feature_store.tables import UNKNOWN
from feature_store.vocabularies import words_on
from training.features.population import names_of, served_users
from training.features.rows import Side
from training.features.texts import value_texts

_OF_ENTITIES = frozenset({"user_id", "item_id"})


@dataclass(frozen=True)
class Snapshot:
    """Users and items as known at the end of a day."""

    ds: str
    day: int
    """The day to read as: the one after `ds`, in days since 1970."""
    user_ids: list[str]
    users: Side
    """The first one is a user of whom nothing is known."""
    item_ids: list[str]
    items: Side
    """The first one is an item of which nothing is known; the others are available then."""
    words: dict[str, dict[str, int]]
    """Ids by value, by field: `user.<attribute>`, `item.<attribute>`, `context.<field>`."""
    profile_texts: dict[str, list[str]]
    """What each id of a user's attribute says, by attribute; empty without texts."""


def take_snapshot(lake: Lake, ds: str, active_days: int, *, with_text: bool = False) -> Snapshot:
    """The users active in the `active_days` up to `ds`, and the items available at its end."""
    from training.features.reader import FeatureReader

    reader = FeatureReader(lake, ds, ds, with_text=with_text)
    at, day = reader.at_end_of(ds)
    users = served_users(lake, ds, active_days)
    items = np.concatenate([[UNKNOWN], reader.catalogue(at, day)]).astype(np.int32)
    user_ids, item_ids = names_of(lake, ds, users, items)
    known = words_on(lake, ds)
    profile = {a.name: value_texts(a, known) for a in lake.dataset.user_attributes}
    return Snapshot(
        ds,
        day,
        user_ids.to_pylist(),
        reader.users(users, np.full(len(users), at), np.full(len(users), day)),
        item_ids.to_pylist(),
        reader.items(items, np.full(len(items), at), np.full(len(items), day)),
        {
            field: _ids(known.filter(pc.equal(known.column("field"), field)))
            for field in sorted(set(known.column("field").to_pylist()) - _OF_ENTITIES)
        },
        profile if with_text else {},
    )


def _ids(rows: object) -> dict[str, int]:
    values = rows.column("value").to_pylist()  # type: ignore[attr-defined]
    ids = rows.column("id").to_pylist()  # type: ignore[attr-defined]
    return dict(sorted(zip(values, ids, strict=True)))
