"""Budget and extent: whether labels that drifted train, and how much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from conf.drift import DriftSettings
from conf.training import TrainingSettings
from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day, quiet_days
from training.drift.day_counts import DayCounts
from training.drift.decision import decide
from training.drift.extent import extent_of, recent_shift, training_of, usual_from_now
from training.drift.gain import expected_gain
from training.drift.outcome import DriftDecision, History, PastDecision
from training.scoring.metrics import log_losses, sigmoid

TODAY = shift(MONDAY, 28)


def changed(
    drift: DriftSettings, last_training: str, past: tuple[PastDecision, ...] = ()
) -> DriftDecision:
    random = np.random.default_rng(0)
    before = quiet_days(random, 28)
    today = day(random, TODAY, change=-0.4)
    history = History(tuple(before), True, shift(TODAY, -2), last_training, past)
    return decide(TODAY, today, history, drift, sampled=False)


@pytest.mark.parametrize(("days", "decision"), [(1, "watch"), (2, "watch"), (3, "retrain")])
def test_two_trainings_lie_as_far_apart_as_the_budget_says(days: int, decision: str) -> None:
    frugal = DRIFT.model_copy(update={"min_gap_days": 3})
    found = changed(frugal, shift(TODAY, -days))
    assert (found.decision, found.train) == (decision, decision == "retrain")
    assert found.evidence["labels_drifted"]
    if not found.train:
        assert found.extent is None
        assert f"the next training is on {shift(TODAY, 3 - days)}" in found.reason


def test_the_budget_holds_for_trainings_by_the_calendar_too() -> None:
    random = np.random.default_rng(0)
    frugal = DRIFT.model_copy(
        update={"min_gap_days": 9, "max_gap_days": 9, "fallback_every_days": 7}
    )
    for days, trains in {8: False, 9: True}.items():
        last = shift(TODAY, -days)
        quiet = History(tuple(quiet_days(random, 28)), True, shift(TODAY, -40), last)
        overdue = decide(TODAY, day(random, TODAY), quiet, frugal, sampled=False)
        assert overdue.train == trains
        assert overdue.evidence["tests"]  # what the day says is said all the same
        few = replace(quiet, days=quiet.days[:5])
        assert decide(TODAY, day(random, TODAY), few, frugal, sampled=False).train == trains


def test_a_budget_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_gap_days: 9 is above max_gap_days: 8"):
        DriftSettings(min_gap_days=9, max_gap_days=8)


def past(*days: tuple[bool, bool, str | None]) -> tuple[PastDecision, ...]:
    return tuple(
        PastDecision(
            (ds := shift(TODAY, number - len(days))),
            drifted,
            train,
            extent,  # type: ignore[arg-type]
            usual_since=ds if extent == "full" else "",
        )
        for number, (drifted, train, extent) in enumerate(days)
    )


IN_VAIN = (True, True, "incremental")


@pytest.mark.parametrize(
    ("decisions", "moved", "extent"),
    [
        ([], 0.0, "incremental"),
        ([], 1.9, "incremental"),
        ([], 2.1, "replay"),
        ([IN_VAIN] * 6, 0.0, "incremental"),
        ([IN_VAIN] * 7, 0.0, "full"),
        ([IN_VAIN] * 7, 3.0, "full"),
        ([IN_VAIN] * 7 + [(False, False, None)], 0.0, "incremental"),
        # labels that drifted and did not train say nothing of trainings
        ([*[IN_VAIN] * 6, (True, False, None)], 0.0, "incremental"),
        ([IN_VAIN, (True, False, None)] * 7, 0.0, "full"),
        # what follows on one change is of its first day's kind, for as long as it follows
        ([(True, True, "replay"), (False, True, "replay")], 0.0, "replay"),
        ([IN_VAIN], 9.0, "incremental"),
        ([IN_VAIN, *[(False, False, None)] * 5], 9.0, "replay"),
        # a full training is given time, too
        ([*[IN_VAIN] * 7, (True, True, "full"), *[IN_VAIN] * 6], 0.0, "incremental"),
    ],
)
def test_the_kind_of_change_says_how_much_is_trained(
    decisions: list[tuple[bool, bool, str | None]], moved: float, extent: str
) -> None:
    usual_since = usual_from_now(TODAY, DRIFT, past(*decisions))
    with_today = (*past(*decisions), PastDecision(TODAY, True, False, None))
    found, why = extent_of(DRIFT, moved, with_today, usual_since)
    assert found == extent
    assert usual_since == (shift(TODAY, -len(decisions)) if extent == "full" else "")
    first = {"full": "the labels drift although", "replay": "gradual"}.get(found, "sudden")
    assert why.startswith(first) or (decisions and why.startswith("as on "))
    fixed = DRIFT.model_copy(update={"extent": "full"})
    assert extent_of(fixed, moved, with_today, usual_since)[1] == "by drift.extent"


def test_the_decision_carries_the_extent_and_says_why() -> None:
    sudden = changed(DRIFT, shift(TODAY, -1))
    assert sudden.extent == "incremental"
    assert "; incremental training (sudden: " in sudden.reason
    full = changed(DRIFT, shift(TODAY, -1), past(*[IN_VAIN] * 7))
    assert full.extent == "full"
    assert "although 7 trainings in a row met them" in full.reason


@pytest.mark.parametrize("extent", ["auto", "replay", "full"])
def test_a_fixed_extent_holds_for_trainings_by_the_calendar_too(extent: str) -> None:
    random = np.random.default_rng(0)
    fixed = DRIFT.model_copy(update={"extent": extent})
    expected = "incremental" if extent == "auto" else extent
    quiet = History(tuple(quiet_days(random, 28)), True, shift(TODAY, -9), shift(TODAY, -7))
    few, first = replace(quiet, days=quiet.days[:5]), History((), False, None, None)
    for history, decision in ((quiet, "skip"), (few, "not_enough_data"), (first, "retrain")):
        found = decide(TODAY, day(random, TODAY), history, fixed, sampled=False)
        assert (found.decision, found.train, found.extent) == (decision, True, expected)
        assert found.evidence["extent_rule"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reference_days": 19}, "min_reference_days: 14 is more than the 13"),
        ({"reference_days": 20}, "min_weekday_class_days: 6 is more than the 4"),
        ({"min_reference_days": 51}, "in reference_days: 56 besides pool_days: 7, so no day"),
        (
            {"min_gap_days": 8, "max_gap_days": 8},
            "full_after_days: 7 trainings, min_gap_days: 8 apart",
        ),
    ],
)
def test_a_reference_that_never_suffices_is_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DriftSettings(**given)  # type: ignore[arg-type]
    assert DriftSettings(reference_days=21, min_gap_days=2).reference_days == 21


def test_people_who_like_other_things_are_found_by_the_order() -> None:
    """At the same click rate: what is clicked is no longer what scores high."""
    random = np.random.default_rng(4)
    before = quiet_days(random, 28)
    quiet = day(random, TODAY)
    turned = 0.25 * quiet.clicks.sum() / quiet.rows.sum() * quiet.rows + 0.75 * quiet.clicks
    today = replace(quiet, clicks=np.minimum(turned, quiet.rows))
    history = History(tuple(before), True, shift(TODAY, -2), shift(TODAY, -1))
    decision = decide(TODAY, today, history, DRIFT, sampled=False)
    (order,) = [test for test in decision.evidence["tests"] if test["name"] == "auc"]
    assert order["drifted"]
    assert decision.decision == "retrain"


def test_what_is_small_and_stays_is_found_by_its_days_together() -> None:
    alone = together = 0
    for seed in range(12):
        random = np.random.default_rng([7, seed])
        known = quiet_days(random, 28)
        for number in range(3):
            known.append(day(random, shift(TODAY, number), change=-0.13))
            history = History(tuple(known[:-1]), True, shift(TODAY, -1), shift(TODAY, -1))
            found = decide(known[-1].ds, known[-1], history, DRIFT, sampled=False)
            tests = {test["name"]: test for test in found.evidence["tests"]}
            if tests["label"]["drifted"]:
                alone += tests["label"]["window"] == 1
                together += tests["label"]["window"] == 3
    assert together > alone


def test_a_model_that_is_off_in_another_way_is_no_change_of_the_world() -> None:
    """The last one was off by a third, this one is not: the labels are as this one says."""
    random = np.random.default_rng(2)
    before = [replace(one, version=1, clicks=one.clicks * 1.35) for one in quiet_days(random, 28)]
    before += [replace(day(random, shift(MONDAY, 28 + n)), version=2) for n in range(4)]
    fourth = shift(MONDAY, 32)
    history = History(tuple(before), True, shift(fourth, -2), shift(fourth, -1))
    quiet = replace(day(random, fourth), version=2)
    assert decide(fourth, quiet, history, DRIFT, sampled=False).decision == "skip"
    fewer = replace(day(random, fourth, change=-0.35), version=2)
    assert decide(fourth, fewer, history, DRIFT, sampled=False).decision == "retrain"


def test_a_change_that_came_slowly_is_told_from_one_that_came_at_once() -> None:
    random = np.random.default_rng(1)
    quiet = quiet_days(random, 28)
    slow = quiet + [day(random, shift(MONDAY, 28 + n), change=-0.06 * (n + 1)) for n in range(5)]
    fewer, more = (day(random, shift(MONDAY, 33), change=change) for change in (-0.36, 0.36))
    assert recent_shift("label", [fewer], slow) > 2.0
    at_once = quiet + [day(random, shift(MONDAY, 28 + n)) for n in range(5)]
    assert abs(recent_shift("label", [fewer], at_once)) < 2.0
    # what moved the other way is no beginning of it
    assert recent_shift("label", [more], slow) < -2.0
    assert recent_shift("label", [fewer], quiet[:4]) == 0.0
    # a rate that had moved is no beginning of a change of the order
    assert abs(recent_shift("auc", [fewer], slow)) < 2.0


def test_where_negatives_are_drawn_it_is_the_ranks_that_came_slowly() -> None:
    random = np.random.default_rng(2)

    def ranked(number: int, rank: float) -> DayCounts:
        ranks = {"rank_mean": rank + random.normal(0, 0.005), "rank_variance": 0.01, "ranked": 400}
        return replace(day(random, shift(MONDAY, number), rows=400), **ranks)  # type: ignore[arg-type]

    quiet = [ranked(number, 0.8) for number in range(28)]
    slow = quiet + [ranked(28 + number, 0.78 - 0.02 * number) for number in range(5)]
    assert recent_shift("rank", [ranked(33, 0.68)], slow) > 2.0
    assert abs(recent_shift("rank", [ranked(28, 0.68)], quiet)) < 2.0


@pytest.mark.parametrize("extent", ["incremental", "replay", "full"])
def test_an_extent_is_settings_of_a_training(extent: str) -> None:
    usual = TrainingSettings(distillation=0.5)
    found = training_of(usual, DRIFT, extent)
    if extent == "incremental":
        assert found == usual
    if extent == "replay":
        assert (found.start, found.replay_share, found.replay_rows) == ("parent", 3.0, 90_000)
        none = usual.model_copy(update={"replay": "none", "distillation": 0.0})
        assert training_of(none, DRIFT, extent).replay == "uniform"
    if extent == "full":
        assert (found.start, found.distillation) == ("afresh", 0.0)
    assert TrainingSettings.model_validate(found.model_dump()) == found


def test_the_gain_is_what_recalibration_saves_and_nothing_where_all_is_well() -> None:
    """Against the log loss itself, of rows drawn one by one."""
    random = np.random.default_rng(3)
    from benchmarks.drift_days import counted

    logits = random.normal(-2.0, 1.0, 400_000)
    clicks = (random.random(len(logits)) < sigmoid(logits - 0.4)).astype(float)
    saved = (log_losses(logits, clicks) - log_losses(logits - 0.4, clicks)).mean()
    assert expected_gain([counted(MONDAY, logits, clicks)]) == pytest.approx(saved, rel=0.05)
    clicks = (random.random(len(logits)) < sigmoid(logits)).astype(float)
    assert expected_gain([counted(MONDAY, logits, clicks)]) < 0.03 * saved
