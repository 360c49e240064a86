"""What a version knows: its declared fields, words, users and items, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .entities import Entities, Floats, Ints, load_entities
from .request import Attribute, Declared

FORMAT = 1
"""Of the folder; a client reads folders of its own format only."""


class FormatError(ValueError):
    """The folder is not what this client reads."""


@dataclass(frozen=True)
class Known:
    """A version's data. Row 0 of users and of items is the one of whom nothing is known."""

    about: Mapping[str, Any]
    declared: Declared
    words: Mapping[str, Mapping[str, int]]
    """Ids by value, by field."""
    users: Entities
    items: Entities
    item_ids: list[str]
    user_row: Mapping[str, int]
    item_row: Mapping[str, int]
    row_of_index: Mapping[int, int]
    """Rows of items by vocabulary id."""
    vectors: Floats
    """(I, D) of the items; the last two columns are biases."""
    texts: Floats
    """(texts, W) vectors of texts; row 0 is no text."""
    sequences: Ints
    """Of a ranker that asks a memory."""

    def rows_of_history(self, user: Entities) -> list[int]:
        """Rows of the items that a user (n = 1) took and that are known, newest first."""
        rows = [self.row_of_index.get(int(index), 0) for index in user.history[0] if index]
        return [row for row in rows if row]


def load_known(folder: Path) -> Known:
    """The data in `folder`.

    Raises:
        FormatError: it is of another format, or no version's folder.
    """
    try:
        about = json.loads((folder / "about.json").read_text())
    except FileNotFoundError as error:
        raise FormatError(
            f"{folder} holds no about.json: expected a version's folder light/data. Next: give the "
            "folder `light` of a version."
        ) from error
    if about.get("format") != FORMAT:
        raise FormatError(
            f"{folder} has format {about.get('format')}, this client reads {FORMAT}. Next: use "
            "the client that lies in the version's own folder dayfold_light."
        )
    user_ids, users = load_entities(folder, "users")
    item_ids, items = load_entities(folder, "items")
    with (folder / "vectors.npz").open("rb") as file, np.load(file, allow_pickle=False) as held:
        vectors, texts, sequences = held["items"], held["texts"], held["sequences"]
    return Known(
        about,
        _declared(about),
        json.loads((folder / "words.json").read_text()),
        users,
        items,
        item_ids,
        {name: row for row, name in enumerate(user_ids) if row},
        {name: row for row, name in enumerate(item_ids) if row},
        {int(index): row for row, index in enumerate(items.index)},
        np.ascontiguousarray(vectors),
        texts,
        sequences,
    )


def _declared(about: Mapping[str, Any]) -> Declared:
    def attributes(side: str) -> tuple[Attribute, ...]:
        return tuple(
            Attribute(a["name"], a["kind"], tuple(a["bins"])) for a in about[f"{side}_attributes"]
        )

    return Declared(attributes("user"), attributes("item"), tuple(about["context"]))
