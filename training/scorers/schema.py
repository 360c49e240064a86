"""The inputs of a scorer: which fields there are, and how many values of each it knows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from conf.dataset import Attribute
from feature_store.lake import Lake
from feature_store.tables import FIRST_VALUE_ID
from feature_store.vocabularies import born_by
from training.features.histories import HISTORY_LENGTH
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC
from training.features.rows import Int32, Int64

HOURS = 24
WEEKDAYS = 7


@dataclass(frozen=True)
class Field:
    """One label-encoded input with `size` rows in its table; ids at or above it read as 0."""

    name: str
    size: int


@dataclass(frozen=True)
class SideSchema:
    """The inputs that describe a user, or an item."""

    index: Field
    categorical: tuple[Field, ...]
    multi: tuple[Field, ...]
    numeric: tuple[str, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every label-encoded field."""
        return (self.index, *self.categorical, *self.multi)


@dataclass(frozen=True)
class Schema:
    """The inputs of a scorer, as known at the end of `day`."""

    dataset: str
    day: str
    """Vocabulary day: ids born later are unknown."""
    labels: str
    """How labels arise: impressions, threshold or sampled."""
    user: SideSchema
    item: SideSchema
    context: tuple[Field, ...]
    history: int
    """Items of a user's history."""

    def sizes(self) -> dict[str, int]:
        """Rows of every field's table, by field name."""
        return {f.name: f.size for f in (*self.user.fields, *self.item.fields, *self.context)}

    def difference(self, newer: Schema) -> list[str]:
        """Inputs that only one of both has, or that shrank; empty = weights can be carried over."""
        return [
            f"{side} {name}"
            for side, ours, theirs in (
                ("gone:", self._inputs(), newer._inputs()),
                ("new:", newer._inputs(), self._inputs()),
            )
            for name in ours
            if name not in theirs
        ] + [
            f"smaller: {name} {size} -> {newer.sizes()[name]}"
            for name, size in self.sizes().items()
            if newer.sizes().get(name, size) < size
        ]

    def _inputs(self) -> list[str]:
        return [
            f"labels: {self.labels}",
            *(f"{kind}:{f.name}" for kind, f in self._labelled()),
            *(f"user.{name}" for name in self.user.numeric),
            *(f"item.{name}" for name in self.item.numeric),
            f"history of {self.history}",
        ]

    def _labelled(self) -> list[tuple[str, Field]]:
        sides = (self.user, self.item)
        return [
            *(("categorical", f) for side in sides for f in (side.index, *side.categorical)),
            *(("multi", f) for side in sides for f in side.multi),
            *(("context", f) for f in self.context),
        ]

    def to_json(self) -> str:
        """This schema as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Schema:
        """The schema that `to_json` wrote."""
        about = json.loads(text)
        return Schema(
            about["dataset"],
            about["day"],
            about["labels"],
            _side(about["user"]),
            _side(about["item"]),
            _fields(about["context"]),
            about["history"],
        )


def _fields(about: list[dict[str, object]]) -> tuple[Field, ...]:
    return tuple(Field(str(f["name"]), int(str(f["size"]))) for f in about)


def _side(about: dict[str, list[dict[str, object]]]) -> SideSchema:
    index = _fields([about["index"]])[0]  # type: ignore[list-item]
    numeric = tuple(str(name) for name in about["numeric"])
    return SideSchema(index, _fields(about["categorical"]), _fields(about["multi"]), numeric)


def schema_on(lake: Lake, day: str) -> Schema:
    """The inputs known at the end of `day`: the dataset's fields, sized by the vocabularies."""
    sizes = _vocabulary_sizes(born_by(lake, day, ["field", "id"]))
    dataset = lake.dataset
    context = [
        Field("hour", HOURS),
        Field("weekday", WEEKDAYS),
        *(Field(f"context.{name}", _size(sizes, f"context.{name}")) for name in dataset.context),
    ]
    return Schema(
        dataset.name,
        day,
        dataset.labels.kind,
        _side_schema("user", dataset.user_attributes, sizes, USER_NUMERIC),
        _side_schema("item", dataset.item_attributes, sizes, ITEM_NUMERIC),
        tuple(context),
        HISTORY_LENGTH,
    )


def _vocabulary_sizes(vocabulary: pa.Table) -> dict[str, int]:
    largest = vocabulary.group_by("field").aggregate([("id", "max")])
    names = largest.column("field").to_pylist()
    return dict(zip(names, (int(i) + 1 for i in largest.column("id_max").to_pylist()), strict=True))


def _size(sizes: dict[str, int], field: str) -> int:
    return max(sizes.get(field, 0), FIRST_VALUE_ID)


def _side_schema(
    side: str,
    attributes: tuple[Attribute, ...],
    sizes: dict[str, int],
    numeric: tuple[str, ...],
) -> SideSchema:
    def field(attribute: Attribute) -> Field:
        name = f"{side}.{attribute.name}"
        if attribute.kind == "numeric":
            return Field(name, FIRST_VALUE_ID + len(attribute.bins) + 1)
        return Field(name, _size(sizes, name))

    return SideSchema(
        Field(f"{side}_id", _size(sizes, f"{side}_id")),
        tuple(field(a) for a in attributes if a.kind != "multi"),
        tuple(field(a) for a in attributes if a.kind == "multi"),
        numeric,
    )


def clip(ids: Int32, size: int | Int64) -> Int32:
    """`ids` with those at or above `size` read as 0 (unknown); padding (-1) is kept."""
    return np.where(ids < size, ids, 0).astype(np.int32, copy=False)
