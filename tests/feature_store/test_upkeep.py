"""Upkeep removes what nobody can need, and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.dataset import load_dataset
from conf.errors import MissingPartition
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.tables import GATES, INTAKE
from feature_store.upkeep import Swept, sweep, versions_to_keep

FIRST = "2026-01-01"
KEEP = 30


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", load_dataset("simulated"))


def write(lake: Lake, ds: str, rows: int) -> int:
    """Rows of a day, written over what is there; the table's new version."""
    columns = {"stream": ["events"], "outcome": ["read"], "rows": pa.array([rows], pa.int64())}
    return lake.replace(INTAKE, {"ds": ds}, pa.table(columns), {"step": "test"})


def register(lake: Lake, ds: str, version: int) -> None:
    empty = {"string": "", "int32": 0}
    row = {field.name: empty[str(field.type)] for field in lake.schema(GATES)} | {
        "ds": ds,
        "scorer": "mlp",
        "version": version,
    }
    lake.replace(GATES, {"ds": ds}, pa.Table.from_pylist([row], lake.schema(GATES)), {})


def age(folder: Path, days: float) -> None:
    """Make everything in `folder` look `days` old, the log of deletions included."""
    then = time.time() - days * 86_400
    for path in folder.rglob("*"):
        if path.suffix == ".json" and path.parent.name == "_delta_log":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                for action in line.values():
                    if "deletionTimestamp" in action:
                        action["deletionTimestamp"] = int(then * 1000)
            path.write_text("\n".join(json.dumps(line) for line in lines))
        os.utime(path, (then, then))


def files(lake: Lake) -> int:
    return len(list(Path(lake.uri(INTAKE)).rglob("*.parquet")))


def of_intake(swept: list[Swept]) -> Swept:
    return next(row for row in swept if row.table == INTAKE.key)


def test_the_versions_of_the_last_days_and_of_registered_models_are_kept(lake: Lake) -> None:
    days = [FIRST, shift(FIRST, 1), shift(FIRST, 40), shift(FIRST, 41)]
    for version, ds in enumerate(days):
        close_day(lake, ds, "published", "", {}, {INTAKE.key: version})
    register(lake, FIRST, 3)
    register(lake, days[1], 0)  # rejected: no model names that day
    assert versions_to_keep(lake, KEEP) == {INTAKE.key: [0, 2, 3]}
    of_models = [{INTAKE.key: 1}, {INTAKE.key: 3, GATES.key: 5}]
    kept = {INTAKE.key: [0, 1, 2, 3], GATES.key: [5]}
    assert versions_to_keep(lake, KEEP, of_models) == kept


def test_old_files_go_and_what_a_registered_model_names_stays_readable(lake: Lake) -> None:
    named = write(lake, FIRST, 1)
    write(lake, FIRST, 2)
    current = write(lake, FIRST, 3)
    close_day(lake, FIRST, "published", "", {}, {INTAKE.key: named})
    register(lake, FIRST, 7)
    close_day(lake, shift(FIRST, 99), "published", "", {}, {INTAKE.key: current})
    orphan = Path(lake.uri(INTAKE)) / f"ds={FIRST}" / "part-of-a-killed-commit.parquet"
    orphan.write_bytes(b"half a file")
    lost = lake.staging(INTAKE) / f"ds={FIRST}"
    lost.mkdir(parents=True)
    age(Path(lake.uri(INTAKE)), KEEP + 1)
    assert of_intake(sweep(lake, KEEP, dry_run=True)).files == 3
    assert files(lake) == 4
    assert lost.exists()
    swept = of_intake(sweep(lake, KEEP, dry_run=False))
    assert (swept.files, swept.kept_versions) == (3, 2)
    assert files(lake) == 2
    assert not orphan.exists()
    assert not lost.exists()
    assert lake.read(INTAKE, [FIRST], ["rows"], named).to_pydict() == {"rows": [1]}
    assert lake.read(INTAKE, [FIRST], ["rows"]).to_pydict() == {"rows": [3]}


def test_what_a_model_of_a_replaced_run_names_stays_readable(lake: Lake) -> None:
    named = write(lake, FIRST, 1)
    write(lake, FIRST, 2)
    age(Path(lake.uri(INTAKE)), KEEP + 1)
    sweep(lake, KEEP, [{INTAKE.key: named}], dry_run=False)
    assert lake.read(INTAKE, [FIRST], ["rows"], named).to_pydict() == {"rows": [1]}
    sweep(lake, KEEP, dry_run=False)
    with pytest.raises(MissingPartition):
        lake.read(INTAKE, [FIRST], ["rows"], named)


def test_small_files_of_a_day_become_one(lake: Lake) -> None:
    alone = write(lake, shift(FIRST, 1), 7)
    staging = lake.staging(INTAKE)
    for number in range(3):
        path = staging / f"ds={FIRST}" / f"part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {"stream": ["events"], "outcome": [f"o{number}"], "rows": [number]}
        pq.write_table(pa.table(columns), path)
    lake.commit_staged({INTAKE: staging}, [FIRST], {"step": "test"})
    several, before = lake.version(INTAKE), lake.read(INTAKE, lake.days(INTAKE))
    assert of_intake(sweep(lake, KEEP, dry_run=True)).merged == 3
    assert lake.version(INTAKE) == several
    assert of_intake(sweep(lake, KEEP, dry_run=False)).merged == 3
    order = [("ds", "ascending"), ("outcome", "ascending")]
    now = lake.read(INTAKE, lake.days(INTAKE))
    assert now.sort_by(order) == before.sort_by(order)
    assert len(lake.file_uris(INTAKE, [FIRST])) == 1
    assert lake.read(INTAKE, [FIRST], version=several).num_rows == 3
    assert lake.read(INTAKE, lake.days(INTAKE), version=alone).num_rows == 1
    assert of_intake(sweep(lake, KEEP, dry_run=False)).merged == 0
    assert lake.version(INTAKE) == several + 1
    write(lake, FIRST, 9)
    assert lake.read(INTAKE, [FIRST], ["rows"]).to_pydict() == {"rows": [9]}


def test_what_is_younger_stays(lake: Lake) -> None:
    for rows in range(3):
        write(lake, FIRST, rows)
    running = lake.staging(INTAKE)
    running.mkdir(parents=True)
    age(Path(lake.uri(INTAKE)), KEEP - 1)
    assert of_intake(sweep(lake, KEEP, dry_run=False)).files == 0
    assert files(lake) == 3
    assert running.exists()


def test_a_step_can_go_on_after_the_upkeep(lake: Lake) -> None:
    write(lake, FIRST, 1)
    sweep(lake, KEEP, dry_run=False)
    write(lake, FIRST, 2)
    assert lake.read(INTAKE, [FIRST], ["rows"]).to_pydict() == {"rows": [2]}
