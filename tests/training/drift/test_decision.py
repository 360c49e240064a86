"""The drift decision on simulated sketches, and its score maps on models that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from conf.settings import DriftSettings
from feature_store.days import shift
from training.drift.decision import DriftDecision, History, decide
from training.drift.score_map import CENTRES, carry, compose, quantile_map, route
from training.drift.statistics import DayCounts
from training.measures.sketch import BINS, bin_of
from training.scoring.metrics import sigmoid

DRIFT = DriftSettings()
MONDAY = "2026-01-05"


def day(
    random: np.random.Generator,
    ds: str,
    rows: int = 10_000,
    change: float = 0.0,
    score: float = 0.0,
) -> DayCounts:
    """A day's sketch: its users and its rate differ mildly from those of other days.

    `change` is added to the true logits only (users click otherwise), `score` to the scores too.
    """
    logits = random.normal(
        -2.4 + score + random.normal(0, 0.03), np.exp(random.normal(0, 0.015)), rows
    )
    truth = sigmoid(logits + change + random.normal(0, 0.04))
    clicks = (random.random(rows) < truth).astype(float)
    bins = bin_of(logits)

    def per_bin(weights: np.ndarray) -> np.ndarray:
        return np.bincount(bins, weights, BINS)

    counts = per_bin(np.ones(rows))
    return DayCounts(ds, counts, counts, per_bin(clicks), per_bin(sigmoid(logits)))


def quiet_days(
    random: np.random.Generator, days: int, rows: int = 10_000, first: str = MONDAY
) -> list[DayCounts]:
    return [day(random, shift(first, number), rows) for number in range(days)]


def decision_of(today: DayCounts, before: Sequence[DayCounts]) -> DriftDecision:
    history = History(tuple(before), True, shift(today.ds, -2), shift(today.ds, -1))
    return decide(today.ds, today, history, DRIFT)


def test_a_hundred_quiet_days_give_at_most_two_false_alarms() -> None:
    random = np.random.default_rng(3)
    days = quiet_days(random, 121)
    decisions = [decision_of(days[i], days[max(0, i - 56) : i]) for i in range(21, 121)]
    assert len(decisions) == 100
    assert sum(d.decision != "skip" for d in decisions) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_change_of_the_click_rate_is_found_the_same_day(seed: int) -> None:
    random = np.random.default_rng(seed)
    before = quiet_days(random, 21)
    decision = decision_of(day(random, shift(MONDAY, 21), change=-0.4), before)
    assert (decision.decision, decision.train) == ("retrain", True)
    assert "observed/expected" in decision.reason


def test_a_rise_is_found_as_well_as_a_fall() -> None:
    random = np.random.default_rng(1)
    decision = decision_of(day(random, shift(MONDAY, 21), change=0.4), quiet_days(random, 21))
    assert decision.decision == "retrain"


def test_score_drift_alone_is_watched_and_retrains_while_labels_are_not_final() -> None:
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 21), day(random, shift(MONDAY, 21), score=0.5)
    history = History(tuple(before), True, shift(today.ds, -2), None)
    watched = decide(today.ds, today, history, DRIFT)
    assert (watched.decision, watched.train) == ("watch", False)
    assert watched.evidence["moved"][0]["share"] != watched.evidence["moved"][0]["normal_share"]
    early = decide(today.ds, today, history, DRIFT, labels_final=False)
    assert (early.decision, early.train) == ("retrain", True)
    assert "not final" in early.reason


def test_the_evidence_names_statistic_threshold_and_rows_of_each_test() -> None:
    random = np.random.default_rng(0)
    decision = decision_of(day(random, shift(MONDAY, 21)), quiet_days(random, 21))
    assert decision.decision == "skip"
    assert [test["name"] for test in decision.evidence["tests"]] == [
        "score",
        "label",
        "calibration",
    ]
    for test in decision.evidence["tests"]:
        assert test["rows"] == 10_000
        assert np.isfinite([test["value"], test["threshold"], test["p"]]).all()


def test_one_day_out_of_line_in_the_history_does_not_hide_the_next() -> None:
    random = np.random.default_rng(2)
    before = quiet_days(random, 21)
    before[10] = day(random, before[10].ds, change=-1.5)
    decision = decision_of(day(random, shift(MONDAY, 21), change=-0.4), before)
    assert decision.decision == "retrain"


def test_the_label_test_is_students_t_with_the_variance_between_days() -> None:
    """An independent computation, without outliers and with huge days (no sampling noise)."""
    random = np.random.default_rng(0)
    ratios = np.exp(random.normal(0.0, 0.05, 21))
    before = [_with_ratio(shift(MONDAY, i), ratio) for i, ratio in enumerate(ratios)]
    today = _with_ratio(shift(MONDAY, 21), np.exp(0.12))
    (label,) = [t for t in decision_of(today, before).evidence["tests"] if t["name"] == "label"]
    from scipy.stats import t as student

    logs = np.log(ratios)
    spread = logs.std(ddof=1) * np.sqrt(1 + 1 / 21)
    expected = 2 * student.sf(abs(0.12 - logs.mean()) / spread, 20)
    assert label["p"] == pytest.approx(expected, rel=1e-3)
    assert label["value"] == pytest.approx(0.12, abs=1e-6)


def _with_ratio(ds: str, ratio: float) -> DayCounts:
    rows = np.zeros(BINS)
    rows[80:90] = 1e9
    expected = rows * 0.1
    return DayCounts(ds, rows, rows, expected * ratio, expected)


# ---- when there is no test to make ---------------------------------------------------------------


def test_without_a_champion_the_day_trains() -> None:
    decision = decide(MONDAY, None, History((), False, None, None), DRIFT)
    assert decision == DriftDecision("retrain", True, "no champion yet", {})


def test_a_day_without_examples_is_not_called_quiet_and_does_not_train() -> None:
    decision = decide(MONDAY, None, History((), True, "2026-01-03", "2026-01-04"), DRIFT)
    assert (decision.decision, decision.train) == ("not_enough_data", False)


@pytest.mark.parametrize(
    ("last_training", "train"), [("2026-01-13", False), ("2026-01-09", True), (None, True)]
)
def test_with_too_few_days_it_trains_every_seven_days(
    last_training: str | None, train: bool
) -> None:
    random = np.random.default_rng(0)
    before = quiet_days(random, 11)
    today = day(random, "2026-01-16")
    history = History(tuple(before), True, "2026-01-03", last_training)
    decision = decide(today.ds, today, history, DRIFT)
    assert (decision.decision, decision.train) == ("not_enough_data", train)
    assert "11 reference days of 14" in decision.reason


def test_weekends_need_weekends_to_compare_with() -> None:
    random = np.random.default_rng(0)
    before = quiet_days(random, 19)  # three weekends less a day: 4 weekend days, 15 others
    saturday = day(random, "2026-01-24")
    assert "4 weekday class days of 6" in decision_of(saturday, before).reason
    assert decision_of(day(random, "2026-01-26"), before).decision == "skip"


def test_small_days_are_pooled_with_those_before_them() -> None:
    random = np.random.default_rng(0)
    before = quiet_days(random, 30, rows=300)
    decision = decision_of(day(random, shift(MONDAY, 30), rows=300), before)
    assert decision.decision == "skip"
    assert decision.evidence["pooled_days"] == 4
    assert decision.evidence["pooled_rows"] == 1200
    assert decision.evidence["reference_days"] == 27


def test_days_that_are_too_small_even_when_pooled_are_not_enough() -> None:
    random = np.random.default_rng(0)
    before = quiet_days(random, 40, rows=100)
    decision = decision_of(day(random, shift(MONDAY, 40), rows=100), before)
    assert decision.decision == "not_enough_data"
    assert "700 pooled rows of 1000" in decision.reason


def test_a_champion_that_knows_nothing_of_the_last_four_weeks_is_retrained() -> None:
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 30), day(random, shift(MONDAY, 30))
    old = History(tuple(before), True, shift(today.ds, -29), shift(today.ds, -1))
    assert decide(today.ds, today, old, DRIFT).decision == "retrain"
    enough = replace(old, champion_trained_to=shift(today.ds, -28))
    assert decide(today.ds, today, enough, DRIFT).decision == "skip"


# ---- logs without impressions --------------------------------------------------------------------


def _ranked(random: np.random.Generator, ds: str, mean: float, positives: int = 500) -> DayCounts:
    base = day(random, ds, rows=5000)
    ranks = np.clip(random.normal(mean + random.normal(0, 0.005), 0.15, positives), 0, 1)
    return replace(
        base, rank_mean=float(ranks.mean()), rank_variance=float(ranks.var()), ranked=positives
    )


def test_where_negatives_are_drawn_the_rank_of_the_positives_decides() -> None:
    random = np.random.default_rng(0)
    before = [_ranked(random, shift(MONDAY, i), 0.8) for i in range(21)]
    quiet = decision_of(_ranked(random, shift(MONDAY, 21), 0.8), before)
    assert quiet.decision == "skip"
    assert {test["name"] for test in quiet.evidence["tests"]} == {"score", "rank"}
    worse = decision_of(_ranked(random, shift(MONDAY, 21), 0.7), before)
    assert worse.decision == "retrain"
    assert "percentile rank" in worse.reason


# ---- maps between models' scores -----------------------------------------------------------------


def test_the_map_between_two_linear_models_is_linear() -> None:
    old = np.random.default_rng(0).normal(-2.0, 1.0, 50_000)
    mapped = quantile_map(old, 0.5 * old + 1.0)
    inside = (old.min() < CENTRES) & (old.max() > CENTRES)
    np.testing.assert_allclose(mapped[inside], 0.5 * CENTRES[inside] + 1.0, atol=1e-3)
    assert (np.diff(mapped) > 0).all()


def test_carrying_over_keeps_the_rows_and_moves_them() -> None:
    random = np.random.default_rng(0)
    old = random.normal(-2.0, 1.0, 100_000)
    counts = np.bincount(bin_of(old), minlength=BINS).astype(float)
    carried = carry(counts, quantile_map(old, 0.8 * old - 0.5))
    directly = np.bincount(bin_of(0.8 * old - 0.5), minlength=BINS)
    assert carried.sum() == pytest.approx(100_000)
    assert (np.abs(np.cumsum(carried) - np.cumsum(directly)) / 100_000).max() < 0.005


def test_an_identical_model_moves_nothing() -> None:
    counts = np.random.default_rng(0).integers(0, 50, BINS).astype(float)
    np.testing.assert_allclose(carry(counts, CENTRES), counts, atol=1e-9)


def test_versions_are_carried_over_along_the_promotions() -> None:
    steps = {1: (2, CENTRES + 1.0), 2: (3, 0.5 * CENTRES)}
    along = route(steps, 1, 3)
    assert along is not None
    np.testing.assert_allclose(along[50:150], 0.5 * (CENTRES[50:150] + 1.0), atol=1e-9)
    np.testing.assert_allclose(along, compose(CENTRES + 1.0, 0.5 * CENTRES))
    assert route(steps, 3, 3) is not None
    assert route(steps, 4, 3) is None
    assert route({1: (2, CENTRES), 2: (1, CENTRES)}, 1, 3) is None


def test_a_promotion_is_not_taken_for_drift() -> None:
    """The new champion's scores are spread otherwise; the history is carried over."""
    random = np.random.default_rng(4)

    def promoted(counts: DayCounts) -> DayCounts:
        return replace(counts, carried=carry(counts.rows, mapped))

    old = random.normal(-2.4, 1.0, 10_000)
    mapped = quantile_map(old, -2.4 + 1.3 * (old + 2.4) + random.normal(0, 0.05, 10_000))
    before = [promoted(d) for d in quiet_days(random, 28)]
    alarms = 0
    for number in range(28, 49):
        quiet = day(random, shift(MONDAY, number))
        logits = np.repeat(CENTRES, quiet.rows.astype(int))
        logits = logits + random.uniform(-0.05, 0.05, len(logits))
        rows = np.bincount(bin_of(-2.4 + 1.3 * (logits + 2.4)), minlength=BINS).astype(float)
        today = replace(quiet, carried=rows)
        alarms += decision_of(today, before).decision == "watch"
        naive = [replace(d, carried=d.rows) for d in before]
        assert decision_of(today, naive).decision != "skip"
    assert alarms == 0
