"""What is usual of a weekday or a version, beside formulas computed otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day
from training.drift.decision import decide
from training.drift.group_effects import group_effects
from training.drift.outcome import History

WEEK = 7
WEEKDAYS = np.arange(56) % WEEK


def test_other_sundays_are_told_from_days_that_are_alike() -> None:
    random = np.random.default_rng(1)
    alike = random.normal(0.0, 0.05, 56)
    assert not group_effects(alike, WEEKDAYS).known
    sundays = alike - 0.3 * (WEEKDAYS == 6)
    effects = group_effects(sundays, WEEKDAYS).of(range(WEEK))
    apart = sundays[WEEKDAYS == 6].mean() - sundays.mean()
    assert apart < effects[6] < 0.9 * apart  # shrunk a little


def test_weekdays_differ_where_the_f_test_says_so_and_seldom_by_chance() -> None:
    random = np.random.default_rng(2)
    by_chance = 0
    for _ in range(500):
        values = random.normal(0.0, 1.0, 56)
        p = f_oneway(*(values[w == WEEKDAYS] for w in range(WEEK))).pvalue
        found = bool(group_effects(values, WEEKDAYS).known)
        assert found == (p <= 0.01)
        by_chance += found
    assert by_chance / 500 < 0.03


def test_of_a_group_without_days_only_how_groups_differ_is_known() -> None:
    """Versions that truly differ by a known spread, many times: what is said of them holds."""
    random = np.random.default_rng(3)
    versions = np.repeat(np.arange(8), 7)
    off, new, spread = [], [], []
    for _ in range(300):
        true = random.normal(0.0, 2.0, 9)
        effects = group_effects(true[versions] + random.normal(0.0, 1.0, 56), versions)
        said = effects.of(range(9))
        assert said[8] == 0.0
        assert effects.uncertainty(0) < effects.uncertainty(8)
        off.append(np.var((said - true)[:8]) / effects.uncertainty(0))
        new.append((true[8] - true[:8].mean()) ** 2)
        spread.append(effects.uncertainty(8))
    assert np.mean(off) == pytest.approx(1.0, abs=0.15)
    assert np.mean(new) == pytest.approx(np.mean(spread), rel=0.3)


@pytest.mark.parametrize("days", [1, 13])
def test_a_few_days_say_nothing_of_weekdays(days: int) -> None:
    values = np.where(WEEKDAYS[:days] == 6, -9.0, 0.0)
    assert not group_effects(values, WEEKDAYS[:days]).known


def test_sundays_that_are_always_so_are_no_drift_and_a_sunday_that_is_not_so_is() -> None:
    random = np.random.default_rng(4)

    def on(number: int, change: float = 0.0) -> float:
        return change - 0.3 * (number % WEEK == 6)

    days = [day(random, shift(MONDAY, n), change=on(n)) for n in range(56)]
    for number, change, drifted in ((62, 0.0, False), (62, 0.35, True), (58, -0.4, True)):
        ds = shift(MONDAY, number)
        history = History(tuple(days), True, shift(ds, -2), shift(ds, -1))
        today = day(random, ds, change=on(number, change))
        found = decide(ds, today, history, DRIFT, sampled=False)
        (label,) = [test for test in found.evidence["tests"] if test["name"] == "label"]
        assert label["drifted"] == drifted
