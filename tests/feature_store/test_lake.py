"""The lake: a partition is replaced whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.dataset import load_dataset
from conf.errors import CheckFailed, ConfigError, SchemaMismatch
from feature_store.lake import Lake
from feature_store.tables import EVALUATIONS, INTAKE, USER_STATS

LINEAGE = {"step": "test"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", load_dataset("simulated"), {"code_version": "abc"})


def intake(*rows: tuple[str, int]) -> pa.Table:
    return pa.table(
        {
            "stream": pa.array(["events"] * len(rows), pa.string()),
            "outcome": pa.array([outcome for outcome, _ in rows], pa.string()),
            "rows": pa.array([n for _, n in rows], pa.int64()),
        }
    )


def test_replacing_a_day_leaves_the_other_days_alone(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    lake.replace(INTAKE, {"ds": "2026-01-02"}, intake(("read", 2)), LINEAGE)
    lake.replace(INTAKE, {"ds": "2026-01-02"}, intake(("read", 3), ("clean", 3)), LINEAGE)
    rows = lake.read(INTAKE, ["2026-01-01", "2026-01-02"], ["ds", "rows"])
    assert sorted(zip(*rows.to_pydict().values(), strict=True)) == [
        ("2026-01-01", 1),
        ("2026-01-02", 3),
        ("2026-01-02", 3),
    ]


def test_an_old_version_stays_readable(lake: Lake) -> None:
    first = lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 9)), LINEAGE)
    assert lake.read(INTAKE, ["2026-01-01"], ["rows"], version=first).to_pydict() == {"rows": [1]}


def test_a_day_replaced_by_no_rows_is_empty(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(), LINEAGE)
    assert lake.days(INTAKE) == []
    assert lake.read(INTAKE, ["2026-01-01"]).num_rows == 0


def test_mapped_steps_replace_their_own_partition_only(lake: Lake) -> None:
    def metric(value: float) -> pa.Table:
        return pa.table({"metric": ["auc"], "value": [value], "head_value": [value]})

    for scorer, value in (("mlp", 0.5), ("two_tower", 0.6), ("mlp", 0.7)):
        lake.replace(EVALUATIONS, {"ds": "2026-01-01", "scorer": scorer}, metric(value), LINEAGE)
    rows = lake.read(EVALUATIONS, ["2026-01-01"], ["scorer", "value"]).to_pylist()
    assert {row["scorer"]: row["value"] for row in rows} == {"mlp": 0.7, "two_tower": 0.6}


def test_a_commit_says_which_step_and_code_made_it(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    delta = lake.delta(INTAKE)
    assert delta is not None
    commit = delta.history(1)[0]
    assert (commit["step"], commit["code_version"]) == ("test", "abc")


def test_a_failed_check_names_table_day_rule_and_rows_and_commits_nothing(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    version = lake.version(INTAKE)
    with pytest.raises(
        CheckFailed, match=r"clean.intake, ds=2026-01-01.*\(stream, outcome\).*'read'"
    ):
        lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1), ("read", 2)), LINEAGE)
    with pytest.raises(CheckFailed, match=r"0 <= rows"):
        lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", -1)), LINEAGE)
    assert lake.version(INTAKE) == version


def test_several_days_of_a_partition_are_replaced_in_one_commit(lake: Lake) -> None:
    def metrics(value: float) -> pa.Table:
        return pa.table({"metric": ["auc"], "value": [value], "head_value": [value]})

    for scorer in ("mlp", "two_tower"):
        days = {"2026-01-01": metrics(0.5), "2026-01-02": metrics(0.6)}
        lake.replace_days(EVALUATIONS, days, LINEAGE, scorer=scorer)
    version = lake.version(EVALUATIONS)
    again = {"2026-01-01": metrics(0.7), "2026-01-02": metrics(0.8).slice(0, 0)}
    assert lake.replace_days(EVALUATIONS, again, LINEAGE, scorer="mlp") == version + 1
    rows = lake.read(EVALUATIONS, ["2026-01-01", "2026-01-02"]).to_pylist()
    assert sorted((row["ds"], row["scorer"], row["value"]) for row in rows) == [
        ("2026-01-01", "mlp", 0.7),
        ("2026-01-01", "two_tower", 0.5),
        ("2026-01-02", "two_tower", 0.6),
    ]


def test_undeclared_and_missing_columns_are_named(lake: Lake) -> None:
    rows = intake(("read", 1)).rename_columns(["stream", "outcome", "count"])
    with pytest.raises(SchemaMismatch, match=r"missing \['rows'\], undeclared \['count'\]"):
        lake.replace(INTAKE, {"ds": "2026-01-01"}, rows, LINEAGE)


def test_a_lake_belongs_to_one_dataset(lake: Lake) -> None:
    other = Lake(lake.root, load_dataset("movietweetings"))
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    with pytest.raises(ConfigError, match="--dataset simulated"):
        other.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    with pytest.raises(ConfigError, match="--dataset simulated"):
        Lake(lake.root, load_dataset("movietweetings"))


def test_staged_files_are_committed_per_day_and_missing_days_become_empty(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-02"}, intake(("read", 9)), LINEAGE)
    staging = lake.staging(INTAKE)
    (staging / "ds=2026-01-01").mkdir(parents=True)
    pq.write_table(intake(("read", 4)), staging / "ds=2026-01-01" / "part-0.parquet")
    lake.commit_staged({INTAKE: staging}, ["2026-01-01", "2026-01-02"], LINEAGE)
    assert lake.read(INTAKE, ["2026-01-01", "2026-01-02"], ["ds", "rows"]).to_pylist() == [
        {"ds": "2026-01-01", "rows": 4}
    ]


def test_one_bad_table_keeps_all_staged_tables_from_being_committed(lake: Lake) -> None:
    stagings = {table: lake.staging(table) for table in (INTAKE, EVALUATIONS)}
    rows = {INTAKE: intake(("read", 4)), EVALUATIONS: pa.table({"colour": ["red"]})}
    for table, staging in stagings.items():
        (staging / "ds=2026-01-01").mkdir(parents=True)
        pq.write_table(rows[table], staging / "ds=2026-01-01" / "part-0.parquet")
    with pytest.raises(SchemaMismatch, match="colour"):
        lake.commit_staged(stagings, ["2026-01-01"], LINEAGE)
    assert lake.read(INTAKE, ["2026-01-01"]).num_rows == 0


def test_clearing_takes_the_rows_of_a_day_and_commits_only_where_there_are_some(lake: Lake) -> None:
    for ds in ("2026-01-01", "2026-01-02"):
        lake.replace(INTAKE, {"ds": ds}, intake(("read", 1)), LINEAGE)
    before = lake.version(INTAKE)
    lake.clear(INTAKE, ["2026-01-01"], LINEAGE)
    assert lake.version(INTAKE) == before + 1
    assert lake.days(INTAKE) == ["2026-01-02"]
    lake.clear(INTAKE, ["2026-01-01"], LINEAGE)
    assert lake.version(INTAKE) == before + 1


def test_other_engines_read_the_files_of_a_day(lake: Lake) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 4), ("clean", 3)), LINEAGE)
    files = lake.file_uris(INTAKE, ["2026-01-01"])
    query = "select ds, sum(rows) from read_parquet($files, hive_partitioning = true) group by ds"
    found = duckdb.execute(query, {"files": files}).fetchall()
    assert [(str(ds), n) for ds, n in found] == [("2026-01-01", 7)]


def test_a_state_is_read_from_its_last_base_on(lake: Lake) -> None:
    # 2026-01-15 begins a block: it is 731 * 28 days after 1970-01-01.
    row = {
        name: 0.0 if pa.types.is_floating(lake.schema(USER_STATS).field(name).type) else None
        for name in lake.schema(USER_STATS).names
    }
    stamp = pa.scalar(0, pa.timestamp("us", tz="UTC"))
    row |= {"user_index": 2, "first_event_timestamp": stamp, "last_event_timestamp": stamp}
    rows = pa.Table.from_pylist([{k: v for k, v in row.items() if k != "ds"}])
    written = ["2026-01-10", "2026-01-14", "2026-01-16", "2026-01-20"]
    blocks = {day: _block(day) for day in written}
    for day in written:
        first_of_block = not any(d < day and blocks[d] == blocks[day] for d in written)
        assert lake.is_base_day(USER_STATS, day) == first_of_block
        lake.replace(USER_STATS, {"ds": day}, rows, LINEAGE)
    expected = [d for d in written if blocks[d] == blocks["2026-01-20"]]
    assert lake.state_days(USER_STATS, "2026-01-25") == expected
    assert lake.state_days(USER_STATS, "2026-01-12") == ["2026-01-10"]


def _block(day: str) -> int:
    import datetime

    return (datetime.date.fromisoformat(day) - datetime.date(1970, 1, 1)).days // 28


KILLED = """
import json, os, signal, sys
from pathlib import Path
import pyarrow as pa
from conf.dataset import load_dataset
from feature_store import lake as module, swap
from feature_store.tables import INTAKE
point = sys.argv[2]
if point == "before_commit":
    swap.AddAction = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
if point == "before_write":
    module.pq.write_table = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
lake = module.Lake(Path(sys.argv[1]), load_dataset("simulated"))
rows = pa.table({"stream": ["events"], "outcome": ["read"], "rows": [2]})
lake.replace(INTAKE, {"ds": "2026-01-01"}, rows, {})
"""


@pytest.mark.parametrize("point", ["before_write", "before_commit"])
def test_a_killed_writer_leaves_the_old_partition_and_may_run_again(lake: Lake, point: str) -> None:
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(lake.root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([*command, point], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert lake.read(INTAKE, ["2026-01-01"], ["rows"]).to_pydict() == {"rows": [1]}
    assert subprocess.run([*command, "nowhere"], env=environment, check=False).returncode == 0
    assert lake.read(INTAKE, ["2026-01-01"], ["rows"]).to_pydict() == {"rows": [2]}


def test_reading_makes_nothing_and_the_first_write_begins_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "not" / "there", load_dataset("simulated"))
    assert lake.days(INTAKE) == []
    assert lake.version(INTAKE) == -1
    assert lake.read(INTAKE, ["2026-01-01"]).num_rows == 0
    lake.clear(INTAKE, ["2026-01-01"], LINEAGE)
    assert list(tmp_path.iterdir()) == []
    lake.replace(INTAKE, {"ds": "2026-01-01"}, intake(("read", 1)), LINEAGE)
    assert (lake.root / "lake.json").exists()


def test_the_lakes_marker_is_written_once(lake: Lake) -> None:
    assert (
        Lake(lake.root, lake.dataset).id == json.loads((lake.root / "lake.json").read_text())["id"]
    )
