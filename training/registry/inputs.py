"""The data of a run as MLflow's dataset inputs: which table, at which Delta version, which days.

No path of a machine is named: the source is the table's folder within the lake, and the version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from feature_store.lake import Lake
from feature_store.ledger import table_versions
from feature_store.tables import Table
from training.registry.files import one_at_a_time
from training.registry.registry import Registry
from training.registry.versions import client_of

Context = Literal["training", "replay", "evaluation"]


@dataclass(frozen=True)
class DataInput:
    """Days of one table that a run has read."""

    table: Table
    version: int
    """Delta version."""
    first_day: str
    last_day: str
    rows: int
    context: Context

    @property
    def name(self) -> str:
        """Table and days, as the pages show it."""
        days = self.first_day
        if self.last_day != self.first_day:
            days += f" to {self.last_day}"
        return f"{self.table.key} {days}"

    @property
    def digest(self) -> str:
        """Delta version and rows, in at most 36 characters."""
        return f"v{self.version}, {self.rows} rows"


def version_on(lake: Lake, table: Table, ds: str) -> int:
    """The Delta version that the steps of `ds` wrote; the current one where they name none.

    Not the current one: a step that is run again after later days has read the same rows.
    """
    return table_versions(lake, ds).get(table.key, lake.version(table))


def log_inputs(registry: Registry, home: Path, run_id: str, lake: Lake, *found: DataInput) -> None:
    """Make `found` inputs of the run; those that it has are not added again.

    A run whose day was built anew has the data of both builds: a run forgets no input. The
    higher Delta version is what its figures are of.

    Args:
        registry: of the run.
        home: Dayfold's home: runs of one day may ask at once, on one machine.
        run_id: from `registry.day_run` or `registry.scorer_run`.
        lake: whose tables they are.
        found: what was read; without rows it is left out.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client = client_of(registry)
    with one_at_a_time(home):
        held = client.get_run(run_id).inputs.dataset_inputs
        known = {(one.dataset.name, one.dataset.digest) for one in held}
        fresh = [
            DatasetInput(
                Dataset(
                    one.name,
                    one.digest,
                    "delta_table",
                    _source(lake, one),
                    _schema(lake.schema(one.table)),
                    _profile(one),
                ),
                [InputTag("mlflow.data.context", one.context)],
            )
            for one in found
            if one.rows and (one.name, one.digest) not in known
        ]
        if fresh:
            client.log_inputs(run_id, fresh)


def _source(lake: Lake, one: DataInput) -> str:
    folder = Path(lake.uri(one.table)).relative_to(lake.root).as_posix()
    return json.dumps({"path": folder, "delta_table_version": one.version})


def _schema(schema: pa.Schema) -> str:
    columns: Sequence[dict[str, str]] = [
        {"type": str(field.type), "name": field.name} for field in schema
    ]
    return json.dumps({"mlflow_colspec": columns})


def _profile(one: DataInput) -> str:
    days = {"first_day": one.first_day, "last_day": one.last_day}
    return json.dumps({"num_rows": one.rows, **days, "delta_version": one.version})
