"""Users and items as arrays, as a version knew them, and as a request describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .request import Attribute

UNKNOWN, MISSING, FIRST_VALUE = 0, 1, 2
"""Ids of a value that the version does not know, of one not given, of the first real one."""
PADDING = -1

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Vocabulary = Mapping[str, Mapping[str, int]]
"""Ids by value, by field (`user.city`)."""


@dataclass(frozen=True)
class Entities:
    """n users, or n items. Ids at or above a scorer's sizes are its business."""

    index: Ints
    """(n,) vocabulary ids."""
    categorical: Ints
    """(n, C)."""
    multi: tuple[Ints, ...]
    """One (n, W) per attribute with several values, padded with -1."""
    numeric: Floats
    """(n, S)."""
    history: Ints
    """(n, L) of users: item ids, newest first, padded with 0."""
    neighbours: Ints
    """(n, R)."""
    affinity: Floats
    """(n, R, F)."""
    text: Ints
    """(n, T) rows of the version's text vectors; 0 = no text."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.index)

    def take(self, rows: Any) -> Entities:
        """The entities at `rows`, in that order."""
        return Entities(
            self.index[rows],
            self.categorical[rows],
            tuple(values[rows] for values in self.multi),
            self.numeric[rows],
            self.history[rows],
            self.neighbours[rows],
            self.affinity[rows],
            self.text[rows],
        )


def load_entities(folder: Path, side: str) -> tuple[list[str], Entities]:
    """Ids and arrays of `users` or `items`: `<side>.json` and `<side>.npz`, without pickle."""
    ids: list[str] = json.loads((folder / f"{side}.json").read_text())
    with (
        (folder / f"{side}.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        multi = sorted(name for name in arrays.files if name.startswith("multi"))

        def whole(name: str) -> Ints:
            return np.asarray(arrays[name], dtype=np.int64)

        found = Entities(
            whole("index"),
            whole("categorical"),
            tuple(whole(name) for name in multi),
            np.asarray(arrays["numeric"], dtype=np.float32),
            whole("history"),
            whole("neighbours"),
            np.asarray(arrays["affinity"], dtype=np.float32),
            whole("text"),
        )
    return ids, found


def described(
    entity: Entities,
    attributes: Sequence[Attribute],
    values: Mapping[str, Any],
    words: Vocabulary,
    side: str,
    *,
    missing: bool,
) -> Entities:
    """One entity with the attributes that were given.

    Args:
        entity: n = 1.
        attributes: declared ones, in order.
        values: given ones.
        words: of the version.
        side: user or item.
        missing: whether an attribute that was not given reads as missing (nothing else is known of
            the entity), or as it was.
    """
    if not values and not missing:
        return entity
    categorical, multi = entity.categorical.copy(), list(entity.multi)
    single = several = 0
    for attribute in attributes:
        value = values.get(attribute.name)
        given = value is not None or missing
        if attribute.kind == "multi":
            if given:
                multi[several] = ids_of(value or [], words.get(f"{side}.{attribute.name}", {}))
            several += 1
        else:
            if given:
                categorical[0, single] = _id_of(attribute, value, words, side)
            single += 1
    return replace(entity, categorical=categorical, multi=tuple(multi))


def ids_of(values: Sequence[str], words: Mapping[str, int]) -> Ints:
    """(1, W) ids of several values: each once, ascending, as the lake holds them."""
    ids = sorted({words.get(value, UNKNOWN) for value in values if value})
    return np.array([ids or [MISSING]], dtype=np.int64)


def _id_of(attribute: Attribute, value: Any, words: Vocabulary, side: str) -> int:
    if value is None or value == "":
        return MISSING
    if attribute.kind == "numeric":
        return FIRST_VALUE + int(np.searchsorted(attribute.bins, value, side="right"))
    return words.get(f"{side}.{attribute.name}", {}).get(value, UNKNOWN)


def joined(parts: Sequence[Entities]) -> Entities:
    """The entities of `parts`, one after the other; lists are padded to the widest."""
    return Entities(
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.categorical for part in parts]),
        tuple(_stacked([part.multi[k] for part in parts]) for k in range(len(parts[0].multi))),
        np.concatenate([part.numeric for part in parts]),
        np.concatenate([part.history for part in parts]),
        np.concatenate([part.neighbours for part in parts]),
        np.concatenate([part.affinity for part in parts]),
        np.concatenate([part.text for part in parts]),
    )


def _stacked(lists: Sequence[Ints]) -> Ints:
    width = max(part.shape[1] for part in lists)
    if all(part.shape[1] == width for part in lists):
        return np.concatenate(lists)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=PADDING)
        for part in lists
    ]
    return np.concatenate(padded)
