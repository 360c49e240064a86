"""Upkeep of the lake: small files are merged; those that no version worth keeping names go."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from conf.errors import ConcurrentWrite
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.tables import GATES, TABLES, Table

MERGED_BYTES = 128 * 2**20
"""Files of a partition are merged until they have this size."""
_HOURS_PER_DAY = 24
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Swept:
    """What was (or would be) removed from one table."""

    table: str
    merged: int
    """Small files that were put into larger ones."""
    files: int
    megabytes: float
    kept_versions: int
    """Earlier versions that stay readable."""


def versions_to_keep(
    lake: Lake, keep_days: int, named: Iterable[Mapping[str, int]] = ()
) -> dict[str, list[int]]:
    """Delta versions by table key: those that the ledger names for days worth keeping, and `named`.

    Such days are the last `keep_days`, and every day on which a model was registered. A day that
    was run again names its last run only; `named` is what the models of the runs before name.
    """
    closed = closed_days(lake)
    registered = {
        row["ds"]
        for row in lake.read(GATES, lake.days(GATES), ["ds", "version"]).to_pylist()
        if row["version"]
    }
    since = shift(max(closed), -keep_days) if closed else ""
    kept: dict[str, set[int]] = defaultdict(set)
    for ds, day in closed.items():
        if ds > since or ds in registered:
            for key, version in day.table_versions.items():
                kept[key].add(version)
    for versions in named:
        for key, version in versions.items():
            kept[key].add(version)
    return {key: sorted(versions) for key, versions in kept.items()}


def sweep(
    lake: Lake, keep_days: int, named: Iterable[Mapping[str, int]] = (), *, dry_run: bool
) -> list[Swept]:
    """Merge small files; remove what no kept version names, and what killed steps left.

    What is removed is older than `keep_days`. The current version of a table, and every version of
    `versions_to_keep`, stays readable.
    """
    keep = versions_to_keep(lake, keep_days, named)
    return [
        _swept(lake, table, keep.get(table.key, []), keep_days, dry_run=dry_run)
        for table in TABLES
        if lake.delta(table) is not None
    ]


def _swept(
    lake: Lake, table: Table, versions: list[int], keep_days: int, *, dry_run: bool
) -> Swept:
    delta = lake.delta(table)
    assert delta is not None  # noqa: S101
    root = Path(lake.uri(table))
    merged = _mergeable(delta)
    if merged and not dry_run:
        merged = _merge(delta, table)
    sizes = {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*.parquet")}
    found = delta.vacuum(
        retention_hours=keep_days * _HOURS_PER_DAY,
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=versions or None,
    )
    staged = _abandoned(root / "_staging", keep_days)
    freed = sum(sizes.get(name, 0) for name in found)
    for folder in staged:
        freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if not dry_run:
            shutil.rmtree(folder, ignore_errors=True)
    return Swept(table.key, merged, len(found) + len(staged), freed / 2**20, len(versions))


def _mergeable(delta: DeltaTable) -> int:
    """Files of less than half the size asked for that share their partition with others."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    names = [name for name in actions.column_names if name.startswith("partition.")]
    small = actions.filter(pc.less(actions.column("size_bytes"), MERGED_BYTES // 2))
    counted = small.group_by(names).aggregate([([], "count_all")]).column("count_all")
    return int(pc.sum(counted.filter(pc.greater(counted, 1))).as_py() or 0)


def _merge(delta: DeltaTable, table: Table) -> int:
    """Put small files together, in one commit; how many there were.

    Raises:
        ConcurrentWrite: another machine wrote the table meanwhile.
    """
    try:
        metrics = delta.optimize.compact(
            target_size=MERGED_BYTES,
            writer_properties=WriterProperties(compression="ZSTD"),
            commit_properties=CommitProperties(custom_metadata={"step": "upkeep"}),
        )
    except CommitFailedError as error:
        raise ConcurrentWrite(
            f"{table.key}: another process wrote it while its files were merged; the table is as "
            f"that process left it. Next: `dayfold upkeep` again. ({error})"
        ) from error
    delta.update_incremental()
    return int(metrics["numFilesRemoved"])


def _abandoned(staging: Path, keep_days: int) -> list[Path]:
    """Staging folders of steps that were killed: too old to be in use."""
    before = time.time() - keep_days * _HOURS_PER_DAY * _SECONDS_PER_HOUR
    folders = staging.iterdir() if staging.is_dir() else ()
    return sorted(path for path in folders if path.stat().st_mtime < before)
