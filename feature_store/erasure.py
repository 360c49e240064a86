"""Erasing a person from the lake: current rows, counts, the ledger's versions, then old files.

Each function may be killed and called again. The order matters: what a version that the ledger
names is made of is deleted only when the ledger names another one (see `in_order`, too).
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from feature_store.lake import Lake
from feature_store.tables import EVENTS, INTAKE, LEDGER, PROFILES, VOCABULARIES, Table
from feature_store.tombstones import LINEAGE
from feature_store.traces import Person, Traces, without

FORGOTTEN_OUTCOME = "forgotten"

_COUNTED = {"events": EVENTS, "profiles": PROFILES}


def in_order(found: Sequence[Traces]) -> list[Traces]:
    """`found` in the order in which it must be erased.

    The events, which tell the person's examples, come after those; the vocabulary, which knows the
    person's index, comes last.
    """
    order = {EVENTS.key: 1, VOCABULARIES.key: 2}
    return sorted(found, key=lambda traces: order.get(traces.table.key, 0))


def erase_rows(lake: Lake, found: Traces, person: Person) -> int:
    """Take the person out of the current version of a table, in one commit; the rows removed.

    Raises:
        ConcurrentWrite: another machine wrote the same days meanwhile.
    """
    table, days = found.table, sorted(found.rows)
    if not days:
        return 0
    root = Path(lake.uri(table))
    written: dict[Path, Mapping[str, str]] = {}
    for path in sorted(Path(uri) for uri in lake.file_uris(table, days)):
        with pq.ParquetFile(path) as file:
            rows = without(file.read(), table, person)
        if rows.num_rows:
            fresh = path.with_name(f"part-{uuid.uuid4().hex}.parquet")
            pq.write_table(rows, fresh, compression="zstd")
            folders = path.relative_to(root).parent.parts
            written[fresh] = dict(folder.split("=", 1) for folder in folders)
    lake.rewrite(table, days, written, LINEAGE)
    return sum(found.rows.values())


def purge(found: Traces) -> int:
    """Delete the files of a table that only earlier versions, or nobody, names; how many."""
    for path in found.leftovers:
        path.unlink(missing_ok=True)
    return len(found.leftovers)


def count_forgotten(lake: Lake) -> int:
    """Make the intake add up again: what is gone from a clean table counts as forgotten.

    Returns:
        How many days were corrected.
    """
    by_day: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for row in lake.read(INTAKE, lake.days(INTAKE)).to_pylist():
        by_day[row["ds"]][row["stream"], row["outcome"]] = row["rows"]
    clean = {stream: _rows_by_day(lake, table) for stream, table in _COUNTED.items()}
    corrected = 0
    for ds, counts in by_day.items():
        changed = dict(counts)
        for stream in _COUNTED:
            gone = counts.get((stream, "clean"), 0) - clean[stream].get(ds, 0)
            if gone > 0:
                changed[stream, "clean"] -= gone
                before = counts.get((stream, FORGOTTEN_OUTCOME), 0)
                changed[stream, FORGOTTEN_OUTCOME] = before + gone
        if changed != counts:
            lake.replace(INTAKE, {"ds": ds}, _intake(lake, ds, changed), LINEAGE)
            corrected += 1
    return corrected


def repoint_ledger(lake: Lake, tables: Sequence[Table]) -> int:
    """Name the current versions of `tables` in every row of the ledger; how many rows changed.

    A reader of an earlier day gets the rows of that day without the person.
    """
    now = {table.key: lake.version(table) for table in tables}
    changed = 0
    for row in lake.read(LEDGER, lake.days(LEDGER)).to_pylist():
        versions = json.loads(row["table_versions"])
        new = {key: max(version, now.get(key, version)) for key, version in versions.items()}
        if new != versions:
            row["table_versions"] = json.dumps(new)
            rows = pa.Table.from_pylist([row], lake.schema(LEDGER))
            lake.replace(LEDGER, {"ds": row["ds"]}, rows, LINEAGE)
            changed += 1
    return changed


def _rows_by_day(lake: Lake, table: Table) -> dict[str, int]:
    """Rows of the current version by day, from the footers of its files."""
    counts: dict[str, int] = {}
    for ds, path in _current(lake, table):
        counts[ds] = counts.get(ds, 0) + pq.read_metadata(path).num_rows
    return counts


def _current(lake: Lake, table: Table) -> Iterator[tuple[str, Path]]:
    for uri in lake.file_uris(table, lake.days(table)):
        path = Path(uri)
        yield path.parent.name.removeprefix("ds="), path


def _intake(lake: Lake, ds: str, counts: Mapping[tuple[str, str], int]) -> pa.Table:
    rows = [
        {"ds": ds, "stream": stream, "outcome": outcome, "rows": count}
        for (stream, outcome), count in counts.items()
    ]
    return pa.Table.from_pylist(rows, lake.schema(INTAKE))
