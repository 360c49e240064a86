"""Raw files as they were when a day was read, and those that have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from conf.fields import STREAMS
from feature_store.lake import Lake
from feature_store.raw_fields import fields_in
from feature_store.raw_zone import RawZone
from feature_store.tables import RAW_FILES

_SCHEMA = pa.schema(
    [
        ("stream", pa.string()),
        ("file", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("fields", pa.map_(pa.string(), pa.string())),
    ]
)


def fingerprints(zone: RawZone, ds: str) -> pa.Table:
    """Rows of table `raw_files` without `ds`: the files of `ds` as they are now."""
    rows = []
    for stream in STREAMS:
        for path in zone.files(stream, ds):
            rows.append(
                {
                    "stream": stream,
                    "file": path.name,
                    "bytes": path.stat().st_size,
                    "sha256": sha256_of(path),
                    "fields": list(fields_in(path).items()),
                }
            )
    return pa.Table.from_pylist(rows, _SCHEMA)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed_since_read(lake: Lake, zone: RawZone, days: Sequence[str]) -> list[str]:
    """One sentence for each raw file of `days` that is new, gone, or of another size.

    Sizes are compared, not contents: a look costs nothing, and logs grow.
    """
    known = set(lake.days(RAW_FILES))
    found = []
    for ds in (day for day in days if day in known):
        rows = lake.read(RAW_FILES, [ds], [*_FILE, "bytes"]).to_pylist()
        now: _Known = {
            (stream, path.name): (path.stat().st_size, "")
            for stream in STREAMS
            for path in zone.files(stream, ds)
        }
        found += _differences(ds, {(r["stream"], r["file"]): (r["bytes"], "") for r in rows}, now)
    return found


def changed_contents(lake: Lake, ds: str, now: pa.Table) -> list[str]:
    """As `changed_since_read`, for one day whose files are `now` (see `fingerprints`), by content.

    Where `ds` was never read, every file is new.
    """
    columns = [*_FILE, "bytes", "sha256"]
    read, there = (
        {(r["stream"], r["file"]): (r["bytes"], r["sha256"]) for r in rows.to_pylist()}
        for rows in (lake.read(RAW_FILES, [ds], columns), now.select(columns))
    )
    return _differences(ds, read, there)


_FILE = ("stream", "file")
_Known = dict[tuple[str, str], tuple[int, str]]
"""(stream, file name) -> bytes, and SHA-256 or nothing."""


def _differences(ds: str, read: _Known, now: _Known) -> list[str]:
    found = []
    for stream, name in sorted(read.keys() | now.keys()):
        before, after = read.get((stream, name)), now.get((stream, name))
        if before != after:
            found.append(f"{stream}/ds={ds}/{name} {_change(before, after)}")
    return found


def _change(before: tuple[int, str] | None, after: tuple[int, str] | None) -> str:
    if before is None:
        return "is new"
    if after is None:
        return "is gone"
    if before[0] == after[0]:
        return "has another content"
    return f"had {before[0]:,} bytes and has {after[0]:,}"
