"""Days made as small as the smallest of those that are compared, by drawing of their rows."""

from __future__ import annotations

import numpy as np

from training.drift.day_counts import Floats

TIMES = 20
"""How often a day is thinned; its distance is the mean."""
_QUANTILE = 0.25
MOST_ROWS = 900_000_000
"""Of a day that is drawn from: NumPy draws from fewer than 10^9. Larger days are scaled down."""


def common_size(today: float, days: Floats) -> int:
    """Rows to which days are thinned: today's, or the reference days' (k,) where those are fewer.

    A quarter of the days may have fewer; they stay as they are, and say that days vary more.
    """
    return int(min(today, float(np.quantile(days, _QUANTILE))))


def thinned(counts: Floats, size: int, random: np.random.Generator) -> Floats:
    """(TIMES, C) cells of as many samples of `size` rows of `counts` (C,), without replacement.

    Counts that are no whole numbers (they were carried over) are rounded, keeping their sum. Of a
    day of more than MOST_ROWS rows as many are taken in proportion, and of a larger `size` too.
    """
    whole = _whole(counts * min(1.0, MOST_ROWS / max(float(counts.sum()), 1.0)))
    total = int(whole.sum())
    if total <= size:
        return np.repeat(whole[None].astype(np.float64), TIMES, axis=0)
    # the margins method is exact, and as fast for a million rows as for a thousand
    drawn = random.multivariate_hypergeometric(whole, size, TIMES, method="marginals")
    return np.asarray(drawn, dtype=np.float64)


def _whole(counts: Floats) -> np.ndarray:
    return np.diff(np.rint(np.cumsum(counts)), prepend=0.0).astype(np.int64)
