"""Metrics of rankings, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from training.scoring.rankings import (
    coverage,
    hit_rate_at_k,
    mean_percentile_rank,
    mean_reciprocal_rank,
    ndcg_at_k,
    novelty,
    percentile_rank,
    recall_at_k,
)

HITS = np.array([[True, False, True], [False, False, False], [False, True, False]])
RELEVANT = np.array([2, 0, 4])


def test_recall_at_k_is_over_all_pairs() -> None:
    assert recall_at_k(HITS, RELEVANT, 3) == pytest.approx(3 / 6)
    assert recall_at_k(HITS, RELEVANT, 1) == pytest.approx(1 / 6)


def test_recall_of_nothing_is_not_defined() -> None:
    assert math.isnan(recall_at_k(HITS[:0], RELEVANT[:0], 3))


def test_ndcg_by_hand_leaves_out_users_without_relevant_items() -> None:
    first = (1 + 1 / 2) / (1 + 1 / math.log2(3))  # positions 1 and 3 of the best 1 and 2
    third = (1 / math.log2(3)) / (1 + 1 / math.log2(3) + 1 / 2)
    assert ndcg_at_k(HITS, RELEVANT, 3) == pytest.approx((first + third) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_that_of_scikit_learn(seed: int) -> None:
    relevant = np.random.default_rng(seed).random((20, 30)) < 0.2
    relevant[:, 0] = True
    ranked = np.tile(-np.arange(30.0), (20, 1))
    expected = sk.ndcg_score(relevant.astype(float), ranked, k=10)
    assert ndcg_at_k(relevant, relevant.sum(axis=1), 10) == pytest.approx(expected)


def test_mean_reciprocal_rank_by_hand() -> None:
    assert mean_reciprocal_rank(HITS, RELEVANT) == pytest.approx((1 + 1 / 2) / 2)
    assert mean_reciprocal_rank(np.zeros((1, 0), bool), np.array([1])) == 0


def test_percentile_rank_by_hand() -> None:
    assert percentile_rank(4, 0, 5) == 1
    assert percentile_rank(0, 0, 5) == 0
    assert percentile_rank(0, 4, 5) == 0.5  # all five tie
    assert percentile_rank(0, 0, 1) == 1


@settings(deadline=None)
@given(arrays(float, st.integers(2, 40), elements=st.integers(0, 5).map(float)))
def test_percentile_ranks_of_a_whole_catalogue_have_mean_one_half(scores: np.ndarray) -> None:
    below = (scores[:, None] > scores).sum(axis=1)
    equal = (scores[:, None] == scores).sum(axis=1) - 1
    assert mean_percentile_rank(percentile_rank(below, equal, len(scores))) == pytest.approx(0.5)


def test_unknown_items_do_not_count_in_the_mean_percentile_rank() -> None:
    assert mean_percentile_rank([0.2, np.nan, 0.4]) == pytest.approx(0.3)
    assert math.isnan(mean_percentile_rank([np.nan]))


def test_the_hit_rate_is_the_share_of_users_who_found_something() -> None:
    assert hit_rate_at_k(HITS, RELEVANT, 3) == 1
    assert hit_rate_at_k(HITS, RELEVANT, 1) == pytest.approx(1 / 2)
    assert math.isnan(hit_rate_at_k(HITS, np.zeros(3, int), 1))


def test_coverage_counts_an_item_once() -> None:
    assert coverage(np.array([3, 3, 5]), 8) == pytest.approx(2 / 8)
    assert math.isnan(coverage(np.array([], int), 0))


def test_novelty_by_hand() -> None:
    # Of 31 positives, items with 7 and with none: log2(32 / 8) = 2 and log2(32 / 1) = 5 bits.
    assert novelty([7, 0], 31) == pytest.approx((2 + 5) / 2)
    assert novelty([7, 7], 31) < novelty([3, 3], 31)
    assert math.isnan(novelty([], 31))
