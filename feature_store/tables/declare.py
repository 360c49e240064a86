"""What a table is: columns, checks, grain; and how attributes of a dataset become columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conf.dataset import DatasetConfig
from conf.fields import Stream

Type = Literal[
    "string",
    "int32",
    "int64",
    "double",
    "bool",
    "timestamp",
    "list<string>",
    "list<int32>",
    "list<timestamp>",
    "map<string,string>",
]
Layer = Literal["clean", "encoded", "features", "examples", "predictions", "reports"]
Severity = Literal["fail", "warn"]
Expansion = Literal["raw_user", "raw_item", "encoded_user", "encoded_item", "encoded_context"]

UNKNOWN = 0
MISSING = 1
FIRST_VALUE_ID = 2

EVERYBODY = "*"
"""The user id of the list for users without one of their own."""

HALF_LIVES_DAYS = (1, 7, 30)
"""Half-lives of the decayed sums."""
STATISTICS = ("impression", "click", "favourite", "purchase", "positive", "valued", "value")
"""Summed per user and item: events by type, positive weight, events with a value, values."""


BASE_EVERY_DAYS = 28
"""A state table writes all its entities, not only the changed ones, once in this many days."""


def decayed(statistic: str, half_life_days: int) -> str:
    """The column that holds the decayed sum of `statistic`."""
    return f"{statistic}_h{half_life_days}"


@dataclass(frozen=True)
class Column:
    """One column: name, type, and its meaning with unit."""

    name: str
    type: Type
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class Check:
    """A rule that the rows of one partition must obey; a broken one fails the step, or warns.

    `unique`: the columns together identify a row. `in_range`: low <= column <= high. `volume`: the
    rows of the day are at least the usual number / factor and at most that number * factor
    (`feature_store.volume`); of a day on which `stream` was delivered empty, there may be fewer.
    (Null values in a column that is not nullable fail without being asked for.)
    """

    rule: Literal["unique", "in_range", "volume"]
    columns: tuple[str, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")
    factor: float = 1.0
    stream: Stream = "events"
    severity: Severity = "fail"


@dataclass(frozen=True)
class Table:
    """One Delta table. `grain` says what one row is."""

    layer: Layer
    name: str
    grain: str
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    version: int = 1
    partition: tuple[str, ...] = ("ds",)
    expand: Expansion | None = None
    entity: str | None = None
    """Column that names the entity of a dimension or state: as known on a day = its latest row."""
    based: bool = False
    """State tables: the first written day of each block of BASE_EVERY_DAYS holds every entity."""

    @property
    def key(self) -> str:
        """`layer.name`, as shown to people."""
        return f"{self.layer}.{self.name}"


DS = Column("ds", "string", "processing day, YYYY-MM-DD")


def unique(*columns: str) -> Check:
    """The check that `columns` identify a row."""
    return Check("unique", columns)


def in_range(column: str, low: float, high: float = float("inf")) -> Check:
    """The check that low <= `column` <= high."""
    return Check("in_range", (column,), low, high)


def volume(factor: float, stream: Stream = "events") -> Check:
    """The check that a day's rows are within `factor` of those of the same weekday before.

    For tables whose only partition is the day. It only warns: a sale or a holiday is no mistake,
    and it is counted after the commit, from the files.
    """
    return Check("volume", factor=factor, stream=stream, severity="warn")


def nullable(name: str, type_: Type, doc: str) -> Column:
    """A column that may hold nulls."""
    return Column(name, type_, doc, nullable=True)


def columns_of(table: Table, dataset: DatasetConfig) -> tuple[Column, ...]:
    """`table`'s columns for `dataset`: the declared ones, then those of its attributes or context.

    Attributes are columns named `attr_<name>`, context fields `ctx_<name>`.
    """
    return (*table.columns, *_expanded(table.expand, dataset))


def _expanded(expand: Expansion | None, dataset: DatasetConfig) -> tuple[Column, ...]:
    if expand is None:
        return ()
    if expand == "encoded_context":
        return tuple(
            Column(f"ctx_{field}", "int32", f"vocabulary id of context.{field}")
            for field in dataset.context
        )
    layer, entity = expand.split("_")
    attributes = dataset.user_attributes if entity == "user" else dataset.item_attributes
    if layer == "raw":
        return tuple(
            nullable(f"attr_{a.name}", _RAW_TYPES[a.kind], f"{a.kind} attribute as logged")
            for a in attributes
        )
    return tuple(
        Column(f"attr_{a.name}", _ENCODED_TYPES[a.kind], _ENCODED_DOCS[a.kind]) for a in attributes
    )


_RAW_TYPES: dict[str, Type] = {
    "categorical": "string",
    "multi": "list<string>",
    "numeric": "double",
}
_ENCODED_TYPES: dict[str, Type] = {
    "categorical": "int32",
    "multi": "list<int32>",
    "numeric": "int32",
}
_ENCODED_DOCS = {
    "categorical": "vocabulary id",
    "multi": "vocabulary ids: a multi-hot vector as a list of indices",
    "numeric": "2 + number of bin cuts at or below the value",
}
