"""The drift decision on logs without impressions: the ranks of the positives decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feature_store.days import shift
from tests.training.drift.day_fixture import MONDAY, day, decision_of, quiet_days
from training.drift.day_counts import DayCounts


def _ranked(random: np.random.Generator, ds: str, mean: float, positives: int = 500) -> DayCounts:
    base = day(random, ds, rows=5000)
    ranks = np.clip(random.normal(mean + random.normal(0, 0.005), 0.15, positives), 0, 1)
    return replace(
        base, rank_mean=float(ranks.mean()), rank_variance=float(ranks.var()), ranked=positives
    )


def test_where_negatives_are_drawn_the_rank_of_the_positives_decides() -> None:
    random = np.random.default_rng(0)
    before = [_ranked(random, shift(MONDAY, i), 0.8) for i in range(21)]
    quiet = decision_of(_ranked(random, shift(MONDAY, 21), 0.8), before, sampled=True)
    assert quiet.decision == "skip"
    assert {test["name"] for test in quiet.evidence["tests"]} == {"score", "rank"}
    worse = decision_of(_ranked(random, shift(MONDAY, 21), 0.7), before, sampled=True)
    assert worse.decision == "retrain"
    assert "percentile rank" in worse.reason


def test_days_without_a_ranked_positive_are_tested_on_no_drawn_negative() -> None:
    """All of today's positives are of items that no one knew: 5,000 rows, all of them drawn."""
    random = np.random.default_rng(0)
    before = [_ranked(random, shift(MONDAY, i), 0.8) for i in range(21)]
    unranked = replace(day(random, shift(MONDAY, 21), rows=5000, change=-2.0), ranked=0)
    decision = decision_of(unranked, before, sampled=True)
    # the 1,000 ranks of the two days before it are not tested once more in its name
    assert decision.decision == "not_enough_data"
    assert decision.reason.startswith("0 ranked positives today of 10; meanwhile training")
    assert decision.evidence["pooled_rows"] == 1000
    assert {test["name"] for test in decision.evidence["tests"]} == {"score"}


def test_drawn_negatives_are_no_labelled_rows() -> None:
    random = np.random.default_rng(0)
    before = [_ranked(random, shift(MONDAY, i), 0.8, positives=100) for i in range(21)]
    today = _ranked(random, shift(MONDAY, 21), 0.8, positives=100)
    decision = decision_of(today, before, sampled=True)
    assert decision.decision == "not_enough_data"
    assert "700 pooled rows of 1000" in decision.reason


@pytest.mark.parametrize("ranked_days", [0, 1, 2])
def test_too_few_days_with_ranks_to_compare_with_are_not_called_quiet(ranked_days: int) -> None:
    random = np.random.default_rng(0)
    before = quiet_days(random, 21 - ranked_days, rows=5000)
    before += [
        _ranked(random, shift(MONDAY, i), 0.8, positives=1000) for i in range(21 - ranked_days, 21)
    ]
    today = _ranked(random, shift(MONDAY, 21), 0.3, positives=1000)
    decision = decision_of(today, before, sampled=True)
    assert decision.decision == "not_enough_data"
    assert "fewer than 3 days with ranked positives" in decision.reason
    assert not any(np.isnan(test["p"]) for test in decision.evidence["tests"])
