"""Today against the reference days: by formulas computed otherwise, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from training.drift.bin_groups import grouped, groups_of
from training.drift.drift_test import (
    DriftTest,
    Estimate,
    against_estimates,
    against_thinned_days,
    alikeness,
)
from training.drift.order_test import auc_of
from training.drift.score_test import divergence
from training.drift.thinning import MOST_ROWS, TIMES, common_size, thinned
from training.measures.sketch import BINS
from training.scoring.metrics import sigmoid


def against(
    name: str,
    now: list[tuple[float, float]],
    reference: list[tuple[float, float]],
    alpha: float,
    *,
    rows: int,
    lower_only: bool = False,
) -> DriftTest | None:
    of_days = ([Estimate(*one) for one in days] for days in (now, reference))
    return against_estimates(name, *of_days, alpha, rows=rows, lower_only=lower_only)


def test_where_chance_is_nothing_it_is_the_prediction_interval_of_students_t() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0.0, 0.05, 21)
    test = against("label", [(0.12, 0.0)], [(float(v), 0.0) for v in values], 0.01, rows=9)
    assert test is not None
    spread = values.std(ddof=1) * np.sqrt(1 + 1 / 21)
    assert test.p == pytest.approx(2 * student.sf((0.12 - values.mean()) / spread, 20), rel=1e-6)
    reach = student.isf(0.005, 20) * spread
    assert test.threshold == pytest.approx(values.mean() + reach, rel=1e-6)
    assert test.drifted == (test.p < 0.01)


@pytest.mark.parametrize("today", [1.0, 1000.0, 0.001], ids=["as ever", "smaller", "larger"])
def test_days_of_any_size_are_called_changed_as_rarely_as_the_level_says(today: float) -> None:
    """`today` = variance by chance beside that of the days; the days differ by .04 beyond it."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(2000):
        variances = random.uniform(0.5, 1.5, 40) * 1e-3
        values = random.normal(0, np.sqrt(0.04**2 + variances))
        own = today * 1e-3
        now = random.normal(0, np.sqrt(0.04**2 + own))
        test = against(
            "label",
            [(now, own)],
            list(zip(values, variances, strict=True)),
            0.02,
            rows=1,
        )
        assert test is not None
        alarms += test.drifted
    assert 0.002 < alarms / 2000 < 0.032


@pytest.mark.parametrize("correlation", [0.0, 0.6], ids=["by themselves", "like the day before"])
def test_three_days_together_are_called_changed_as_rarely_as_the_level_says(
    correlation: float,
) -> None:
    random = np.random.default_rng(6)
    alarms, level = 0, 0.02
    for _ in range(2000):
        days = [random.normal()]
        for step in random.normal(0, np.sqrt(1 - correlation**2), 42):
            days.append(correlation * days[-1] + step)
        estimates = [(0.04 * day + random.normal(0, 0.02), 0.02**2) for day in days]
        test = against("label", estimates[-3:], estimates[:-3], level, rows=1)
        assert test is not None
        assert test.window == 3
        alarms += test.drifted
    assert level / 20 < alarms / 2000 < 1.5 * level


def test_a_change_that_no_day_shows_alone_is_shown_by_three() -> None:
    random = np.random.default_rng(7)
    alone = together = 0
    for _ in range(200):
        before = [(float(day), 0.0) for day in random.normal(0.0, 0.04, 40)]
        after = [(float(day), 0.0) for day in random.normal(-0.12, 0.04, 3)]
        for days in (after, after[:1]):
            test = against("label", days, before, 0.001, rows=1)
            assert test is not None
            together += test.drifted and len(days) == 3
            alone += test.drifted and len(days) == 1
    assert together > 1.5 * alone


def test_of_several_days_the_more_exact_one_counts_more() -> None:
    before = [(0.01 * (-1) ** number, 1e-4) for number in range(20)]
    test = against("label", [(0.0, 1e-4), (1.0, 1.0)], before, 0.01, rows=1)
    assert test is not None
    assert test.value < 0.001


def test_days_like_the_day_before_are_so_by_their_autocorrelation() -> None:
    random = np.random.default_rng(3)
    days = np.zeros(4000)
    for number in range(1, len(days)):
        days[number] = 0.6 * days[number - 1] + random.normal()
    days -= days.mean()
    lags = [np.corrcoef(days[lag:], days[:-lag])[0, 1] for lag in (1, 2)]
    expected = 4 / 3 * lags[0] + 2 / 3 * lags[1]
    assert alikeness(days, 3) == pytest.approx(expected, abs=0.05)
    assert alikeness(days, 1) == 0.0
    # a mean of days that turn every day is more exact than that of independent ones: not used
    assert alikeness(np.resize([1.0, -1.0], 40), 3) == 0.0


@pytest.mark.parametrize("days", [9, 18, 56])
def test_however_few_the_days_ordinary_ones_are_seldom_left_out_and_a_wild_one_is(
    days: int,
) -> None:
    """Days left out without a reason make the others look too much alike."""
    random = np.random.default_rng(4)
    left_out = 0
    for _ in range(500):
        drawn = random.normal(0.0, 1.0, days)
        for values, wild in ((drawn, 0), (np.append(drawn[1:], 1000.0), 1)):
            test = against(
                "label",
                [(0.0, 0.0)],
                [(float(value), 0.0) for value in values],
                0.01,
                rows=1,
            )
            assert test is not None
            left_out += days - test.days - wild
            assert test.days < days or not wild
    assert left_out / (1000 * days) < 2e-3


def test_too_few_days_make_no_test() -> None:
    assert against("label", [(0.0, 1.0)], [(0.0, 1.0)] * 2, 0.01, rows=1) is None
    few = np.ones((2, TIMES))
    assert against_thinned_days("score", np.ones(TIMES), few, 0.01, power=1 / 6, rows=1) is None


def test_days_that_do_not_differ_at_all_make_no_division_by_zero() -> None:
    test = against("rank", [(0.5, 0.0)], [(0.5, 0.0)] * 5, 0.01, rows=1)
    assert test is not None
    assert not test.drifted
    flat = against_thinned_days(
        "score", np.zeros(TIMES), np.zeros((5, TIMES)), 0.01, power=1 / 6, rows=1
    )
    assert flat is not None
    assert not flat.drifted


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=8).filter(any),
    st.integers(1, 400),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_a_thinned_day_has_that_many_of_its_own_rows(
    cells: list[int], size: int, seed: int
) -> None:
    drawn = thinned(np.array(cells, dtype=float), size, np.random.default_rng(seed))
    assert drawn.shape == (TIMES, len(cells))
    assert (drawn.sum(axis=1) == min(size, sum(cells))).all()
    assert (drawn <= np.array(cells)).all()


def test_counts_that_were_carried_over_keep_their_sum() -> None:
    parts = np.random.default_rng(1).random(30)
    parts *= 1000 / parts.sum()
    assert thinned(parts, 5000, np.random.default_rng(0)).sum(axis=1).tolist() == [1000] * TIMES


def test_a_day_of_more_rows_than_can_be_drawn_from_is_scaled_down() -> None:
    huge = np.array([3e9, 1e9, 0.0])
    drawn = thinned(huge, 4000, np.random.default_rng(0))
    assert drawn.sum(axis=1).tolist() == [4000] * TIMES
    assert abs(drawn[:, 0].mean() - 3000) < 50
    whole = thinned(huge, 4_000_000_000, np.random.default_rng(0))
    assert whole[0].tolist() == [MOST_ROWS * 3 / 4, MOST_ROWS / 4, 0.0]


def test_all_are_made_as_small_as_the_smaller_of_today_and_most_days() -> None:
    days = np.array([1000.0] * 40)
    assert common_size(500, days) == 500
    assert common_size(1_000_000, days) == 1000
    assert common_size(1_000_000, np.array([10.0] * 5 + [1000.0] * 35)) == 1000


def test_the_divergence_is_scipys() -> None:
    random = np.random.default_rng(2)
    p, q = random.random(20), random.random(20)
    p[3] = 0.0
    assert divergence(p[None], q)[0] == pytest.approx(jensenshannon(p, q) ** 2)


def test_the_auc_of_a_sketch_is_that_of_its_rows_with_delongs_variance() -> None:
    from benchmarks.drift_days import counted

    random = np.random.default_rng(8)
    aucs, variances = [], []
    for _ in range(300):
        truth = random.normal(-1.5, 1.0, 1500)
        clicks = (random.random(1500) < sigmoid(truth)).astype(float)
        found = auc_of(counted("2026-01-05", truth, clicks))
        assert found is not None
        assert found[0] == pytest.approx(roc_auc_score(clicks, truth), abs=0.005)
        aucs.append(found[0])
        variances.append(found[1])
    assert np.mean(variances) == pytest.approx(np.var(aucs), rel=0.25)
    nothing = counted("2026-01-05", truth, np.zeros(1500))
    assert auc_of(nothing) is None


def test_a_higher_value_is_no_drift_where_only_lower_is() -> None:
    days = [(0.7 + 0.001 * number, 1e-6) for number in range(20)]
    for now, drifted in ((0.9, False), (0.71, False), (0.6, True)):
        test = against("auc", [(now, 1e-6)], days, 0.01, rows=1, lower_only=True)
        assert test is not None
        assert test.drifted == drifted
        assert test.threshold < test.normal


def test_groups_are_neighbours_of_about_equal_weight() -> None:
    weights = np.exp(-(((np.arange(BINS) - 80) / 12) ** 2))
    group = groups_of(weights, 20)
    assert (np.diff(group) >= 0).all()
    assert (np.diff(group) <= 1).all()
    shares = grouped(weights, group) / weights.sum()
    assert shares.sum() == pytest.approx(1.0)
    assert shares.max() < 0.1  # a bin alone holds .047
