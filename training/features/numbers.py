"""Numeric features from sums and durations, each of order one."""

from __future__ import annotations

import math

import numpy as np

from training.features.entities import IMPRESSION, POSITIVE, VALUE, VALUED
from training.features.rows import Float64, Int64

PRIOR_IMPRESSIONS = 10.0
PRIOR_CLICKS = 1.0
"""A rate is (positives + PRIOR_CLICKS) / (impressions + PRIOR_IMPRESSIONS): the prior's own rate
until there is evidence. Constants, because a model's weights mean features made with them; what
differs between shops (a higher rate, say) a model learns from the rows."""
_NOTHING = 1e-9
_DAY = np.timedelta64(1, "D")


def days(duration: np.ndarray, row: Int64) -> Float64:
    """log(1 + days); 0 where nothing is known."""
    number = np.where(row >= 0, duration / _DAY, 0.0)
    return np.log1p(np.maximum(number, 0.0))


def rates(sums: Float64) -> Float64:
    """(half-lives, n): log of the smoothed positives per impression, 0 = the prior's rate."""
    positive = sums[:, POSITIVE]
    shown = np.maximum(sums[:, IMPRESSION], positive)
    prior = math.log(PRIOR_CLICKS / PRIOR_IMPRESSIONS)
    return (np.log((positive + PRIOR_CLICKS) / (shown + PRIOR_IMPRESSIONS)) - prior).T


def mean_value(sums: Float64) -> Float64:
    """Mean logged value (rating, quantity), its magnitude on a log scale; 0 without values."""
    mean = sums[:, VALUE] / np.maximum(sums[:, VALUED], _NOTHING)
    return np.where(sums[:, VALUED] > _NOTHING, np.sign(mean) * np.log1p(np.abs(mean)) / 2, 0.0)
