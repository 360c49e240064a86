"""The day's graph: tables, steps and README agree."""

from __future__ import annotations

from pathlib import Path

from dayfold.day import STEPS, edges, upstream_of, writer_of
from dayfold.step_table import step_table
from feature_store.step import resolve
from feature_store.tables import CHECKS, LEDGER, STEP_RUNS, TABLES

ROOT = Path(__file__).parents[2]
WITHOUT_VOLUME = {
    *("clean.quarantine", "clean.intake", "clean.raw_files", "clean.ledger", "encoded.expiries"),
    *("predictions.candidate_scores", "predictions.sketches", "predictions.score_maps"),
    "predictions.input_counts",
    *("reports.daily_metrics", "reports.drift", "reports.candidates", "reports.evaluations"),
    *("reports.gates", "reports.promotions", "reports.promotion_ledger"),
    *("reports.step_runs", "reports.checks"),
}
"""`feature_store.volume` says why."""


def test_every_table_has_one_writer() -> None:
    for table in TABLES:
        writers = [step.name for step in STEPS if table in step.writes]
        assert len(writers) == (0 if table in (STEP_RUNS, CHECKS) else 1), (table.key, writers)
    assert writer_of(LEDGER) is STEPS[-1]


def test_a_step_reads_only_what_an_earlier_step_wrote() -> None:
    written: set[str] = set()
    for step in STEPS:
        missing = {table.key for table in step.reads} - written
        assert not missing, f"{step.name} reads {missing}, which no earlier step writes"
        written |= {table.key for table in step.writes}


def test_what_a_step_reads_of_earlier_days_exists() -> None:
    for step in STEPS:
        assert set(step.before) <= set(TABLES)


def test_every_table_has_a_grain_a_check_and_documented_columns() -> None:
    for table in TABLES:
        assert table.grain
        assert table.checks, table.key
        assert all(column.doc for column in table.columns), table.key
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names)), table.key
        assert set(table.partition) <= set(names), table.key
        kinds = [check.rule for check in table.checks]
        assert kinds[0] == "unique", f"{table.key}: the first check is the table's key"
        assert any(check.severity == "fail" for check in table.checks), table.key
        assert ("volume" in kinds) != (table.key in WITHOUT_VOLUME), table.key
        assert "volume" not in kinds or table.partition == ("ds",), table.key
        assert all(c.severity == "warn" for c in table.checks if c.rule == "volume"), table.key


def test_the_graph_has_no_cycle_and_reaches_publish_from_every_step() -> None:
    order = [step.name for step in STEPS]
    assert all(order.index(earlier) < order.index(later) for earlier, later in edges())
    reached = {"publish"}
    for name in reversed(order):
        if any(earlier == name and later in reached for earlier, later in edges()):
            reached.add(name)
    assert reached == set(order)


def test_a_step_that_a_day_may_do_without_is_waited_for_by_promote_alone() -> None:
    for mapped in ("train", "evaluate"):
        later = {later for earlier, later in edges() if earlier == mapped}
        assert later - {"evaluate"} == {"promote"}
    publish = STEPS[-1]
    assert "promote" in {step.name for step in upstream_of(publish)}


def test_what_runs_once_a_step_is_recorded_is_there() -> None:
    assert [step.name for step in STEPS if step.recorded] == ["publish"]
    assert callable(resolve(STEPS[-1].recorded))


def test_the_table_of_steps_in_the_readme_is_the_declared_one() -> None:
    assert step_table() in (ROOT / "README.md").read_text()
