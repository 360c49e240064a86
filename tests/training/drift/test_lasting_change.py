"""Changes that stay, and versions that differ: two levels must not hide what comes after them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift_in_turn import decided_in_turn
from conf.drift import DriftSettings
from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day, quiet_days
from training.drift.day_counts import DayCounts
from training.drift.outcome import DriftDecision


def worse(random: np.random.Generator, number: int, share: float, version: int = 0) -> DayCounts:
    """A day of which a share of the clicks falls where it likes: the AUC is lower, the rate not."""
    made = day(random, shift(MONDAY, number), rows=30_000)
    even = made.clicks.sum() / made.rows.sum() * made.rows
    clicks = np.minimum(share * even + (1 - share) * made.clicks, made.rows)
    return replace(made, clicks=clicks, version=version)


def ranked(random: np.random.Generator, number: int, mean: float, version: int) -> DayCounts:
    """A day whose positives stand at `mean` of the catalogue."""
    made = day(random, shift(MONDAY, number), rows=3_000)
    mean += random.normal(0, 0.005)
    return replace(made, rank_mean=mean, rank_variance=0.04, ranked=3_000, version=version)


def words(decisions: list[DriftDecision]) -> str:
    """R = retrain, F = of these the training anew, - = else."""
    return "".join(
        "F" if one.evidence.get("usual_since") else "R" if one.decision == "retrain" else "-"
        for one in decisions
    )


@pytest.mark.parametrize("extent", ["auto", "incremental", "full"])
def test_what_trainings_meet_in_vain_becomes_usual_and_a_change_on_top_is_found(
    extent: str,
) -> None:
    random = np.random.default_rng(5)
    shares = [0.0] * 50 + [0.5] * 28 + [0.8] * 3
    days = [worse(random, number, share) for number, share in enumerate(shares)]
    drift = DRIFT.model_copy(update={"extent": extent})
    decisions = decided_in_turn(days, 49, drift)
    said = words(decisions)
    assert said[:9] == "-" + 7 * "R" + "F"
    assert said[9:29].count("-") == 20
    assert said[29] == "R"
    anew, after, again = decisions[8], decisions[9], decisions[29]
    assert anew.evidence["usual_since"] == days[50].ds == after.evidence["reference_since"]
    assert anew.extent == ("full" if extent == "auto" else extent)
    for decision, fewest in ((after, 8), (again, 28)):
        (order,) = [test for test in decision.evidence["tests"] if test["name"] == "auc"]
        assert order["days"] == pytest.approx(fewest, abs=2)  # of after the change alone
        assert order["normal"] < 0.66


def test_one_bad_day_is_found_once_whatever_the_extent() -> None:
    random = np.random.default_rng(3)
    days = quiet_days(random, 40)
    days += [day(random, shift(MONDAY, 40), change=-0.6)]
    days += [day(random, shift(MONDAY, 41 + n)) for n in range(4)]
    for extent in ("auto", "full"):
        drift = DRIFT.model_copy(update={"extent": extent})
        found = decided_in_turn(days, 39, drift)
        assert [bool(one.evidence.get("labels_drifted")) for one in found] == [
            number == 1 for number in range(len(found))
        ]


def test_a_version_that_ranks_better_is_no_drift_and_hides_no_fall_after_it() -> None:
    random = np.random.default_rng(2)
    means = [(0.80, 1)] * 42 + [(0.83, 2)] * 28 + [(0.80, 2)] * 3
    days = [ranked(random, number, *one) for number, one in enumerate(means)]
    said = words(decided_in_turn(days, 41, sampled=True))
    assert said[:29].count("-") == 29
    assert said[29] == "R"


@pytest.mark.parametrize("lifted", [True, False])
def test_the_order_is_compared_with_what_is_usual_of_the_version(lifted: bool) -> None:
    random = np.random.default_rng(3)
    first = 0.25 if lifted else 0.0
    days = [worse(random, number, first, version=1) for number in range(50)]
    days += [worse(random, 50 + number, 0.0, version=2) for number in range(21)]
    days += [worse(random, 71 + number, 0.25, version=2) for number in range(3)]
    said = words(decided_in_turn(days, 50))
    assert said[:21].count("-") == 21
    assert said[21:24] == "RRR"


def test_a_new_version_is_expected_to_differ_as_versions_do() -> None:
    """Versions that rank otherwise week by week: the first day of another one is no alarm."""
    random = np.random.default_rng(11)
    levels = random.normal(0.80, 0.02, 30)
    days = [ranked(random, n, float(levels[n // 7]), version=n // 7) for n in range(210)]
    said = words(decided_in_turn(days, 56, sampled=True))
    assert said.count("R") + said.count("F") <= 3
    fallen = ranked(random, 210, float(levels.min()) - 0.08, version=30)
    (last,) = decided_in_turn([*days, fallen], 210, sampled=True)
    assert last.evidence["labels_drifted"]


def test_small_days_are_followed_up_though_they_are_too_few_to_be_tested() -> None:
    random = np.random.default_rng(1)
    drift = DriftSettings(max_gap_days=365, fallback_every_days=300)
    days = quiet_days(random, 42, rows=400)
    days += [day(random, shift(MONDAY, 42 + n), rows=400, change=-1.2) for n in range(27)]
    found = decided_in_turn(days, 41, drift)
    first = next(n for n, one in enumerate(found) if one.evidence.get("labels_drifted"))
    assert first <= 3
    tested = found[first].evidence["first_tested"]
    assert tested < days[41 + first].ds
    follow_up = found[first + 1]
    assert (follow_up.decision, follow_up.train) == ("retrain", True)
    assert "pooled rows of 1000; the change of" in follow_up.reason
    # days without enough rows between do not end a row of trainings in vain
    unlearned = decided_in_turn(days, 41, drift, learns=False)
    anew = [one for one in unlearned if one.evidence.get("usual_since")]
    assert [one.evidence["usual_since"] for one in anew] == [tested]


def test_a_sudden_change_that_had_to_wait_is_no_gradual_one() -> None:
    random = np.random.default_rng(1)
    days = quiet_days(random, 40)
    days += [day(random, shift(MONDAY, 40 + n), change=-0.5) for n in range(8)]
    found = decided_in_turn(days, 39, DriftSettings(min_gap_days=5))
    trained = [one for one in found if one.train]
    assert [one.extent for one in trained] == ["incremental"] * len(trained)
    assert len(trained) == 1
    assert "sudden: the 5 days before had moved" in trained[0].reason
