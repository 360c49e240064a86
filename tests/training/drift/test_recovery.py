"""A lasting change that ends: what comes after it is found as if it had not been."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift_in_turn import decided_in_turn
from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day
from tests.training.drift.test_lasting_change import ranked, words, worse
from training.drift.compared import Found, clearest
from training.drift.day_counts import DayCounts
from training.drift.drift_test import Estimate, against_estimates
from training.drift.label_tests import label_test, log_observed_expected, rank_test
from training.drift.order_test import order_test
from training.measures.sketch import BINS

FREELY = DRIFT.model_copy(update={"max_gap_days": 365})


@pytest.mark.parametrize("mended", [5, 21])
def test_an_outage_that_comes_back_is_found_again(mended: int) -> None:
    """The model ranks worse for twelve days, is as before, and ranks worse once more."""
    random = np.random.default_rng(6)
    shares = [0.0] * 50 + [0.5] * 12 + [0.0] * mended + [0.5] * 3
    days = [worse(random, number, share) for number, share in enumerate(shares)]
    found = decided_in_turn(days, 50, FREELY, learns=False)
    said = words(found)
    assert said == 7 * "R" + "F" + 4 * "-" + mended * "-" + 3 * "R"
    back, ended = found[12], days[50].ds
    assert back.evidence["ended"] == ended
    assert f"; what was usual before {ended} is so again" in back.reason
    (order,) = [test for test in found[13].evidence["tests"] if test["name"] == "auc"]
    # of 56 days those before the outage, and the one since
    assert order["days"] == pytest.approx(56 - 12, abs=2)
    # as it had been: the same for the days after it as for those before it
    assert back.decision == "skip"


def test_a_rate_that_comes_back_asks_for_no_training() -> None:
    random = np.random.default_rng(7)
    changes = [0.0] * 50 + [-0.6] * 12 + [0.0] * 6
    days = [
        day(random, shift(MONDAY, number), change=change) for number, change in enumerate(changes)
    ]
    found = decided_in_turn(days, 50, FREELY, learns=False)
    assert words(found) == 7 * "R" + "F" + 10 * "-"
    assert found[12].evidence["ended"] == days[50].ds


def test_a_better_day_that_is_not_as_before_begins_anew() -> None:
    """Half of what was lost comes back: neither level may stand beside it as usual."""
    random = np.random.default_rng(8)
    means = [0.80] * 50 + [0.70] * 12 + [0.75] * 20 + [0.70] * 3
    days = [ranked(random, number, mean, 0) for number, mean in enumerate(means)]
    found = decided_in_turn(days, 50, FREELY, learns=False, sampled=True)
    assert found[12].evidence["usual_since"] == days[62].ds
    assert not found[12].train
    assert "what is usual begins anew with this day" in found[12].reason
    assert not any(one.evidence.get("labels_drifted") for one in found[8:32])
    assert found[13].decision == "not_enough_data"  # one day to compare with
    assert found[32].evidence["labels_drifted"]


def test_a_recovery_in_two_steps_ends_both_levels() -> None:
    random = np.random.default_rng(8)
    means = [0.80] * 40 + [0.70] * 20 + [0.75] * 20 + [0.80] * 4 + [0.75] * 3
    days = [ranked(random, number, mean, 0) for number, mean in enumerate(means)]
    found = decided_in_turn(days, 40, FREELY, learns=False, sampled=True)
    assert found[20].evidence["usual_since"] == days[60].ds
    assert found[40].evidence["ended"] == days[40].ds  # and not .70, than which it is better
    assert found[44].evidence["labels_drifted"]
    assert not any(one.evidence.get("labels_drifted") for one in found[8:44])


def test_a_better_day_of_another_rate_is_a_change_and_no_new_level() -> None:
    random = np.random.default_rng(9)
    days = [worse(random, number, 0.5 * (number >= 50)) for number in range(62)]
    mended = [worse(random, number, 0.2) for number in range(62, 66)]
    days += [replace(one, clicks=one.clicks * 0.6) for one in mended]
    found = decided_in_turn(days, 50, FREELY, learns=False)
    assert [bool(one.evidence.get("labels_drifted")) for one in found[12:]] == [True] * 4
    assert not any("usual_since" in one.evidence for one in found[12:])


def test_an_error_of_calibration_alone_ends_too() -> None:
    random = np.random.default_rng(10)
    bands = np.where(np.arange(BINS) // 4 % 2, 0.35, -0.35)

    def banded(number: int, off: bool) -> DayCounts:
        made = day(random, shift(MONDAY, number), rows=30_000)
        clicks = made.clicks * np.exp(bands * off)
        return replace(made, clicks=clicks * made.clicks.sum() / clicks.sum())

    days = [banded(n, 50 <= n < 64 or n >= 78) for n in range(81)]
    found = decided_in_turn(days, 50, FREELY, learns=False)
    assert words(found) == 7 * "R" + "F" + 20 * "-" + 3 * "R"
    assert found[14].evidence["ended"] == days[50].ds


def test_a_day_of_few_clicks_is_not_found_by_the_days_before_it() -> None:
    random = np.random.default_rng(0)
    days = [day(random, shift(MONDAY, number), rows=3_000) for number in range(42)]
    even = [replace(one, clicks=one.clicks.sum() / one.rows.sum() * one.rows) for one in days[-2:]]
    known = [*days[:-2], *even]
    today = day(random, shift(MONDAY, 42), rows=3_000)
    found = clearest(order_test, [today], known, Found(), 0.001)
    assert found is not None
    assert (found.window, found.rows, found.drifted) == (3, 9_000, True)
    few = np.zeros_like(today.clicks)
    few[int(np.argmax(today.rows))] = 5.0
    assert clearest(order_test, [replace(today, clicks=few)], known, Found(), 0.001) is None
    unranked = replace(today, ranked=5)
    assert clearest(rank_test, [unranked], known, Found(), 0.001) is None


def test_days_of_versions_that_served_for_a_day_differ_as_much_as_they_do() -> None:
    """Versions that all expect too much: the limit is that of days beside their own mean."""
    random = np.random.default_rng(3)
    days = [
        replace(made, expected=made.expected * np.exp(0.1), version=number)
        for number in range(57)
        for made in [day(random, shift(MONDAY, number))]
    ]
    test = label_test(days[56:], days[:56], 0.001)
    assert test is not None
    estimates = [Estimate(*log_observed_expected([one]), one.weekday) for one in days]
    plain = against_estimates("label", estimates[56:], estimates[:56], 0.001, rows=1)
    assert plain is not None
    reach = abs(plain.threshold - plain.normal)
    assert abs(test.threshold - test.normal) == pytest.approx(reach, rel=0.02)
