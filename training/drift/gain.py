"""What a retraining may gain at least, read off the day's sketch.

The log loss that predicting each group of scores at its own observed rate would save, beyond what
chance gives: n KL(observed | predicted) is half a chi square of one degree of freedom per group
where nothing is wrong (Wilks 1938), so half a nat is taken off for each. A training can gain more,
by telling rows apart that have one score now.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.drift.bin_groups import grouped, groups_of
from training.drift.day_counts import DayCounts

GROUPS = 20


def expected_gain(days: Sequence[DayCounts]) -> float:
    """Nats of log loss per row that calibration on these days alone would save; 0 = none."""
    rows, clicks, expected = (
        np.sum([getattr(day, name) for day in days], axis=0)
        for name in ("rows", "clicks", "expected")
    )
    total = float(rows.sum())
    if not total:
        return 0.0
    group = groups_of(rows, GROUPS)
    n, came, said = (grouped(counts, group) for counts in (rows, clicks, expected))
    observed, predicted = (
        came / np.maximum(n, 1.0),
        np.clip(said / np.maximum(n, 1.0), 1e-9, 1 - 1e-9),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        clicked = np.where(observed > 0, observed * np.log(observed / predicted), 0.0)
        not_clicked = np.where(
            observed < 1, (1 - observed) * np.log((1 - observed) / (1 - predicted)), 0.0
        )
    saved = float((n * (clicked + not_clicked)).sum()) - len(n) / 2
    return max(saved / total, 0.0)
