"""The AUC of histograms against scikit-learn's, and that adding them has no order."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.scoring.histogram_auc import Histogram, merged

PART = st.lists(st.tuples(st.floats(-60, 60), st.booleans()), max_size=30)
BINS = 64


def of_part(part: list[tuple[float, bool]]) -> Histogram:
    return Histogram.of([score for score, _ in part], [label for _, label in part], BINS)


@pytest.mark.parametrize("seed", range(3))
def test_the_auc_of_random_scores_is_that_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.random(200_000) < 0.2
    logits = generator.normal(np.where(labels, -1.0, -2.0), 1.5)
    histogram = Histogram.of(logits, labels)
    exact = roc_auc_score(labels, logits)
    assert abs(histogram.auc() - exact) <= histogram.error_bound()
    assert abs(histogram.auc() - exact) < 5e-8


@given(PART)
@settings(deadline=None)
def test_few_bins_are_wrong_by_no_more_than_the_bound(part: list[tuple[float, bool]]) -> None:
    labels = [label for _, label in part]
    histogram = of_part(part)
    if len(set(labels)) < 2:
        assert math.isnan(histogram.auc())
        assert math.isnan(histogram.error_bound())
        return
    exact = roc_auc_score(labels, [score for score, _ in part])
    assert abs(histogram.auc() - exact) <= histogram.error_bound() + 1e-12


@given(st.lists(PART, min_size=1, max_size=6), st.randoms())
@settings(deadline=None)
def test_the_order_of_adding_does_not_matter(
    parts: list[list[tuple[float, bool]]], random: Random
) -> None:
    whole = of_part([row for part in parts for row in part])
    histograms = [of_part(part) for part in parts]
    random.shuffle(histograms)
    in_order = merged(histograms, BINS)
    in_pairs = merged(
        [merged(histograms[::2], BINS), merged(histograms[1::2], BINS)],
        BINS,
    )
    for found in (in_order, in_pairs):
        assert np.array_equal(found.negatives, whole.negatives)
        assert np.array_equal(found.positives, whole.positives)


def test_equal_scores_count_one_half() -> None:
    assert Histogram.of([0.0, 0.0, 0.0], [1, 0, 0]).auc() == 0.5
    assert Histogram.of([1.0, 0.0, 0.0], [0, 1, 0]).auc() == 0.25


def test_the_ends_of_the_scale_have_bins() -> None:
    histogram = Histogram.of_shares([0.0, 1.0], [0, 1], BINS)
    assert histogram.negatives[0] == histogram.positives[-1] == 1
    assert histogram.auc() == 1.0


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.5])
def test_a_score_beyond_the_scale_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Histogram.of_shares([0.5, score], [0, 1])


def test_histograms_of_other_bins_are_not_added() -> None:
    with pytest.raises(ValueError, match="64 and 32 bins"):
        Histogram.empty(64).merged(Histogram.empty(32))


def test_scores_without_their_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="expected as many"):
        Histogram.of([0.5, 0.1], [1])
