"""Score maps on models that are known."""

from __future__ import annotations

import numpy as np
import pytest

from training.drift.score_map import CENTRES, carry, compose, quantile_map, route
from training.measures.sketch import BINS, bin_of


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
