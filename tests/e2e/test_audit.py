"""`dayfold audit leaks`: what it finds clean is clean, and a planted leak is found."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from typer.testing import CliRunner, Result

import training.fitting.candidate
import training.fitting.footprint
from conf.errors import DayfoldError, OrderError
from conf.settings import Settings
from dayfold.audit import BY_ITSELF, Audit, Span, compare_tables, compare_training
from dayfold.cli import app
from dayfold.workplace import Workplace, open_workplace
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext, resolve
from feature_store.tables import (
    EVENTS,
    EXAMPLES,
    INTAKE,
    ITEM_STATS,
    USER_SEQUENCES,
    USER_STATS,
    Table,
)
from pipelines.sources.simulator.settings import SimulationSettings
from pipelines.sources.simulator.writer import simulate
from pipelines.spark import read_days, session
from pipelines.steps import STEPS
from training.fitting.examples import Plan, plan_of

pytestmark = pytest.mark.spark

FIRST, DAY, LAST = "2026-01-20", "2026-01-31", "2026-02-02"
SPAN = Span(FIRST, DAY, LAST)
WRITTEN = [table for step in STEPS for table in step.writes]


@dataclass(frozen=True)
class Audited:
    """A small shop whose audit was run and kept."""

    home: Path
    result: Result

    def builds(self, copied_to: Path | None = None) -> tuple[Workplace, Workplace]:
        """Both builds, to be read only; or copies of them."""
        folder = self.home / "audit" / f"simulated-{DAY}"
        if copied_to is not None:
            folder = Path(shutil.copytree(folder, copied_to))
        return _opened(folder / "as-it-is"), _opened(folder / "poisoned")


def _opened(home: Path) -> Workplace:
    with pytest.MonkeyPatch.context() as patch:
        for name, place in (("HOME", ""), ("RAW", "raw"), ("LAKE", "lake")):
            patch.setenv(f"DAYFOLD__{name}", str(home / place))
        return open_workplace()


def _audit(home: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYFOLD__HOME", str(home))
        return CliRunner().invoke(app, ["audit", "leaks", *arguments])


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """The session of this process, ended here only if it was begun here."""
    others = SparkSession.getActiveSession()
    made = session(Settings())
    yield made
    if others is None:
        made.stop()


@pytest.fixture(scope="module")
def audited(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """The audit of the twelfth of fourteen days."""
    del spark
    home = tmp_path_factory.mktemp("audited")
    _simulated(home, FIRST, LAST, users=40)
    before = _content(home / "raw")
    result = _audit(home, "--day", DAY, "--keep")
    assert _content(home / "raw") == before
    return Audited(home, result)


def _simulated(home: Path, first: str, last: str, users: int) -> None:
    simulate(
        home / "raw" / "simulated", first, last, SimulationSettings(users=users, items=25, seed=5)
    )


def _content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_at_or_before_a_day_changes_with_what_comes_after_it(audited: Audited) -> None:
    assert audited.result.exit_code == 0, audited.result.output
    said = audited.result.output
    assert "nothing depends on what came later" in said
    for what in (*(table.key for table in WRITTEN), "weights of mlp", "weights of two_tower"):
        assert what in said


def test_not_even_the_last_bit_of_a_sum_depends_on_later_days(audited: Audited) -> None:
    plain, poisoned = audited.builds()
    for table in (USER_STATS, ITEM_STATS):
        order = [("ds", "ascending"), (str(table.entity), "ascending")]
        was, now = (
            copy.lake().read(table, SPAN.known).sort_by(order) for copy in (plain, poisoned)
        )
        assert was.num_rows > 100
        assert was.equals(now)


def test_the_poison_is_plausible_and_much(audited: Audited) -> None:
    plain, poisoned = (copy.lake() for copy in audited.builds())
    next_day = shift(DAY, 1)
    clean, poison = (lake.read(EVENTS, [next_day]) for lake in (plain, poisoned))
    assert poison.num_rows > 2 * clean.num_rows
    late = [ds for ds in poison.column("event_ds").to_pylist() if ds <= DAY]
    assert len(late) > clean.num_rows
    # Users that the log knows, so that their state and their labels are at stake.
    known = set(plain.read(EVENTS, [DAY]).column("user_id").to_pylist())
    assert known <= set(poison.column("user_id").to_pylist())
    intake = poisoned.read(INTAKE, [next_day]).to_pylist()
    outcomes = {row["outcome"] for row in intake if row["stream"] == "events"}
    assert {"duplicate", "malformed", "too_late"} <= outcomes


def _and_the_next_day(
    spark: SparkSession,
    lake: Lake,
    table: Table,
    days: Sequence[str],
    columns: Sequence[str] | None = None,
) -> DataFrame:
    """`read_days` with a leak: the day after the last one counts as the last one."""
    if table is not EVENTS or DAY not in days:
        return read_days(spark, lake, table, days, columns)
    rows = read_days(spark, lake, table, [*days, shift(DAY, 1)], columns)
    return rows.withColumn("ds", F.least("ds", F.lit(DAY)))


@pytest.mark.parametrize(
    ("step", "tables"),
    [
        ("build_features", {USER_STATS, ITEM_STATS, USER_SEQUENCES}),
        ("build_examples", {EXAMPLES}),
    ],
)
def test_a_step_that_reads_the_next_day_is_found(
    audited: Audited,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    tables: set[Table],
) -> None:
    copies = audited.builds(tmp_path / "audit")
    monkeypatch.setattr(f"pipelines.{step}.read_days", _and_the_next_day)
    leaky = next(declared for declared in STEPS if declared.name == step)
    for copy in copies:
        resolve(leaky.entry)(StepContext((DAY,), copy.lake(), copy.dataset, copy.settings))
    compared = compare_tables(*copies, [DAY], BY_ITSELF)
    found = {row.what: row.detail for row in compared if row.outcome == "different"}
    assert {table.key for table in tables} <= found.keys() <= {t.key for t in leaky.writes}
    assert all(detail.startswith(f"ds={DAY}: ") for detail in found.values())
    assert not Audit(tuple(compared), None).passed


def test_ids_that_depend_on_the_next_day_are_refused(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = audited.builds(tmp_path / "audit")[0]
    monkeypatch.setattr("pipelines.encode_profiles.read_days", _and_the_next_day)
    leaky = next(declared for declared in STEPS if declared.name == "encode_profiles")
    with pytest.raises(OrderError, match=f"ds={DAY}: .* but {shift(DAY, 1)} gave"):
        resolve(leaky.entry)(StepContext((DAY,), copy.lake(), copy.dataset, copy.settings))


def test_a_training_that_reads_the_next_day_is_found(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(
        lake: Lake, ds: str, trained_until: str | None, history_days: int | None = None
    ) -> Plan:
        return plan_of(lake, shift(ds, 1), trained_until, history_days)

    for module in (training.fitting.candidate, training.fitting.footprint):
        monkeypatch.setattr(module, "plan_of", too_long)
    compared = compare_training(*audited.builds(), "mlp", SPAN)
    assert {row.what: row.outcome for row in compared} == {
        "inputs of mlp": "different",
        "weights of mlp": "different",
    }


@pytest.mark.slow
def test_a_leak_is_shown_and_the_command_fails(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del spark
    _simulated(tmp_path, DAY, shift(DAY, 1), users=15)
    monkeypatch.setattr("pipelines.build_features.read_days", _and_the_next_day)
    result = _audit(tmp_path, "--day", DAY, "--later", "1")
    assert result.exit_code == 1, result.output
    assert "NOT PROVEN" in result.output
    assert re.search(rf"features\.user_stats.*different.*ds={DAY}: user_index \d+", result.output)
    assert [path.suffix for path in (tmp_path / "audit").iterdir()] == [".lock"]


def test_a_day_that_is_not_there_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    _simulated(tmp_path, DAY, DAY, users=5)
    for day, more, said in (
        ("2026-03-01", (), "no complete events of that day"),
        (DAY, ("--from", LAST), "lies after --day"),
        ("today", (), "--day is 'today'"),
    ):
        refused = _audit(tmp_path, "--day", day, *more)
        assert isinstance(refused.exception, DayfoldError)
        assert said in str(refused.exception)
    assert not (tmp_path / "audit").exists()


def test_two_audits_of_a_day_do_not_share_a_folder(tmp_path: Path) -> None:
    _simulated(tmp_path, DAY, DAY, users=5)
    (tmp_path / "audit").mkdir()
    with (tmp_path / "audit" / f"simulated-{DAY}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = _audit(tmp_path, "--day", DAY)
    assert "Another audit" in str(refused.exception)
