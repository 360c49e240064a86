"""Reads the CSV and Parquet files that a mapping names, in batches."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet

from conf.errors import ConfigError, SourceError
from pipelines.sources.losses import Losses, Place
from pipelines.sources.mapping import TableFile

_ROWS_PER_BATCH = 20_000
_WILDCARDS = frozenset("*?[")

Row = dict[str, object]


class Reader(Protocol):
    """What `csv.reader` gives."""

    line_num: int
    """Lines read so far."""

    def __iter__(self) -> Iterator[list[str]]:
        """The rows; a blank line is an empty one."""


class TableReader:
    """The rows of one section of a mapping file."""

    def __init__(self, table: TableFile, section: str, mapping_file: Path, losses: Losses) -> None:
        self._table = table
        self._section = section
        self._mapping_file = mapping_file
        self._losses = losses

    def rows(self, wanted: Mapping[str, str]) -> Iterator[Row]:
        """Every row of every file, as a dict of the wanted columns; "" is None.

        Blank lines, and rows with more or fewer fields than the header, are left out and counted.

        Args:
            wanted: key in the mapping file -> name of the column there.

        Raises:
            ConfigError: no file matches `path`, or a wanted column is not in a file.
            SourceError: a file is not of the declared format.
        """
        for path in self._files():
            read = self._parquet_rows if self._table.format == "parquet" else self._csv_rows
            try:
                yield from read(path, wanted)
            except (pa.ArrowException, csv.Error, OSError, UnicodeError) as error:
                raise SourceError(
                    f"{path}: expected {self._table.format} ({self._section}.format in "
                    f"{self._mapping_file}), found after {self._losses.place}: {error}. "
                    "Correct the file, or the keys format, delimiter and encoding."
                ) from error

    def _files(self) -> list[Path]:
        pattern = self._mapping_file.parent / self._table.path
        fixed = [part for part in pattern.parts if not _WILDCARDS & set(part)]
        if len(fixed) == len(pattern.parts):
            files = [pattern] if pattern.is_file() else []
        else:
            split = next(n for n, part in enumerate(pattern.parts) if _WILDCARDS & set(part))
            folder = Path(*pattern.parts[:split])
            files = sorted(p for p in folder.glob("/".join(pattern.parts[split:])) if p.is_file())
        if not files:
            raise ConfigError(
                f"{self._mapping_file}: key {self._section}.path: expected files at {pattern}, "
                f"found none. Correct the path (it is relative to {self._mapping_file.parent})."
            )
        return files

    def _require(self, path: Path, columns: list[str], wanted: Mapping[str, str]) -> None:
        missing = {key: name for key, name in wanted.items() if name not in columns}
        if missing:
            keys = ", ".join(f"{self._section}.{key}: {name}" for key, name in missing.items())
            raise ConfigError(
                f"{self._mapping_file}: {keys}: no such column in {path}, which has {columns}. "
                "Correct the name (upper and lower case count) or the delimiter, or drop the key."
            )

    def _parquet_rows(self, path: Path, wanted: Mapping[str, str]) -> Iterator[Row]:
        self._losses.place = place = Place(path, "row")
        self._require(path, list(pa.parquet.read_schema(path).names), wanted)
        columns = sorted(set(wanted.values()))
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns):
                for row in batch.to_pylist():
                    place.move(place.first + 1)
                    yield row

    def _csv_rows(self, path: Path, wanted: Mapping[str, str]) -> Iterator[Row]:
        # By Python's reader, because Arrow's does not tell on which line a row begins. All values
        # are text: guessed types would turn 007 into 7.
        with self._open(path) as lines:
            rows = self._full_rows(path, csv.reader(lines, delimiter=self._table.delimiter))
            header = next(rows, [])
            self._require(path, header, wanted)
            fields = [(name, header.index(name)) for name in sorted(set(wanted.values()))]
            for row in rows:
                values = {name: row[index] or None for name, index in fields}
                self._require_encoding(values)
                yield dict(values)

    def _full_rows(self, path: Path, reader: Reader) -> Iterator[list[str]]:
        """The header, then every row with as many fields; `losses.place` is the row's."""
        self._losses.place = place = Place(path)
        width = 0
        begin = 1
        for row in reader:
            place.move(begin, reader.line_num)
            begin = reader.line_num + 1
            if not row:
                self._losses.drop(f"{self._section}_blank_line")
            elif width and len(row) != width:
                self._losses.drop(f"{self._section}_wrong_number_of_fields")
            else:
                width = len(row)
                yield row

    def _open(self, path: Path) -> TextIOWrapper:
        # A byte that is not of the encoding matters only in a column that is used.
        encoding = "utf-8-sig" if self._table.encoding == "utf-8" else self._table.encoding
        packed = pa.input_stream(path, compression="detect")
        return TextIOWrapper(packed, encoding, errors="surrogateescape", newline="")

    def _require_encoding(self, values: Mapping[str, str | None]) -> None:
        try:
            "".join(value for value in values.values() if value).encode()
        except UnicodeEncodeError:
            raise UnicodeError(
                f"a byte at {self._losses.place} that is not {self._table.encoding}"
            ) from None
