"""Where a user's traces are: which rows of a table are the user's, found by its columns.

A column of users is recognised by its name, text by its type: nobody has to remember a table. The
name of a column with a user's vocabulary id ends in `user_index` (`user_indices` for a list); a
pseudonym may stand in any text, alone or as part of an id of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.errors import MissingPartition
from feature_store.lake import Lake
from feature_store.tables import EVENTS, QUARANTINE, TABLES, VOCABULARIES, Table

USER_FIELD = "user_id"
"""The vocabulary's field of users."""
NEUTRAL = "forgotten."
"""Begins the value that keeps a forgotten user's vocabulary id from being given to another."""

_INDEX = "user_index"
_INDICES = "user_indices"
_FIELD, _ID, _VALUE = "field", "id", "value"
_EXAMPLE_ID = "example_id"


@dataclass(frozen=True)
class Person:
    """Whose traces are looked for."""

    user_id: str
    """The pseudonym."""
    indices: frozenset[int]
    """Its ids in the vocabulary: one, or none for a user whom no event or profile has named."""
    event_ids: frozenset[str] = frozenset()
    """Ids of its events, by which its examples are known that it had no id of its own for."""


@dataclass
class Traces:
    """A user's traces in one table."""

    table: Table
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of the current version, by day."""
    leftovers: list[Path] = field(default_factory=list)
    """Files with such rows that only earlier versions name, or nobody."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.rows or self.leftovers)


def searched_columns(schema: pa.Schema) -> list[str]:
    """The columns in which a user can leave a trace."""
    has_words = {_FIELD, _ID} <= set(schema.names)
    return [
        column.name
        for column in schema
        if _holds_text(column.type)
        or column.name.endswith((_INDEX, _INDICES))
        or (has_words and column.name == _ID)
    ]


def traces_in(rows: pa.Table, person: Person) -> pa.ChunkedArray:
    """(n,) whether each row is, or mentions, the person."""
    found = pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
    for name in searched_columns(rows.schema):
        found = pc.or_(found, pc.fill_null(_hits(rows, name, person), False))
    return found


def persons_traces(lake: Lake, person: Person, tables: Sequence[Table] = TABLES) -> list[Traces]:
    """The person's traces in each of `tables`; every file in the table's folder is read."""
    return [_traces(lake, table, person) for table in tables if lake.delta(table) is not None]


def person_of(lake: Lake, user_id: str) -> Person:
    """The person of a pseudonym, with what the vocabulary calls it.

    Once the current version has a neutral value instead, an earlier one's file tells. An id that
    is another user's now (a day was run again on other files) does not count.
    """
    indices: set[int] = set()
    for path in _files(lake, VOCABULARIES):
        rows = _read(path, [_FIELD, _VALUE, _ID])
        if rows is not None:
            indices |= _ids(rows, pc.equal(rows.column(_VALUE), user_id))
    now = lake.read(VOCABULARIES, lake.days(VOCABULARIES), [_FIELD, _VALUE, _ID])
    value = now.column(_VALUE)
    others = pc.and_(pc.not_equal(value, user_id), pc.invert(pc.starts_with(value, NEUTRAL)))
    return Person(user_id, frozenset(indices - _ids(now, others)), _event_ids(lake, user_id))


def _event_ids(lake: Lake, user_id: str) -> frozenset[str]:
    """Ids of the user's events, in whatever version of the table."""
    found: set[str] = set()
    for path in _files(lake, EVENTS):
        rows = _read(path, ["user_id", "event_id"])
        if rows is not None:
            mine = rows.filter(pc.equal(rows.column("user_id"), user_id))
            found |= set(mine.column("event_id").to_pylist())
    return frozenset(found)


def _ids(words: pa.Table, chosen: pa.ChunkedArray) -> set[int]:
    """The ids of those of the `chosen` words that are users."""
    users = pc.and_(pc.equal(words.column(_FIELD), USER_FIELD), chosen)
    return set(words.filter(users).column(_ID).to_pylist())


def without(rows: pa.Table, table: Table, person: Person) -> pa.Table:
    """`rows` of `table` without the person.

    A word of the vocabulary stays, under a neutral value: its id is never given to another. A
    quarantined line stays as a row without text, so that counts add up. Every other row goes.
    """
    mine = traces_in(rows, person)
    if table is VOCABULARIES:
        neutral = pc.binary_join_element_wise(NEUTRAL, pc.cast(rows.column(_ID), pa.string()), "")
        return _with(rows, _VALUE, pc.if_else(mine, neutral, rows.column(_VALUE)))
    if table is QUARANTINE:
        return _with(rows, "masked_line", pc.if_else(mine, "", rows.column("masked_line")))
    return rows.filter(pc.invert(mine))


# ---- files -------------------------------------------------------------------------------------


def _traces(lake: Lake, table: Table, person: Person) -> Traces:
    current = {Path(uri) for uri in lake.file_uris(table, lake.days(table))}
    found = Traces(table)
    for path in _files(lake, table):
        rows = _read(path)
        if rows is None and path in current:
            raise MissingPartition(
                f"{path} is damaged: expected a Parquet file, {table.key} names it. Next: run its "
                "day again (dayfold run --force), then forget again."
            )
        # Half a file is what a killed step leaves; nobody can tell whose rows are in it.
        hits = -1 if rows is None else int(pc.sum(traces_in(rows, person)).as_py() or 0)
        if hits and path in current:
            day = path.relative_to(lake.uri(table)).parts[0].removeprefix("ds=")
            found.rows[day] = found.rows.get(day, 0) + hits
        elif hits:
            found.leftovers.append(path)
    return found


def _files(lake: Lake, table: Table) -> Iterator[Path]:
    yield from sorted(Path(lake.uri(table)).rglob("*.parquet"))


def _read(path: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    """The searched columns (or `columns`) of one file; None where it is no whole file."""
    try:
        with pq.ParquetFile(path) as file:
            wanted = list(columns or searched_columns(file.schema_arrow))
            names = [*wanted, *({_FIELD} & set(file.schema_arrow.names))]
            return file.read(columns=list(dict.fromkeys(names)))
    except (pa.ArrowInvalid, OSError):
        return None


# ---- columns -----------------------------------------------------------------------------------


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return _holds_text(kind.key_type) or _holds_text(kind.item_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _hits(rows: pa.Table, name: str, person: Person) -> pa.ChunkedArray | pa.Array:
    column = rows.column(name)
    kind = column.type
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _nested_hits(column, person)
    if name == _EXAMPLE_ID and person.event_ids:
        named = pc.match_substring(column, person.user_id)
        return pc.or_(named, pc.is_in(column, value_set=pa.array(sorted(person.event_ids))))
    if _holds_text(kind):
        return pc.match_substring(column, person.user_id)
    known = pc.is_in(column, value_set=pa.array(sorted(person.indices), kind))
    if name != _ID:
        return known
    word = pc.and_(known, pc.equal(rows.column(_FIELD), USER_FIELD))
    if _VALUE not in rows.column_names:
        return word
    return pc.and_(word, pc.invert(pc.starts_with(rows.column(_VALUE), NEUTRAL)))


def _nested_hits(column: pa.ChunkedArray, person: Person) -> pa.Array:
    """Whether one of the values of each list or map is the person's."""
    hits = [np.zeros(0, dtype=np.bool_)]
    for chunk in column.chunks:
        hit = np.zeros(len(chunk), dtype=np.bool_)
        starts = chunk.offsets.to_numpy()
        for values in [chunk.keys, chunk.items] if pa.types.is_map(chunk.type) else [chunk.values]:
            places = np.flatnonzero(_values_hit(values, person))
            owner = np.searchsorted(starts, places, side="right") - 1
            hit[owner[(owner >= 0) & (owner < len(chunk))]] = True
        hits.append(hit)
    return pa.array(np.concatenate(hits))


def _values_hit(values: pa.Array, person: Person) -> NDArray[np.bool_]:
    if _holds_text(values.type):
        found = pc.match_substring(values, person.user_id)
    else:
        found = pc.is_in(values, value_set=pa.array(sorted(person.indices), values.type))
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _with(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
