"""The lake: every table is a Delta table under one root. The only module that knows paths.

A step replaces exactly its own partition of each table that it writes. A replacement is one
Delta commit: a reader sees the old partition or the new one. Files of a killed commit are never
named by the log; they are orphans until vacuum.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from conf.dataset import DatasetConfig
from conf.errors import ConcurrentWrite
from feature_store.checks import CheckResult, check_staged, run_checks
from feature_store.days import ordinal
from feature_store.identity import identity_of, known_identity
from feature_store.schema import arrow_schema, conform, with_values
from feature_store.swap import PartitionFilters, added_files, described, swap
from feature_store.tables import BASE_EVERY_DAYS, Table
from feature_store.vanished import require_files

Lineage = Mapping[str, str]
_Files = Mapping[Path, Mapping[str, str]]

_TABLE_PROPERTIES = {
    "delta.checkpointInterval": "20",
    # Versions that a registered model names must stay readable; `feature_store.upkeep` clears up.
    "delta.logRetentionDuration": "interval 3650 days",
}
_HANDLES: dict[tuple[str, object], DeltaTable] = {}
"""Open tables by uri and `_born`: the news of a log cost a tenth of the whole log."""


class Lake:
    """The tables of one dataset under `root`."""

    def __init__(self, root: Path, dataset: DatasetConfig, lineage: Lineage | None = None) -> None:
        """Open the lake of `dataset` at `root`; the first write begins it, reading makes nothing.

        `lineage` is added to the metadata of every commit made through this object.

        Raises:
            ConfigError: `root` holds the lake of another dataset, or is no folder.
        """
        self.root = root
        self.dataset = dataset
        self._lineage = dict(lineage or {})
        self.check_results: list[CheckResult] = []
        """What the checks said of all that was written through this object."""
        known_identity(root, dataset.name)

    @property
    def id(self) -> str:
        """What tells this lake from one begun anew at the same place; asking begins it."""
        return identity_of(self.root, self.dataset.name).id

    # ---- where --------------------------------------------------------------------------------

    def uri(self, table: Table) -> str:
        """Folder of `table`: <root>/<layer>/<name>_v<version>."""
        return str(self.root / table.layer / f"{table.name}_v{table.version}")

    def schema(self, table: Table) -> pa.Schema:
        """Arrow schema of `table`, partition columns included."""
        return arrow_schema(table, self.dataset)

    # ---- what is there ------------------------------------------------------------------------

    def delta(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """The Delta table as it is now (or at `version`), or None where nothing was written yet."""
        uri = self.uri(table)
        try:
            if version is not None:
                return DeltaTable(uri, version=version)
            key = (uri, _born(uri))
            handle = _HANDLES.get(key)
            if handle is None:
                handle = _HANDLES[key] = DeltaTable(uri)
            else:
                handle.update_incremental()
        except TableNotFoundError:
            return None
        return handle

    def version(self, table: Table) -> int:
        """The current Delta version of `table`; -1 where nothing was written yet."""
        delta = self.delta(table)
        return -1 if delta is None else int(delta.version())

    def days(self, table: Table) -> list[str]:
        """Days of `table` with rows, ascending."""
        delta = self.delta(table)
        return [] if delta is None else sorted({p["ds"] for p in delta.partitions()})

    def state_days(self, table: Table, ds: str) -> list[str]:
        """The days whose rows, latest per entity, are the state as known at the end of `ds`.

        From the last base day on (see `is_base_day`) where the table has bases, else all days.
        """
        days = [day for day in self.days(table) if day <= ds]
        if not table.based or not days:
            return days
        block = ordinal(days[-1]) // BASE_EVERY_DAYS
        return [day for day in days if ordinal(day) // BASE_EVERY_DAYS == block]

    def is_base_day(self, table: Table, ds: str) -> bool:
        """Whether `ds` is the first written day of its block, which holds every entity's state."""
        block = ordinal(ds) // BASE_EVERY_DAYS
        return not any(
            day < ds and ordinal(day) // BASE_EVERY_DAYS == block for day in self.days(table)
        )

    # ---- read ---------------------------------------------------------------------------------

    def file_uris(self, table: Table, days: Iterable[str], version: int | None = None) -> list[str]:
        """Parquet files of `days` (for Spark, DuckDB); the path ends in ds=<day>/<file>."""
        delta = self.delta(table, version)
        wanted = sorted(set(days))
        if delta is None or not wanted:
            return []
        return list(delta.file_uris(file_pruning_predicate=[("ds", "in", wanted)]))

    def read(
        self,
        table: Table,
        days: Iterable[str],
        columns: Sequence[str] | None = None,
        version: int | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Rows of `days` for which `where` holds; `columns`: all declared ones, in order."""
        schema = self.schema(table)
        wanted = list(columns) if columns is not None else schema.names
        files = self.file_uris(table, days, version)
        if version is not None:
            require_files(table, version, files)
        if not files:
            return pa.schema([schema.field(name) for name in wanted]).empty_table()
        partitions = pads.partitioning(
            pa.schema([schema.field(name) for name in table.partition]), flavor="hive"
        )
        dataset = pads.dataset(
            files,
            schema=schema,
            format="parquet",
            partitioning=partitions,
            partition_base_dir=self.uri(table),
        )
        return dataset.to_table(columns=wanted, filter=where)

    # ---- write --------------------------------------------------------------------------------

    def replace(
        self, table: Table, partition: Mapping[str, str], rows: pa.Table, lineage: Lineage
    ) -> int:
        """Replace one partition by `rows` (which may be none); give the new Delta version.

        `rows` may leave the partition's columns out.

        Raises:
            SchemaMismatch, CheckFailed: before anything is committed.
            ConcurrentWrite: another process changed the same partition meanwhile.
        """
        others = {name: value for name, value in partition.items() if name != "ds"}
        return self.replace_days(table, {partition["ds"]: rows}, lineage, **others)

    def replace_days(
        self, table: Table, by_day: Mapping[str, pa.Table], lineage: Lineage, **partition: str
    ) -> int:
        """As `replace`, for several days (of one further partition) in one commit."""
        files: dict[Path, Mapping[str, str]] = {}
        for ds, rows in by_day.items():
            whole = {"ds": ds, **partition}
            wanted = conform(with_values(rows, whole), table, self.dataset)
            run_checks(table, self.dataset, wanted, whole, self.check_results)
            if wanted.num_rows:
                folder = self._partition_dir(table, whole)
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"part-{uuid.uuid4().hex}.parquet"
                stored = wanted.drop_columns(list(table.partition))
                pq.write_table(stored, path, compression="zstd")
                files[path] = whole
        replaced: PartitionFilters = [("ds", "in", list(by_day))]
        replaced += [(name, "=", value) for name, value in partition.items()]
        return self._commit(table, replaced, files, lineage)

    def staging(self, table: Table) -> Path:
        """A fresh folder, on the table's file system, for files that `commit_staged` takes over."""
        return Path(self.uri(table)) / "_staging" / uuid.uuid4().hex

    def commit_staged(
        self,
        staged: Mapping[Table, Path],
        days: Iterable[str],
        lineage: Lineage,
        read_versions: Mapping[Table, int] | None = None,
    ) -> None:
        """Replace the partitions of `days` by the files under <staging>/ds=<day>/ of each table.

        Every file of every table is checked before the first commit; a table is one commit. A day
        without files becomes empty. A table of `read_versions` must still be at that version:
        what is written follows from what was read of its other days.

        Raises:
            SchemaMismatch, CheckFailed: before anything is committed.
            ConcurrentWrite: another process changed one of the partitions meanwhile.
        """
        found = {
            table: {ds: sorted((staging / f"ds={ds}").glob("*.parquet")) for ds in days}
            for table, staging in staged.items()
        }
        for table, by_day in found.items():
            for ds, paths in by_day.items():
                check_staged(table, self.dataset, ds, paths, self.check_results)
        for table, by_day in found.items():
            files: dict[Path, Mapping[str, str]] = {}
            for ds, paths in by_day.items():
                folder = self._partition_dir(table, {"ds": ds})
                folder.mkdir(parents=True, exist_ok=True)
                for path in paths:
                    files[path.rename(folder / f"part-{uuid.uuid4().hex}.parquet")] = {"ds": ds}
            read = (read_versions or {}).get(table)
            self._commit(table, [("ds", "in", list(by_day))], files, lineage, read)

    def rewrite(self, table: Table, days: Sequence[str], files: _Files, lineage: Lineage) -> int:
        """Put `files` (path -> its partition) in the place of all of `days`, unchecked."""
        return self._commit(table, [("ds", "in", list(days))], files, lineage)

    def clear(self, table: Table, days: Sequence[str], lineage: Lineage, **partition: str) -> None:
        """Remove the rows of `days` (of one further partition); no commit where there are none."""
        wanted = {(ds, *partition.values()) for ds in days}
        delta = self.delta(table)
        there = [] if delta is None else delta.partitions()
        if any((part["ds"], *(part[name] for name in partition)) in wanted for part in there):
            filters: PartitionFilters = [("ds", "in", list(days))]
            filters += [(name, "=", value) for name, value in partition.items()]
            self._commit(table, filters, {}, lineage)

    def _partition_dir(self, table: Table, partition: Mapping[str, str]) -> Path:
        return Path(self.uri(table)).joinpath(
            *(f"{name}={partition[name]}" for name in table.partition)
        )

    def _commit(
        self,
        table: Table,
        replaced: PartitionFilters,
        files: _Files,
        lineage: Lineage,
        read_version: int | None = None,
    ) -> int:
        """Put `files` (path -> its partition) in the place of the partitions `replaced`."""
        identity_of(self.root, self.dataset.name)
        try:
            swap(
                # A transaction removes what its handle knows: the handle must be up to date.
                lambda: self.delta(table) or self._create(table),
                added_files(Path(self.uri(table)), files),
                replaced,
                self.schema(table),
                {**self._lineage, **lineage},
                read_version,
            )
        except CommitFailedError as error:
            raise ConcurrentWrite(
                f"{table.key}, {described(replaced)}: another process wrote this partition at the "
                f"same time, nothing was committed. Wait for it, then run the step again. ({error})"
            ) from error
        return self.version(table)

    def _create(self, table: Table) -> DeltaTable:
        DeltaTable.create(
            self.uri(table),
            schema=self.schema(table),
            partition_by=list(table.partition),
            mode="ignore",
            configuration=_TABLE_PROPERTIES,
        )
        return DeltaTable(self.uri(table))


def _born(uri: str) -> object:
    """What tells a table from one that was deleted or restored at the same place."""
    first = Path(uri, "_delta_log", f"{0:020}.json")
    try:
        about = first.stat()
    except FileNotFoundError:  # not yet written, or cleaned up after its retention
        return None
    return about.st_ino, about.st_ctime_ns
