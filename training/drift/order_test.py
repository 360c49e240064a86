"""Order drift: whether the champion still tells clicked rows from others, by the day's sketch.

People who like other things at the same click rate move neither the rate nor much of the
calibration: what falls is the AUC, one-sided. Where negatives are drawn the rank test says the
same.
"""

from __future__ import annotations

import numpy as np

from training.drift.day_counts import Block, DayCounts
from training.drift.drift_test import DriftTest, Estimate, against_estimates

FEWEST_OF_A_CLASS = 10
"""Clicks, and rows without one, below which a day says nothing of the order."""
_LEAST_SHARE = 0.1


def order_test(days: Block, reference: Block, alpha: float) -> DriftTest | None:
    """The AUC of `days` against that of each of `reference`: only lower is drift.

    None where today, the first of `days`, has few rows of a class, or with too few days to compare
    with.
    """
    tested, known = (
        [auc for day in of for auc in [auc_of(day)] if auc is not None] for of in (days, reference)
    )
    if auc_of(days[0]) is None:
        return None
    rows = sum(day.n for day in days if auc_of(day) is not None)
    return against_estimates("auc", tested, known, alpha, rows=rows, lower_only=True)


def auc_of(day: DayCounts) -> Estimate | None:
    """AUC of the scores' bins, ties counting half, and its variance; None with few of a class.

    DeLong et al. (1988), of weights per bin: the variance of where positives stand among the
    negatives, and of where negatives stand among the positives. A few positives may all stand in
    one place by chance: at least a share of the variance is taken that there is without any order.
    """
    clicks = day.clicks
    others = np.maximum(day.rows - clicks, 0.0)
    positives, negatives = float(clicks.sum()), float(others.sum())
    if min(positives, negatives) < FEWEST_OF_A_CLASS:
        return None
    among_negatives = (np.cumsum(others) - others / 2) / negatives
    among_positives = (np.cumsum(clicks) - clicks / 2) / positives
    auc = float(clicks @ among_negatives) / positives
    spread = float(clicks @ (among_negatives - auc) ** 2) / (positives - 1) / positives
    spread += float(others @ (among_positives - (1 - auc)) ** 2) / (negatives - 1) / negatives
    by_chance = (1 / positives + 1 / negatives) / 12
    return Estimate(auc, max(spread, _LEAST_SHARE * by_chance), day.weekday, day.version)
