"""The rows of a day by what is known of their user, item and context, by readable names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dataset import Attribute, DatasetConfig
from feature_store.lake import Lake
from feature_store.tables import FIRST_VALUE_ID, MISSING
from feature_store.vocabularies import born_by
from training.features.rows import Int32, Rows, Side
from training.scoring.metrics import Bools

MOST_VALUES = 5
"""Commonest values of one field that become a slice."""
_CONTEXT_FIELDS_OF_ALL = 2
"""Hour and weekday come first in a context and are no slices."""

Words = Mapping[tuple[str, int], str]
"""The value of a field's id."""


def attribute_slices(rows: Rows, dataset: DatasetConfig, words: Words) -> dict[str, Bools]:
    """(n,) rows of the commonest values of each attribute and context field, by `field=value`.

    Of an attribute with several values a row is in each of their slices.

    Args:
        rows: features of the examples, as known when they came.
        dataset: its attributes in declared order.
        words: from `words_of`.
    """
    found: dict[str, Bools] = {}
    for name, attribute, ids in fields_of(rows, dataset):
        there = ids[ids >= 0]
        values, counts = np.unique(there, return_counts=True)
        for value in values[np.lexsort((values, -counts))][:MOST_VALUES]:
            said = said_of(name, attribute, int(value), words)
            found[f"{name}={said}"] = np.asarray((ids == value).any(axis=1))
    return found


def words_of(lake: Lake, ds: str) -> Words:
    """The values of attributes and context fields that have an id at the end of `ds`."""
    rows = born_by(lake, ds, ["field", "value", "id"])
    large = pc.is_in(rows.column("field"), value_set=pa.array(["user_id", "item_id"]))
    return {
        (row["field"], row["id"]): row["value"] for row in rows.filter(pc.invert(large)).to_pylist()
    }


def fields_of(rows: Rows, dataset: DatasetConfig) -> Iterator[tuple[str, Attribute | None, Int32]]:
    """Name as in the vocabularies, declaration and (n, W) ids of each field; -1 = padding."""
    yield from _of_side("user", rows.user, dataset.user_attributes)
    yield from _of_side("item", rows.item, dataset.item_attributes)
    for position, name in enumerate(dataset.context):
        place = _CONTEXT_FIELDS_OF_ALL + position
        yield f"context.{name}", None, rows.context[:, place : place + 1]


def _of_side(
    side: str, entities: Side, attributes: tuple[Attribute, ...]
) -> Iterator[tuple[str, Attribute, Int32]]:
    single = [a for a in attributes if a.kind != "multi"]
    for position, attribute in enumerate(single):
        ids = entities.categorical[:, position : position + 1]
        yield f"{side}.{attribute.name}", attribute, ids
    several = [a for a in attributes if a.kind == "multi"]
    for attribute, ids in zip(several, entities.multi, strict=True):
        yield f"{side}.{attribute.name}", attribute, ids


def said_of(field: str, attribute: Attribute | None, value: int, words: Words) -> str:
    """A field's id in words; of a binned number its range."""
    if value < FIRST_VALUE_ID:
        return "missing" if value == MISSING else "unknown"
    if attribute is not None and attribute.kind == "numeric":
        place = value - FIRST_VALUE_ID
        ends = ["", *(f"{cut:g}" for cut in attribute.bins), ""]
        low, high = ends[place], ends[place + 1]
        return f"{low} to {high}" if low and high else f"below {high}" if high else f"from {low}"
    return words.get((field, value), f"id {value}")
