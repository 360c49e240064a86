"""Replacing partitions of a Delta table as a compare-and-swap.

Delta lets two writers both fill a partition that was empty when they began, and rebases a commit
on others that touch other partitions. Here a commit is made on the version that was looked at, or
it is looked at again: so of two writers of one partition, one is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

PartitionFilters = list[tuple[str, str, Any]]
"""Which partitions: (column, `=` or `in`, value or values)."""

_UNWRITTEN = 0
"""Version of a table that was created and not written."""


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
