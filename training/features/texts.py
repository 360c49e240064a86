"""What there is to read of items and profiles, as of an instant.

An item's text is its title, its attributes' values and its description, from the rows of
`clean/items` with valid_from <= the instant (the later of `updated_at` and the start of the row's
day, as for encoded attributes). A profile is read value by value ("city Berlin"), so that there are
as many texts as vocabulary words, and not as many as users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import Attribute
from feature_store.days import end_of_day, shift
from feature_store.lake import Lake
from feature_store.tables import FIRST_VALUE_ID, ITEMS
from feature_store.vocabularies import born_by
from training.features.as_of import Dimension, instants
from training.features.rows import Instants, Int32, Int64
from training.features.words import NO_TEXT, Words

HISTORY_TEXTS = 10
"""Last items of a user whose texts are read."""
PROFILE_TEXTS = 8
"""Values of a user's profile that are read, in declared order."""


def item_text(
    title: str | None, description: str | None, values: Iterable[tuple[Attribute, Any]]
) -> str:
    """Title, attributes and description as one text; empty where nothing is known.

    A number stands with its attribute's name, any other value alone.
    """
    parts = [title, *(_said(attribute, value) for attribute, value in values), description]
    return ". ".join(" ".join(part.split()) for part in parts if part and part.strip())


def _said(attribute: Attribute, value: Any) -> str:
    if value is None:
        return ""
    if attribute.kind == "numeric":
        return "" if np.isnan(value) else f"{_spoken(attribute.name)} {value:g}"
    words = [value] if attribute.kind == "categorical" else value
    return ", ".join(_spoken(str(word)) for word in words if word is not None)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


class LakeTexts:
    """The texts of a lake's items and profile values, as of each instant of a span."""

    def __init__(self, lake: Lake, first: str, last: str) -> None:
        """Load what was known from the start of `first` to the end of `last`.

        Raises:
            OSError: the lake cannot be read.
        """
        self.words = Words()
        vocabulary = born_by(lake, last, ["field", "value", "id"])
        rows = _item_rows(lake, vocabulary, first, last)
        self._dimension = Dimension.of(rows, "item_index", [], [], NO_TEXT)
        attributes = lake.dataset.item_attributes
        columns = [rows.column(f"attr_{a.name}").to_pylist() for a in attributes]
        several = zip(*columns, strict=True) if columns else ((),) * rows.num_rows
        titled = zip(
            rows.column("title").to_pylist(),
            rows.column("description").to_pylist(),
            several,
            strict=True,
        )
        texts = (item_text(t, d, zip(attributes, v, strict=True)) for t, d, v in titled)
        self._number = np.append(self.words.add(texts), NO_TEXT)
        self.has_items = bool((self._number != NO_TEXT).any())
        self._profile = [
            (attribute, self.words.add(_value_texts(attribute, vocabulary)))
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


def _item_rows(lake: Lake, vocabulary: pa.Table, first: str, last: str) -> pa.Table:
    """Rows of ITEMS with item_index and valid_from: all of the span, and the latest before it."""
    columns = [f"attr_{a.name}" for a in lake.dataset.item_attributes]
    columns = ["ds", "item_id", "updated_at", "title", "description", *columns]
    rows = lake.read(ITEMS, [day for day in lake.days(ITEMS) if day <= last], columns)
    known = vocabulary.filter(pc.equal(vocabulary.column("field"), "item_id"))
    at = pc.index_in(rows.column("item_id"), value_set=known.column("value").combine_chunks())
    rows = rows.append_column("item_index", known.column("id").combine_chunks().take(at))
    rows = rows.filter(pc.is_valid(rows.column("item_index"))).sort_by("ds")
    days, position = np.unique(rows.column("ds").to_pylist() or [""], return_inverse=True)
    starts = np.array([_start(lake, str(day)) for day in days if day], dtype="datetime64[us]")
    own = starts[position] if rows.num_rows else np.empty(0, "datetime64[us]")
    valid_from = np.maximum(instants(rows.column("updated_at")), own)
    rows = rows.append_column("valid_from", pa.array(valid_from, pa.timestamp("us", tz="UTC")))
    return rows.take(pa.array(_needed(rows, valid_from, _start(lake, first))))


def _needed(rows: pa.Table, valid_from: Instants, first: np.datetime64) -> Int64:
    """Positions, ascending, of the rows from `first` on and of each item's latest one before."""
    item = rows.column("item_index").to_numpy()
    order = np.lexsort((np.arange(len(item)), valid_from, item))
    later = np.append(order[1:], -1)
    replaced = np.append(item[order][1:] == item[order][:-1], False) & (valid_from[later] <= first)
    kept: Int64 = np.sort(order[~replaced])
    return kept


def _start(lake: Lake, ds: str) -> np.datetime64:
    """The instant (UTC) at which `ds` begins in the dataset's time zone."""
    return np.datetime64(end_of_day(shift(ds, -1), lake.dataset.zone).replace(tzinfo=None), "us")


def _value_texts(attribute: Attribute, vocabulary: pa.Table) -> list[str]:
    """What an attribute's ids say, by id."""
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
