"""Reads the CSV and Parquet files that a mapping names, in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from conf.errors import ConfigError, SourceError
from pipelines.sources.mapping import TableFile

_ROWS_PER_BATCH = 20_000
_BYTES_PER_BLOCK = 4 << 20
_WILDCARDS = frozenset("*?[")

Row = dict[str, object]


class TableReader:
    """The rows of one section of a mapping file."""

    def __init__(
        self, table: TableFile, section: str, mapping_file: Path, skipped: Counter[str]
    ) -> None:
        self._table = table
        self._section = section
        self._mapping_file = mapping_file
        self._skipped = skipped

    def rows(self, wanted: Mapping[str, str]) -> Iterator[Row]:
        """Every row of every file, as a dict of the wanted columns.

        Args:
            wanted: key in the mapping file -> name of the column there.

        Raises:
            ConfigError: no file matches `path`, or a wanted column is not in a file.
            SourceError: a file is not of the declared format.
        """
        for path in self._files():
            try:
                self._require(path, self._columns(path), wanted)
                for batch in self._batches(path, sorted(set(wanted.values()))):
                    yield from batch.to_pylist()
            except (pa.ArrowException, OSError, UnicodeError) as error:
                raise SourceError(
                    f"{path}: expected {self._table.format} ({self._section}.format in "
                    f"{self._mapping_file}), found: {error}. "
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

    def _columns(self, path: Path) -> list[str]:
        if self._table.format == "parquet":
            return list(pa.parquet.read_schema(path).names)
        with pa.csv.open_csv(path, **self._csv_options([])) as reader:
            return list(reader.schema.names)

    def _batches(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if self._table.format == "parquet":
            with pa.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns)
        else:
            with pa.csv.open_csv(path, **self._csv_options(columns)) as reader:
                yield from reader

    def _csv_options(self, columns: list[str]) -> dict[str, object]:
        def skip(_row: object) -> str:
            # The header is read without columns: a row must not be counted there and here.
            self._skipped[f"{self._section}_wrong_number_of_fields"] += bool(columns)
            return "skip"

        return {
            "read_options": pa.csv.ReadOptions(
                use_threads=False, block_size=_BYTES_PER_BLOCK, encoding=self._table.encoding
            ),
            "parse_options": pa.csv.ParseOptions(
                delimiter=self._table.delimiter,
                newlines_in_values=True,
                invalid_row_handler=skip,
            ),
            # As text, because guessed types would turn 007 into 7.
            "convert_options": pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=columns,
                null_values=[""],
                strings_can_be_null=True,
            ),
        }
