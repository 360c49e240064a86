"""Replacing partitions of a Delta table as a compare-and-swap.

Delta lets two writers both fill a partition that was empty when they began, and rebases a commit
on others that touch other partitions. Here a commit is made on the version that was looked at, or
it is looked at again: so of two writers of one partition, one is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

PartitionFilters = list[tuple[str, str, Any]]
"""Which partitions: (column, `=` or `in`, value or values)."""

_UNWRITTEN = 0
"""Version of a table that was created and not written."""


def added_files(root: Path, files: Mapping[Path, Mapping[str, str]]) -> list[AddAction]:
    """What adds each of `files` (path -> its partition) to the table at `root`."""
    return [
        AddAction(
            path=str(path.relative_to(root)),
            size=path.stat().st_size,
            partition_values=dict(partition),
            modification_time=int(path.stat().st_mtime * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": pq.ParquetFile(path).metadata.num_rows}),
        )
        for path, partition in files.items()
    ]


def described(partitions: PartitionFilters) -> str:
    """`partitions` for people."""
    return ", ".join(f"{name}={value}" for name, _, value in partitions)


def swap(
    newest: Callable[[], DeltaTable],
    actions: list[AddAction],
    replaced: PartitionFilters,
    schema: pa.Schema,
    metadata: Mapping[str, str],
    read_version: int | None,
) -> None:
    """Commit `actions` in the place of the partitions `replaced`.

    Args:
        newest: the table as it is now.
        actions: the files to add.
        replaced: the partitions whose files go.
        schema: the table's.
        metadata: of the commit.
        read_version: the table must be at this version (-1 = not there yet); None = only its
            partitions `replaced` must not have changed since the call.

    Raises:
        CommitFailedError: it was changed by another process; nothing was committed.
    """
    table = newest()
    if read_version is not None and table.version() != max(read_version, _UNWRITTEN):
        raise CommitFailedError(f"version {table.version()}, expected {read_version} as read")
    properties = CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0)
    before = _files(table, replaced)
    while True:
        try:
            table.create_write_transaction(
                actions,
                mode="overwrite",
                schema=schema,
                partition_by=table.metadata().partition_columns,
                partition_filters=replaced,
                commit_properties=properties,
            )
        except CommitFailedError:
            seen, table = table.version(), newest()
            elsewhere = table.version() > seen and _files(table, replaced) == before
            if read_version is not None or not elsewhere:
                raise
        else:
            return


def _files(table: DeltaTable, partitions: PartitionFilters) -> set[str]:
    return set(table.file_uris(file_pruning_predicate=partitions))
