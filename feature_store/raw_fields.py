"""Which fields the rows of a raw file have, and of what kind, by a look at its first rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LOOKED_AT_ROWS = 1_000
"""Rows at the beginning of a file."""
SOMETIMES = "?"
"""Ends the kind of a field that is absent or null in some of the rows."""
UNTYPED = "any"
"""The kind of what CSV holds."""
NULL = "null"
"""The kind of a field that is null wherever it is."""

_IDS = frozenset({"user_id", "item_id"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_KINDS: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "list",
    dict: "object",
    type(None): NULL,
}


def fields_in(path: Path) -> dict[str, str]:
    """What `all_fields_in` finds, if it looks like names of fields and not like data.

    A CSV file without a header would else tell ids of users; so a file counts only if it names
    users or items, and a name only if it is an identifier.
    """
    found = all_fields_in(path)
    if not found.keys() & _IDS:
        return {}
    return {name: kind for name, kind in found.items() if _NAME.fullmatch(name)}


def all_fields_in(path: Path) -> dict[str, str]:
    """The fields of a raw file's first rows, with their kinds: `{"value": "number?"}`.

    Kinds are text, number, boolean, list, object, time, null and any (CSV); several are joined by
    `|`.
    Rows that cannot be read are passed over: the cleaning rules are about them.

    Args:
        path: a file with one of the suffixes of the raw zone.

    Returns:
        Nothing for a file without rows, or one that is damaged.
    """
    try:
        if path.suffix == ".parquet":
            return _of_columns(pq.read_schema(path))
        with open_text(path) as lines:
            if ".csv" in path.suffixes:
                header = next(csv.reader(lines), [])
                return {name.strip(): UNTYPED + SOMETIMES for name in header if name.strip()}
            return _of_rows(islice(lines, LOOKED_AT_ROWS))
    except (OSError, EOFError, RecursionError, csv.Error, pa.ArrowException):
        return {}


def open_text(path: Path) -> io.TextIOWrapper:
    """The lines of a text file, unpacked by its suffix; bad UTF-8 is replaced."""
    unpacked: Any = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="replace", newline="")


def _of_rows(lines: Iterable[str]) -> dict[str, str]:
    kinds: dict[str, set[str]] = defaultdict(set)
    ids: set[object] = set()
    given: dict[str, int] = defaultdict(int)
    rows = 0
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict):
            continue
        rows += 1
        ids |= {row[name] for name in _IDS & row.keys() if isinstance(row[name], str)}
        for name, value in row.items():
            kinds[name].add(_KINDS[type(value)])
            given[name] += value is not None
    return {
        name: "|".join(sorted(found - {NULL} or {NULL})) + (SOMETIMES if given[name] < rows else "")
        for name, found in sorted(kinds.items())
        # An object by user is data: its keys are no fields.
        if name not in ids
    }


def _of_columns(schema: pa.Schema) -> dict[str, str]:
    return {field.name: _kind_of(field.type) + SOMETIMES for field in schema}


def _kind_of(column: pa.DataType) -> str:
    for test, kind in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "number"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_temporal, "time"),
        (pa.types.is_nested, "list"),
    ):
        if test(column):
            return kind
    return "text"
