"""The drift decision on simulated sketches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feature_store.days import shift
from tests.training.drift.day_fixture import DRIFT, MONDAY, day, decision_of, quiet_days
from training.drift.day_counts import DayCounts
from training.drift.decision import decide
from training.drift.outcome import History
from training.drift.score_map import CENTRES, carry, quantile_map
from training.measures.sketch import BINS, bin_of


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
    decision = decision_of(day(random, shift(MONDAY, 21), change=-0.5), before)
    assert (decision.decision, decision.train) == ("retrain", True)
    assert "observed/expected" in decision.reason


def test_a_rise_is_found_as_well_as_a_fall() -> None:
    random = np.random.default_rng(1)
    decision = decision_of(day(random, shift(MONDAY, 21), change=0.4), quiet_days(random, 21))
    assert decision.decision == "retrain"


def test_score_drift_alone_is_watched_and_says_what_moved() -> None:
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 21), day(random, shift(MONDAY, 21), score=0.5)
    watched = decision_of(today, before)
    assert (watched.decision, watched.train) == ("watch", False)
    assert watched.evidence["moved"][0]["share"] != watched.evidence["moved"][0]["normal_share"]


def test_what_there_is_to_gain_is_said_where_the_labels_drifted_and_only_there() -> None:
    random = np.random.default_rng(0)
    before, later = quiet_days(random, 21), shift(MONDAY, 21)
    drifted = decision_of(day(random, later, change=-0.5), before)
    assert drifted.evidence["gain"] > 0
    watched = decision_of(day(random, later, score=0.5), before)
    for other in (watched, decision_of(day(random, later), before)):
        assert "gain" not in other.evidence


def test_the_evidence_names_statistic_threshold_and_rows_of_each_test() -> None:
    random = np.random.default_rng(0)
    decision = decision_of(day(random, shift(MONDAY, 21)), quiet_days(random, 21))
    assert decision.decision == "skip"
    assert [test["name"] for test in decision.evidence["tests"]] == [
        "score",
        "label",
        "auc",
        "calibration",
    ]
    for test in decision.evidence["tests"]:
        assert test["rows"] == 10_000 * test["window"]
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
    decision = decide(MONDAY, None, History((), False, None, None), DRIFT, sampled=False)
    assert (decision.decision, decision.train) == ("retrain", True)
    assert (decision.reason, decision.extent) == ("no champion yet", "incremental")


def test_a_day_without_examples_is_not_called_quiet_and_does_not_train() -> None:
    decision = decide(
        MONDAY, None, History((), True, "2026-01-03", "2026-01-04"), DRIFT, sampled=False
    )
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
    decision = decide(today.ds, today, history, DRIFT, sampled=False)
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


@pytest.mark.parametrize(("days", "train"), [(6, False), (7, True), (None, True)])
def test_a_quiet_week_trains_and_is_called_quiet(days: int | None, train: bool) -> None:
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 30), day(random, shift(MONDAY, 30))
    last = None if days is None else shift(today.ds, -days)
    history = History(tuple(before), True, shift(today.ds, -20), last)
    decision = decide(today.ds, today, history, DRIFT, sampled=False)
    assert (decision.decision, decision.train) == ("skip", train)
    assert decision.extent == ("incremental" if train else None)
    assert ("every 7 days (drift.max_gap_days)" in decision.reason) == train
    assert decision.reason.startswith("as usual")


def test_a_candidate_that_was_not_promoted_is_a_training_too() -> None:
    """Else a champion that nobody beats would make every day train."""
    random = np.random.default_rng(0)
    before, today = quiet_days(random, 30), day(random, shift(MONDAY, 30))
    old = History(tuple(before), True, shift(today.ds, -25), shift(today.ds, -1))
    assert not decide(today.ds, today, old, DRIFT, sampled=False).train


@pytest.mark.parametrize("days", [1, 2])
def test_two_reference_days_make_no_test_even_where_they_are_said_to_be_enough(days: int) -> None:
    random = np.random.default_rng(0)
    few = DRIFT.model_copy(update={"min_reference_days": 1, "min_weekday_class_days": 1})
    before = quiet_days(random, days)
    decision = decision_of(day(random, shift(MONDAY, days), change=-2.0), before, few)
    assert decision.decision == "not_enough_data"
    assert decision.evidence["tests"] == []


def test_a_skip_without_a_test_of_the_scores_says_so() -> None:
    random = np.random.default_rng(0)
    before = [replace(d, carried=None) for d in quiet_days(random, 21)]
    decision = decision_of(day(random, shift(MONDAY, 21)), before)
    assert decision.decision == "skip"
    assert "scores were not compared" in decision.reason


# ---- promotions ----------------------------------------------------------------------------------


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


def test_days_of_few_clicks_are_pooled_too() -> None:
    random = np.random.default_rng(0)
    before = [day(random, shift(MONDAY, number), rows=2_000, score=-4.0) for number in range(30)]
    today = day(random, shift(MONDAY, 30), rows=2_000, score=-4.0)
    pooled = decision_of(today, before)
    each = float(today.expected.sum())
    assert 4 < each < 8
    assert 20 <= pooled.evidence["pooled_expected_clicks"] < 20 + 8
    assert pooled.evidence["pooled_days"] in {3, 4, 5}
    assert {test["window"] for test in pooled.evidence["tests"]} == {pooled.evidence["pooled_days"]}
    never = DRIFT.model_copy(update={"min_expected_clicks": 100})
    assert "pooled expected clicks of 100; meanwhile" in decision_of(today, before, never).reason
