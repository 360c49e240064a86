"""The raw zone: one folder per stream and day, complete when `_SUCCESS` lies in it.

    <raw>/{events,profiles,items}/ds=YYYY-MM-DD/part-00000.jsonl.gz ... _SUCCESS

`docs/raw-zone.md` is the contract for those who write it without this module.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

from conf.fields import Stream
from feature_store.raw_zone import REPLAYED

STREAMS: tuple[Stream, ...] = ("items", "profiles", "events")
"""Events come last, so that a day whose events are complete is complete as a whole."""

SUCCESS = "_SUCCESS"
ROWS_PER_FILE = 250_000
"""Rows of one part file. A reader cannot split a .gz, so each file is one task of its own."""

_ROWS_PER_WRITE = 10_000
_COMPRESSION = 4


@dataclass(frozen=True)
class ImportSummary:
    """What one import wrote."""

    days: int
    """Calendar days written, empty ones included."""
    events: int
    profiles: int
    items: int
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows of the source that were left out, by reason."""
    emptied: dict[str, int] = field(default_factory=dict)
    """Values that could not be read, by reason: their rows were kept without them."""
    examples: dict[str, str] = field(default_factory=dict)
    """Reason -> file and line of the first row that it befell."""

    def __str__(self) -> str:
        """What was written and, a line for each reason, what was not."""
        written = (
            f"{self.days} days: {self.events:,} events, {self.profiles:,} profiles, "
            f"{self.items:,} items"
        )
        if not self.skipped and not self.emptied:
            return f"{written}; left out: nothing"
        left_out = self._reasons("left out, rows", self.skipped)
        return "\n".join([written, *left_out, *self._reasons("kept without value", self.emptied)])

    def _reasons(self, title: str, counts: dict[str, int]) -> list[str]:
        lines = [f"{title}: {sum(counts.values()):,}"] if counts else []
        for reason, number in sorted(counts.items()):
            example = self.examples.get(reason)
            lines.append(f"  {reason} {number:,}" + (f" (first: {example})" if example else ""))
        return lines


def day_folder(raw: Path, stream: Stream, ds: str) -> Path:
    """The folder of one stream and day."""
    return raw / stream / f"ds={ds}"


def is_complete(raw: Path, stream: Stream, ds: str) -> bool:
    """Whether the day's folder carries `_SUCCESS`."""
    return (day_folder(raw, stream, ds) / SUCCESS).exists()


def begin_day(raw: Path, ds: str) -> None:
    """Takes back that a day is complete, before the first of its streams is replaced.

    Readers go by the events' `_SUCCESS`; without this a day written again would look complete
    while its items are already new and its events still old.
    """
    (day_folder(raw, "events", ds) / SUCCESS).unlink(missing_ok=True)


def write_day(
    raw: Path,
    stream: Stream,
    ds: str,
    lines: Iterable[bytes],
    rows_per_file: int = ROWS_PER_FILE,
) -> int:
    """The number of rows written: replaces the stream's whole day by `lines`.

    The same lines give the same bytes. Rows that `dayfold quarantine replay` delivered stay.
    A process killed on the way leaves a day without `_SUCCESS` and no half file under a final
    name; running it again repairs the day.

    Args:
        raw: root of the raw zone.
        stream: which of the three streams.
        ds: the arrival day, YYYY-MM-DD.
        lines: one JSON object each, UTF-8, without the line end.
        rows_per_file: rows of a part file before the next one is begun.
    """
    folder = day_folder(raw, stream, ds)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUCCESS).unlink(missing_ok=True)
    source = iter(lines)
    written: set[str] = set()
    rows = 0
    for number in count():
        first = next(source, None)
        if first is None:
            break
        part = folder / f"part-{number:05d}.jsonl.gz"
        rows += _write_part(part, chain([first], islice(source, rows_per_file - 1)))
        written.add(part.name)
    for path in folder.iterdir():
        if path.name not in written and not path.name.startswith(REPLAYED):
            path.unlink()
    (folder / SUCCESS).touch()
    return rows


def write_file(path: Path, content: bytes) -> None:
    """Puts a whole file in place at once: readers see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _write_part(path: Path, lines: Iterator[bytes]) -> int:
    temporary = path.with_name(f".{path.name}.tmp")
    rows = 0
    # Without a name and a time in its header, the file depends on the lines alone.
    with (
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as packed,
    ):
        while batch := list(islice(lines, _ROWS_PER_WRITE)):
            packed.write(b"\n".join(batch) + b"\n")
            rows += len(batch)
    temporary.replace(path)
    return rows
