"""What there is to read of items and profiles, as of an instant.

An item's text is that of the row of `encoded/items` from which its attributes are read, too: the
latest with valid_from <= the instant. A profile is read value by value ("city Berlin"), so that
there are as many texts as vocabulary words, and not as many as users.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import Attribute
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import ENCODED_ITEMS, FIRST_VALUE_ID
from feature_store.vocabularies import born_by
from training.features.as_of import Dimension, read_state
from training.features.rows import Instants, Int32, Int64
from training.features.words import NO_TEXT, Words

HISTORY_TEXTS = 10
"""Last items of a user whose texts are read."""
PROFILE_TEXTS = 8
"""Values of a user's profile that are read, in declared order."""


class LakeTexts:
    """The texts of a lake's items and profile values, as of each instant of a span."""

    def __init__(self, lake: Lake, first: str, last: str) -> None:
        """Load what was known from the start of `first` to the end of `last`.

        Raises:
            OSError: the lake cannot be read.
        """
        self.words = Words()
        columns = ["item_index", "valid_from", "text"]
        rows = read_state(lake, ENCODED_ITEMS, shift(first, -1), last, columns).sort_by("ds")
        self._dimension = Dimension.of(rows, "item_index", [], [], NO_TEXT)
        texts = pc.fill_null(rows.column("text"), "").to_pylist()
        self._number = np.append(self.words.add(texts), NO_TEXT)
        self.has_items = bool((self._number != NO_TEXT).any())
        vocabulary = born_by(lake, last, ["field", "value", "id"])
        self._profile = [
            (attribute, self.words.add(value_texts(attribute, vocabulary)))
            for attribute in lake.dataset.user_attributes
        ]

    def items(self, index: Int32, at: Instants) -> Int64:
        """(n, 1) numbers of the items' texts at `at` (n,); 0 = nothing is known."""
        numbers: Int64 = self._number[self._dimension.at(index, at)]
        return numbers[:, None]

    def users(
        self, history: Int32, categorical: Int32, multi: tuple[Int32, ...], at: Instants
    ) -> Int64:
        """(n, HISTORY_TEXTS + PROFILE_TEXTS) numbers of texts; 0 = none.

        Args:
            history: (n, L) the users' last items, newest first.
            categorical: (n, C) their attributes with one value.
            multi: (n, W) their attributes with several values.
            at: (n,) when.
        """
        recent = history[:, :HISTORY_TEXTS]
        moments = np.repeat(at, recent.shape[1])
        taken = self.items(recent.ravel(), moments).reshape(recent.shape)
        read = np.zeros((len(history), HISTORY_TEXTS + PROFILE_TEXTS), dtype=np.int64)
        read[:, : recent.shape[1]] = np.where(recent > 0, taken, NO_TEXT)
        profile = self._values(categorical, multi)[:, :PROFILE_TEXTS]
        read[:, HISTORY_TEXTS : HISTORY_TEXTS + profile.shape[1]] = profile
        return read

    def arrays(self) -> Iterator[np.ndarray]:
        """All that is known here of items, whatever the order of the files that it came from."""
        order = self._dimension.order
        yield from (self._dimension.key, self._dimension.changes, self._number[order])

    def _values(self, categorical: Int32, multi: tuple[Int32, ...]) -> Int64:
        """(n, values) numbers of the words of profiles, attribute by attribute."""
        single, several = iter(categorical.T), iter(multi)
        parts = []
        for attribute, numbers in self._profile:
            ids = next(several) if attribute.kind == "multi" else next(single)[:, None]
            known = (ids >= FIRST_VALUE_ID) & (ids < len(numbers))
            parts.append(np.where(known, numbers[np.where(known, ids, 0)], NO_TEXT))
        return np.concatenate([np.empty((len(categorical), 0), np.int64), *parts], axis=1)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def value_texts(attribute: Attribute, vocabulary: pa.Table) -> list[str]:
    """What an attribute's ids say, by id; nothing where nobody wrote a word."""
    name = _spoken(attribute.name)
    nothing = [""] * FIRST_VALUE_ID
    if attribute.kind == "numeric":
        cuts = [f"{cut:g}" for cut in attribute.bins]
        between = [f"{name} {a} to {b}" for a, b in pairwise(cuts)]
        return [*nothing, f"{name} below {cuts[0]}", *between, f"{name} {cuts[-1]} or more"]
    rows = vocabulary.filter(pc.equal(vocabulary.column("field"), f"user.{attribute.name}"))
    values = dict(zip(rows.column("id").to_pylist(), rows.column("value").to_pylist(), strict=True))
    size = max([*values, FIRST_VALUE_ID - 1]) + 1
    return [f"{name} {_spoken(values[i])}" if i in values else "" for i in range(size)]
