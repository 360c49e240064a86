"""What an import could not take over: counted by reason, each with the place of its first example.

A place is a file and a line: what the row holds may be personal and is never kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

_T = TypeVar("_T")


@dataclass
class Place:
    """Where a reader is; it moves on with the reader."""

    path: Path
    unit: Literal["line", "row"] = "line"
    """A Parquet file has rows and no lines."""
    first: int = 0
    """From 1; of a CSV it counts the header, of a Parquet file there is none."""
    last: int = 0
    """Where the row ends, if its quotes hold line ends."""

    def move(self, first: int, last: int | None = None) -> None:
        """Goes to the row that begins at `first`."""
        self.first, self.last = first, first if last is None else last

    def __str__(self) -> str:
        """File and line."""
        if self.last > self.first:
            return f"{self.path}, {self.unit}s {self.first} to {self.last}"
        return f"{self.path}, {self.unit} {self.first}"


class Losses:
    """Counts what one import leaves out, and what it keeps without a value."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        """Rows that did not become a row of the raw zone."""
        self.emptied: Counter[str] = Counter()
        """Values that could not be read: the row was kept, with nothing in the field."""
        self.examples: dict[str, str] = {}
        """Reason -> place of the first row that it befell."""
        self.place: Place | None = None
        """The row in hand; whoever reads a file keeps it up to date."""

    def drop(self, reason: str) -> None:
        """Counts the row in hand as left out."""
        self._count(self.dropped, reason)

    def empty(self, reason: str) -> None:
        """Counts a value of the row in hand as lost."""
        self._count(self.emptied, reason)

    def at_lines(self, path: Path, lines: Iterable[_T]) -> Iterator[_T]:
        """The lines of a file, each the one in hand while it is used."""
        self.place = place = Place(path)
        for number, line in enumerate(lines, 1):
            place.move(number)
            yield line

    def _count(self, counter: Counter[str], reason: str) -> None:
        counter[reason] += 1
        if self.place is not None and reason not in self.examples:
            self.examples[reason] = str(self.place)
