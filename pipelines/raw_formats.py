"""The raw files of some days, grouped by what can be read together."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import SourceError
from conf.fields import Stream
from feature_store.raw_fields import open_text
from feature_store.raw_zone import RawZone


@dataclass(frozen=True)
class FormatGroup:
    """Files that can be read together."""

    paths: tuple[Path, ...]
    header: tuple[str, ...] = ()
    """Columns of CSV files."""


def by_format(
    zone: RawZone, stream: Stream, days: Sequence[str]
) -> tuple[list[FormatGroup], list[FormatGroup], list[FormatGroup]]:
    """The files that are JSON lines, CSV (by header) and Parquet (by columns)."""
    text: list[Path] = []
    tables: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    parquet: dict[str, list[Path]] = defaultdict(list)
    for path in (path for ds in days for path in zone.files(stream, ds)):
        if path.name.endswith(".parquet"):
            parquet[_columns(path)].append(path)
        elif path.stat().st_size == 0:
            continue
        elif ".csv" in path.suffixes:
            if header := _header(path):
                tables[header].append(path)
        else:
            text.append(path)
    return (
        [FormatGroup(tuple(text))] if text else [],
        [FormatGroup(tuple(paths), header) for header, paths in sorted(tables.items())],
        [FormatGroup(tuple(paths)) for _, paths in sorted(parquet.items())],
    )


def _columns(path: Path) -> str:
    """What tells Parquet files that can be read together."""
    try:
        return str(pq.read_schema(path).remove_metadata())
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{path} is not a Parquet file ({error}). Next: write it again, then run the day again."
        ) from error


def _header(path: Path) -> tuple[str, ...]:
    """The column names in the first line of a CSV file; none where the file is empty."""
    try:
        # Bad bytes in the rows below are for the rules to find.
        with open_text(path) as file:
            first = next(csv.reader(file), None)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{path} cannot be read: {error}. Next: write it again, then run the day again."
        ) from error
    if first is None:
        return ()
    names = tuple(name.strip() for name in first)
    if not names or not all(names) or len(set(names)) != len(names):
        raise SourceError(
            f"{path}: expected a first line with unique column names, found {list(names)}. "
            f"Next: write the header, then run the day again."
        )
    return names
