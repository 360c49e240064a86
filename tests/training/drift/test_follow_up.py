"""How long a change that was found goes on training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift_in_turn import decided_in_turn
from conf.drift import DriftSettings
from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, day, quiet_days
from tests.training.drift.test_lasting_change import words, worse
from tests.training.drift.test_response import TODAY, past
from training.drift.decision import decide
from training.drift.extent import extent_of, usual_from_now
from training.drift.outcome import DriftDecision, History, PastDecision


def test_what_is_found_trains_until_what_serves_has_learned_of_it() -> None:
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 28), day(random, TODAY)

    def decided(found: int, trained_to: int, drift: DriftSettings = DRIFT) -> DriftDecision:
        earlier = (PastDecision(shift(TODAY, -found), True, True, "incremental"),)
        history = History(tuple(before), True, shift(TODAY, -trained_to), shift(TODAY, -1), earlier)
        return decide(TODAY, today, history, drift, sampled=False)

    open_change = decided(1, 2)
    assert (open_change.decision, open_change.train) == ("retrain", True)
    assert f"the change of {shift(TODAY, -1)} is not learned yet" in open_change.reason
    assert not open_change.evidence["labels_drifted"]
    assert decided(1, 1).decision == "skip"  # what serves was trained on that day
    assert decided(3, 2).decision == "skip"
    assert decided(5, 6).decision == "retrain"
    assert decided(6, 7).decision == "skip"  # it was given its days
    never = DRIFT.model_copy(update={"follow_up_days": 0})
    assert decided(1, 2, never).decision == "skip"


@pytest.mark.parametrize(("trained_to", "decision"), [(6, "retrain"), (5, "skip")])
def test_a_change_is_learned_of_from_its_first_day_on(trained_to: int, decision: str) -> None:
    """Found on days that lie apart, it is one; the day of another one before counts for nothing."""
    random = np.random.default_rng(0)
    drifted = {14, 5, 2, 1}
    earlier = past(*[(n in drifted, n in drifted, None) for n in range(20, 0, -1)])
    history = History(
        tuple(quiet_days(random, 28)), True, shift(TODAY, -trained_to), shift(TODAY, -1), earlier
    )
    found = decide(TODAY, day(random, TODAY), history, DRIFT, sampled=False)
    assert found.decision == decision
    assert (f"the change of {shift(TODAY, -5)} is not" in found.reason) == (decision == "retrain")


@pytest.mark.parametrize(
    ("knew", "quiet", "another"), [(5, True, True), (6, True, False), (5, False, False)]
)
def test_what_a_champion_drifts_by_that_knew_the_change_is_another_one(
    knew: int, quiet: bool, another: bool
) -> None:
    """Found 5 days ago and, by a champion trained up to `knew` days ago, yesterday."""
    random = np.random.default_rng(0)
    first, again = shift(TODAY, -5), shift(TODAY, -1)
    earlier = (
        PastDecision(first, True, True, "incremental", trained_to=shift(TODAY, -7)),
        PastDecision(shift(TODAY, -3), not quiet, True, None, trained_to=shift(TODAY, -6)),
        PastDecision(shift(TODAY, -2), False, False, None, untested=True),
        PastDecision(again, True, True, "incremental", trained_to=shift(TODAY, -knew)),
    )
    history = History(tuple(quiet_days(random, 28)), True, shift(TODAY, -2), again, earlier)
    found = decide(TODAY, day(random, TODAY), history, DRIFT, sampled=False)
    assert found.decision == ("retrain" if another else "skip")
    assert (f"the change of {again} is not learned yet" in found.reason) == another


def test_what_became_usual_is_followed_by_no_training() -> None:
    random = np.random.default_rng(5)
    days = [worse(random, number, 0.5 * (number >= 50)) for number in range(63)]
    drift = DRIFT.model_copy(update={"max_gap_days": 60})
    found = decided_in_turn(days, 49, drift, learns=False)
    assert words(found) == "-" + 7 * "R" + "F" + 5 * "-"


@pytest.mark.parametrize(("follow_up", "trained"), [(3, True), (3, False), (0, False)])
def test_the_day_of_which_it_is_said_that_it_trains_at_the_earliest_trains(
    follow_up: int, trained: bool
) -> None:
    """A day drifts, and trains or comes too soon after a training; then all is quiet."""
    drift = DriftSettings(min_gap_days=7, max_gap_days=21, follow_up_days=follow_up)
    random = np.random.default_rng(4)
    days = quiet_days(random, 28)
    last = TODAY if trained else shift(TODAY, -1)
    decisions = [PastDecision(TODAY, True, trained, None, trained_to=shift(TODAY, -9))]
    said = []
    for number in range(1, 9):
        ds = shift(TODAY, number)
        days.append(day(random, shift(ds, -1)))
        history = History(tuple(days), True, shift(TODAY, -9), last, tuple(decisions))
        found = decide(ds, day(random, ds), history, drift, sampled=False)
        said.append((found.decision, ds))
        if found.train:
            break
        assert f"the next training is on {shift(last, 7)} at the earliest" in found.reason
        decisions.append(PastDecision(ds, False, False, None, trained_to=shift(TODAY, -9)))
    assert said[-1] == ("retrain", shift(last, 7))


def test_without_follow_up_a_change_that_trained_asks_for_no_more() -> None:
    drift = DriftSettings(min_gap_days=7, max_gap_days=21, follow_up_days=0)
    random = np.random.default_rng(4)
    found = PastDecision(TODAY, True, True, "incremental", trained_to=shift(TODAY, -9))
    tomorrow = shift(TODAY, 1)
    history = History(tuple(quiet_days(random, 28)), True, shift(TODAY, -9), TODAY, (found,))
    assert decide(tomorrow, day(random, tomorrow), history, drift, sampled=False).decision == "skip"


def test_a_second_change_is_of_its_own_kind() -> None:
    """The first came slowly and was learned; the second one came at once."""
    first = PastDecision(shift(TODAY, -4), True, True, "replay", trained_to=shift(TODAY, -9))
    quiet = PastDecision(shift(TODAY, -2), False, False, None, trained_to=shift(TODAY, -4))
    today = PastDecision(TODAY, True, False, None, trained_to=shift(TODAY, -4))
    extent, why = extent_of(DRIFT, 0.0, (first, quiet, today), "")
    assert (extent, why[:6]) == ("incremental", "sudden")
    unlearned = replace(today, trained_to=shift(TODAY, -9))
    extent, why = extent_of(DRIFT, 0.0, (first, quiet, unlearned), "")
    assert (extent, why) == ("replay", f"as on {first.ds}, which trained on the change first")


@pytest.mark.parametrize(
    ("untested", "becomes_usual"), [(4, True), (7, True), (8, False), (40, False)]
)
def test_a_row_of_trainings_in_vain_does_not_cross_weeks_without_a_test(
    untested: int, becomes_usual: bool
) -> None:
    days = [shift(TODAY, -number) for number in range(7 + untested, 0, -1)]
    drifted = {*days[:4], *days[-3:]}
    earlier = tuple(
        PastDecision(
            ds,
            ds in drifted,
            ds in drifted,
            "incremental" if ds in drifted else None,
            untested=ds not in drifted,
        )
        for ds in days
    )
    assert usual_from_now(TODAY, DRIFT, earlier) == (days[0] if becomes_usual else "")
