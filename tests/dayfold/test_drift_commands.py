"""`dayfold drift`: past days decided again, and the page of a day."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from conf.drift import DriftSettings
from conf.errors import ConfigError, MissingPartition
from conf.settings import Settings
from dayfold.cli import app
from dayfold.drift_replay import changed_settings, replay
from dayfold.drift_report import write_drift_report
from dayfold.status import decision_line
from dayfold.workplace import Workplace
from feature_store.days import gap, shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import PromotionEvent, write_event
from feature_store.step import StepContext
from feature_store.tables import CANDIDATES, DRIFT, PROMOTIONS, SKETCHES
from tests.dayfold.forget_fixture import SmallPlace
from tests.training.lake_fixture import small_dataset
from tests.training.test_check_drift import FIRST, history, sketch
from training import check_drift

DAYS = 21
CHANGED = shift(FIRST, DAYS)
LAST = shift(CHANGED, 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """21 quiet days, then five on which fewer click; all are decided by the default settings.

    What is to train does, but for the first day, which has nothing to train on.
    """
    home = tmp_path_factory.mktemp("drift")
    settings = Settings(home=str(home), dataset="small", lake="{home}/lake/{dataset}")
    place = SmallPlace(settings, small_dataset())
    lake = place.lake()
    history(lake, DAYS)
    for number in range(5):
        sketch(lake, shift(CHANGED, number), change=-0.5)
    for number in range(DAYS + 5):
        ds = shift(FIRST, number)
        result = check_drift.run(StepContext((ds,), lake, place.dataset, settings))
        if result.facts["train"] and number:
            candidate(lake, ds)
    return place


def candidate(lake: Lake, ds: str) -> None:
    row = {"run_id": "r", "parent_version": 0, "first_day": ds, "last_day": ds, "rows": 1}
    row |= {"replay_rows": 0, "directory": "d", "evidence": "{}"}
    schema = pa.schema([f for f in lake.schema(CANDIDATES) if f.name not in ("ds", "scorer")])
    content = pa.Table.from_pylist([row], schema)
    lake.replace(CANDIDATES, {"ds": ds, "scorer": "mlp"}, content, {"step": "test", "ds": ds})


def test_the_same_settings_decide_what_was_decided(place: Workplace) -> None:
    rows = {
        row["ds"]: row for row in place.lake().read(DRIFT, place.lake().days(DRIFT)).to_pylist()
    }
    again = list(replay(place, FIRST, LAST, DriftSettings()))
    assert [one.ds for one in again] == sorted(rows)
    assert sum(one.trained for one in again) > 5
    for one in again:
        now, row = one.now, rows[one.ds]
        assert (one.was, one.trained) == (now.decision, now.train)
        assert now.reason == row["reason"]
        was = json.loads(row["evidence"])
        assert now.extent == was["extent"]
        # as JSON has it: a tuple is a list there
        assert json.loads(json.dumps(now.evidence)).items() <= was.items()


def test_a_day_that_was_blocked_counts_for_nothing_in_a_replay_either(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), dataset="small", lake="{home}/lake/{dataset}")
    place = SmallPlace(settings, small_dataset())
    lake = place.lake()
    history(lake, DAYS)
    for number in range(4):
        sketch(lake, shift(CHANGED, number), change=0.0 if number else -0.6)
    for number in range(DAYS + 4):
        ds = shift(FIRST, number)
        if check_drift.run(StepContext((ds,), lake, place.dataset, settings)).facts["train"]:
            candidate(lake, ds)
        if ds == CHANGED:
            bad = PromotionEvent(ds, "rollback", 1, "mlp", 1, {"mlp": 1}, "bad", "me", ds, number=1)
            write_event(lake, bad, "done")
    rows = {row["ds"]: row for row in lake.read(DRIFT, lake.days(DRIFT)).to_pylist()}
    assert rows[CHANGED]["decision"] == "retrain"
    assert rows[shift(CHANGED, 1)]["decision"] == "skip"  # no follow-up of the blocked day
    for one in replay(place, FIRST, shift(CHANGED, 3), DriftSettings()):
        row = rows[one.ds]
        assert (one.now.decision, one.now.train) == (row["decision"], row["train"]), one.ds
        assert one.now.reason == row["reason"]


def test_days_that_were_decided_are_replayed_and_no_others(place: Workplace) -> None:
    """History has sketches and no decision; a day without rows has a decision and no sketch."""
    lake, empty, late = place.lake(), shift(LAST, 1), shift(LAST, 2)
    check_drift.run(StepContext((empty,), lake, place.dataset, place.settings))
    sketch(lake, late)
    try:
        found = list(replay(place, LAST, late, DriftSettings()))
    finally:
        for table in (DRIFT, SKETCHES):
            lake.clear(table, [empty, late], {"step": "test", "ds": ""})
    assert [one.ds for one in found] == [LAST, empty]
    assert found[1].now.reason == "no example became final today"


def test_a_replay_from_the_middle_goes_by_the_training_before_it(place: Workplace) -> None:
    """Where what is replayed trains less than what was, the training before it still counts."""
    lake = place.lake()
    last = max(day for day in lake.days(CANDIDATES) if day < CHANGED)
    never = DriftSettings(min_reference_days=40, fallback_every_days=300, max_gap_days=300)
    found = list(replay(place, CHANGED, LAST, never))
    for one in found:
        assert f"last trained {gap(last, one.ds)} days ago" in one.now.reason


def test_a_day_that_trained_against_its_decision_counts_as_a_training(place: Workplace) -> None:
    """The last day of a history that is built in bulk trains whatever is decided."""
    lake, by_hand = place.lake(), shift(LAST, -7)
    assert by_hand not in lake.days(CANDIDATES)
    candidate(lake, by_hand)
    try:
        found = list(replay(place, by_hand, LAST, DriftSettings(alpha=1e-12)))
    finally:
        lake.clear(CANDIDATES, [by_hand], {"step": "test", "ds": ""})
    assert [one.ds for one in found if one.now.train] == [LAST]


def test_other_settings_decide_otherwise_and_nothing_is_written(place: Workplace) -> None:
    lake = place.lake()
    before = {t.key: lake.read(t, lake.days(t)).num_rows for t in (DRIFT, SKETCHES, PROMOTIONS)}
    frugal = list(replay(place, CHANGED, LAST, DriftSettings(min_gap_days=3)))
    trainings = [day for day in lake.days(CANDIDATES) if day < CHANGED]
    assert gap(max(trainings), CHANGED) == 6
    assert [one.now.train for one in frugal] == [True, False, False, True, False]
    assert "drift.min_gap_days" in frugal[2].now.reason
    blind = list(replay(place, CHANGED, LAST, DriftSettings(alpha=1e-12)))
    assert [one.now.train for one in blind] == [False, True, False, False, False]
    assert {one.now.decision for one in blind} == {"skip"}  # that one trains by the calendar
    after = {t.key: lake.read(t, lake.days(t)).num_rows for t in (DRIFT, SKETCHES, PROMOTIONS)}
    assert after == before


def test_the_rule_of_the_extent_goes_by_the_replayed_days(place: Workplace) -> None:
    found = list(replay(place, CHANGED, LAST, DriftSettings(full_after_days=2)))
    assert found[0].now.extent == "incremental"
    assert found[2].now.extent == "full"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["alpha"], r"--set alpha: expected NAME=VALUE, where NAME is one of reference_days"),
        (["beta=1"], r"--set beta=1: expected NAME=VALUE"),
        (["alpha=3"], r"--set alpha=3: Input should be less than 0.5"),
        (["extent=some"], r"--set extent=some: Input should be"),
        (["alpha=[1"], r"--set alpha=\[1: '\[1' is no value"),
        (["reference_days=10000000"], r"--set reference_days=10000000: .* less than or equal to"),
        (["max_gap_days=10000000"], r"--set max_gap_days=10000000: .* less than or equal to"),
        (["min_gap_days=9", "max_gap_days=8"], r"min_gap_days: 9 is above max_gap_days: 8"),
    ],
)
def test_a_wrong_setting_is_named(given: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed_settings(DriftSettings(), given)
    assert changed_settings(DriftSettings(), ["drift.alpha=0.01"]).alpha == 0.01


def test_days_that_were_not_decided_are_named(place: Workplace) -> None:
    with pytest.raises(MissingPartition, match=rf"No day from 2030-01-01 .* decided are {FIRST}"):
        list(replay(place, "2030-01-01", "2030-01-02", DriftSettings()))


def test_a_range_the_wrong_way_round_is_named() -> None:
    refused = CliRunner().invoke(app, ["drift", "replay", "--from", LAST, "--to", FIRST])
    assert isinstance(refused.exception, ConfigError)
    assert "Next: exchange the two" in str(refused.exception)


def test_a_page_takes_the_place_of_no_folder_and_of_no_other_file(
    place: Workplace, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--out .*: that is a folder, .* Next: --out "):
        write_drift_report(place, CHANGED, tmp_path)
    assert not list(tmp_path.iterdir())
    assert not tmp_path.with_suffix(".part").exists()
    (tmp_path / "page.part").write_text("the user's")
    write_drift_report(place, CHANGED, tmp_path / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "page.part"]
    assert (tmp_path / "page.part").read_text() == "the user's"


def test_the_page_says_what_was_decided_and_needs_no_network(
    place: Workplace, tmp_path: Path
) -> None:
    path = write_drift_report(place, CHANGED, tmp_path / "page.html")
    page = path.read_text()
    assert f"<h1>Drift on {CHANGED}: retrain</h1>" in page
    assert "Calibration alone would save 0." in page
    assert "<td>label</td>" in page
    assert page.count("data:image/png;base64,") == 1  # the tests; no scores lie here
    assert not re.search(r"(src|href)=['\"]?(https?:)?//", page)
    rows = place.lake().read(DRIFT, place.lake().days(DRIFT)).to_pylist()
    usual = next(row["ds"] for row in rows if row["decision"] == "skip")
    quiet = write_drift_report(place, usual, None)
    assert quiet.name == f"drift-small-{usual}.html"
    assert "Nothing beyond what days usually differ by" in quiet.read_text()
    with pytest.raises(MissingPartition, match=rf"2030-01-01 has no drift .* {FIRST} to {LAST}"):
        write_drift_report(place, "2030-01-01", None)


def test_status_says_the_last_decision_in_a_sentence(place: Workplace) -> None:
    lake = place.lake()
    row = lake.read(DRIFT, [CHANGED]).to_pylist()[0]
    days = [
        {
            "ds": CHANGED,
            "decision": row["decision"],
            "reason": row["reason"],
            "trains": row["train"],
            "evidence": json.loads(row["evidence"]),
        }
    ]
    line = decision_line(lake, days)
    assert line is not None
    assert line.startswith(f"{CHANGED} retrain: log(observed/expected clicks) is -0.")
    assert line.endswith(f"Next: dayfold drift report --ds {CHANGED}")
    assert decision_line(lake, []) is None
