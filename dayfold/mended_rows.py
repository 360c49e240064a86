"""Rows that somebody mended by hand: are they raw rows again?"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conf.errors import SourceError

_MASK = "***"


def require_raw_rows(file: Path) -> int:
    """How many rows `file` holds, in a format of the raw zone.

    Raises:
        SourceError: it cannot be read, or a row is as the quarantine shows it: without its user.
    """
    count = 0
    try:
        for count, row in enumerate(_rows(file), start=1):
            if not isinstance(row, dict):
                raise SourceError(f"--file {file}, row {count}: expected an object, found {row!r}.")
            if row.get("user_id") == _MASK or isinstance(row.get("context"), dict):
                raise SourceError(
                    f"--file {file}, row {count}: this is a row as the quarantine shows it, "
                    "masked, with its context in one field. Expected a row as it stands in the raw "
                    "file. Next: take it from there (`zcat FILE | sed -n LINEp`) and mend that."
                )
    except (ValueError, csv.Error, OSError) as error:
        raise SourceError(
            f"--file {file}, after row {count}: cannot be read ({error}). Next: mend it, or name "
            "it by its format."
        ) from error
    return count


def _rows(file: Path) -> Iterator[Any]:
    if file.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
        return
    import pyarrow as pa

    packed = pa.input_stream(str(file), compression="detect")
    with io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
        if ".csv" in file.suffixes:
            yield from csv.DictReader(text)
        else:
            yield from (json.loads(line) for line in text if line.strip())
