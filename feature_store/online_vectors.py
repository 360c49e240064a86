"""Feature vectors as they lie in the online store: one value of bytes per user or item.

A vector is a row of sections; each is its number of elements (int32) and then the elements, all
little-endian and four bytes wide. The layout, stored once per day, names the sections in order. The
first one is the day that the values are from, so that no answer is without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from feature_store.days import ordinal, shift

DAY = "day"
_EPOCH = "1970-01-01"
_COUNT = np.dtype("<i4")
_TYPES = {"int32": np.dtype("<i4"), "float32": np.dtype("<f4")}


@dataclass(frozen=True)
class Section:
    """One array of a vector."""

    name: str
    type: Literal["int32", "float32"]
    fields: tuple[str, ...] = ()
    """What its elements are, where each has a meaning of its own."""


Layout = tuple[Section, ...]
_DAY_SECTION = Section(DAY, "int32", ("days since 1970-01-01",))


@dataclass(frozen=True)
class Vectors:
    """The vectors of the users, or of the items, of a day."""

    ids: Sequence[str]
    """(n,) distinct; `*` is who or what is not known."""
    sections: Layout
    values: tuple[NDArray[Any], ...]
    """One (n, W) array per section."""
    lengths: tuple[NDArray[np.int64], ...]
    """One (n,) array per section: of each row, this many of the W elements count."""

    @property
    def layout(self) -> Layout:
        """The sections of a packed vector."""
        return (_DAY_SECTION, *self.sections)

    def packed(self, ds: str) -> Iterator[tuple[str, bytes]]:
        """Each id with its vector, the values being from `ds`."""
        day = np.array([1, ordinal(ds)], _COUNT).tobytes()
        values = [
            np.ascontiguousarray(array, _TYPES[section.type])
            for section, array in zip(self.sections, self.values, strict=True)
        ]
        counts = [np.ascontiguousarray(lengths, _COUNT) for lengths in self.lengths]
        for row, name in enumerate(self.ids):
            parts = [day]
            for array, count in zip(values, counts, strict=True):
                parts += (count[row].tobytes(), array[row, : count[row]].tobytes())
            yield name, b"".join(parts)


def no_vectors() -> Vectors:
    """The vectors of a day that has none."""
    return Vectors([], (), (), ())


@dataclass(frozen=True)
class OnlineVector:
    """What a service reads of one user or item."""

    entity_id: str
    """As asked for, or `*` where it is not in the store: the values of who is not known."""
    ds: str
    """The values are those at the end of this day."""
    values: Mapping[str, NDArray[Any]]
    """By the section's name."""


def layout_as_json(layout: Layout) -> str:
    """`layout` as it is stored: a list of {name, type, fields}."""
    return json.dumps([asdict(section) for section in layout])


@lru_cache(maxsize=8)
def layout_of(text: str) -> Layout:
    """The layout that `layout_as_json` wrote."""
    return tuple(Section(s["name"], s["type"], tuple(s["fields"])) for s in json.loads(text))


def unpacked(entity_id: str, packed: bytes, layout: Layout) -> OnlineVector:
    """The vector of `entity_id` from its bytes."""
    values: dict[str, NDArray[Any]] = {}
    at = 0
    for section in layout:
        (count,) = np.frombuffer(packed, _COUNT, 1, at)
        at += _COUNT.itemsize
        values[section.name] = np.frombuffer(packed, _TYPES[section.type], count, at)
        at += int(count) * _COUNT.itemsize
    day = int(values.pop(DAY)[0])
    return OnlineVector(entity_id, shift(_EPOCH, day), values)
