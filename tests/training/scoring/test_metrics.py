from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from training.scoring.metrics import (
    auc,
    calibration_error,
    classification,
    constant_log_loss,
    grouped_auc,
    log_loss,
    logit_of,
    observed_expected,
    score_metrics,
    sigmoid,
)

logits = st.lists(st.floats(-30, 30), min_size=2, max_size=60)


def labelled(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = np.round(random.normal(-1, 2, n), 1)  # rounded, so that there are ties
    return scores, (random.random(n) < sigmoid(scores)).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_auc_with_ties_is_that_of_scikit_learn(seed: int) -> None:
    scores, labels = labelled(seed)
    assert auc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)


def test_auc_of_one_tie_by_hand() -> None:
    # Pairs (positive, negative): (2, 1) won, (2, 2) tied, (1, 1) tied, (1, 2) lost.
    assert auc([2, 1, 1, 2], [1, 1, 0, 0]) == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)


def test_auc_of_one_class_is_not_defined() -> None:
    assert math.isnan(auc([1, 2], [1, 1]))
    assert math.isnan(auc([], []))


@settings(deadline=None)
@given(logits, st.integers(0, 2**32 - 1))
def test_auc_of_mirrored_scores_is_one_minus_it(scores: list[float], seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, len(scores))
    labels[:2] = 0, 1
    assert auc(scores, labels) + auc(-np.array(scores), labels) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_grouped_auc_is_that_of_each_user_by_scikit_learn(seed: int) -> None:
    scores, labels = labelled(seed)
    users = np.random.default_rng(seed).integers(0, 120, len(scores))  # some with one class only
    weighted = rows = 0.0
    for user in np.unique(users):
        mine = users == user
        if len(set(labels[mine])) == 2:
            weighted += mine.sum() * sk.roc_auc_score(labels[mine], scores[mine])
            rows += mine.sum()
    assert grouped_auc(scores, labels, users) == pytest.approx(weighted / rows, abs=1e-12)


def test_grouped_auc_does_not_see_differences_between_users() -> None:
    scores, labels = labelled(0)
    users = np.arange(len(scores)) % 50
    moved = scores + 100.0 * users
    assert grouped_auc(moved, labels, users) == pytest.approx(grouped_auc(scores, labels, users))
    assert math.isnan(grouped_auc(scores, labels, np.arange(len(scores))))


@pytest.mark.parametrize("seed", range(3))
def test_log_loss_is_that_of_scikit_learn(seed: int) -> None:
    scores, labels = labelled(seed)
    expected = sk.log_loss(labels, 1 / (1 + np.exp(-scores)))
    assert log_loss(scores, labels) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_huge_logits_is_their_size_not_infinity() -> None:
    assert log_loss([1000.0, -1000.0], [0, 1]) == pytest.approx(1000)
    assert log_loss([1000.0, -1000.0], [1, 0]) == 0


def test_sigmoid_of_huge_logits_does_not_overflow() -> None:
    np.testing.assert_array_equal(sigmoid([-1e6, 0, 1e6]), [0, 0.5, 1])


@settings(deadline=None)
@given(st.floats(1e-9, 1 - 1e-9))
def test_logit_of_undoes_sigmoid(probability: float) -> None:
    assert float(sigmoid(logit_of(probability))) == pytest.approx(probability)


def test_logit_of_certainty_is_infinite() -> None:
    assert (logit_of(0.0), logit_of(1.0)) == (-math.inf, math.inf)


def test_no_constant_beats_the_constant_log_loss() -> None:
    labels = np.array([1, 0, 0, 0, 1.0])
    losses = [log_loss(np.full(5, logit_of(rate)), labels) for rate in np.linspace(0.01, 0.99, 99)]
    assert constant_log_loss(labels) == pytest.approx(min(losses), abs=1e-12)
    assert constant_log_loss([0, 0]) == 0


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: .02 and .04 share the first (mean label .5, mean .03), .5 stands alone.
    scores = [logit_of(0.02), logit_of(0.04), logit_of(0.5)]
    expected = 2 / 3 * abs(0.5 - 0.03) + 1 / 3 * abs(1 - 0.5)
    assert calibration_error(scores, [0, 1, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_from_bins_counted_one_by_one(seed: int) -> None:
    scores, labels = labelled(seed)
    p = 1 / (1 + np.exp(-scores))
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (p >= low) & (p < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(labels[inside].mean() - p[inside].mean())
    assert calibration_error(scores, labels) == pytest.approx(expected, abs=1e-9)


def test_twice_as_many_clicks_as_predicted_is_two() -> None:
    assert observed_expected([logit_of(0.25)] * 4, [1, 1, 0, 0]) == pytest.approx(2)


@pytest.mark.parametrize("seed", range(3))
def test_classification_is_that_of_scikit_learn(seed: int) -> None:
    scores, labels = labelled(seed)
    found = classification(scores, labels, -0.5)
    said = scores > -0.5
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, said))
    assert found.precision == pytest.approx(sk.precision_score(labels, said))
    assert found.recall == pytest.approx(sk.recall_score(labels, said))
    assert found.f1 == pytest.approx(sk.f1_score(labels, said))


def test_a_day_of_one_class_has_only_the_metrics_that_it_defines() -> None:
    values = score_metrics([-1.0, -2.0], [0, 0], np.array([1, 2]))
    assert "auc" not in values
    assert values["log_loss"] > 0
    assert not any(math.isnan(value) for value in values.values())


def test_no_rows_define_no_metric() -> None:
    assert score_metrics([], [], np.empty(0, np.int32)) == {}
