"""What is usual on a weekday: some worlds have other Sundays, and the model does not know."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import f as fisher

from training.drift.day_counts import Floats

WEEK = 7
_FEWEST_WEEKS = 2
_LEVEL = 0.01
"""Of the F test that says whether weekdays differ at all."""


def weekday_effects(values: Floats, weekdays: npt.NDArray[np.int64]) -> Floats:
    """(7,) by how much each weekday differs from the mean; zeros where they do not.

    One-way analysis of variance; the means are shrunk towards 0 by how exact they are (best linear
    unbiased predictors). A weekday that is not there is as the others.

    Args:
        values: (k,) of days.
        weekdays: (k,) 0 = Monday.
    """
    effects = np.zeros(WEEK)
    counts = np.bincount(weekdays, minlength=WEEK).astype(np.float64)
    there = counts > 0
    groups, k = int(there.sum()), len(values)
    if groups <= 1 or k < _FEWEST_WEEKS * WEEK:
        return effects
    means = np.bincount(weekdays, values, WEEK) / np.maximum(counts, 1)
    between = float((counts * (means - values.mean()) ** 2).sum()) / (groups - 1)
    within = float(((values - means[weekdays]) ** 2).sum()) / (k - groups)
    if within <= 0 or fisher.sf(between / within, groups - 1, k - groups) > _LEVEL:
        return effects
    per_group = (k - float((counts**2).sum()) / k) / (groups - 1)
    differ = max((between - within) / per_group, 0.0)
    share = differ / (differ + within / np.maximum(counts, 1))
    effects[there] = (share * (means - values.mean()))[there]
    return effects
