"""Bins put together: neighbours, of about equal weight."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.drift.day_counts import Floats

Groups = npt.NDArray[np.int64]


def groups_of(weights: Floats, groups: int) -> Groups:
    """The group of each bin, (BINS,), from 0 to at most `groups` - 1."""
    below = np.cumsum(weights) - weights / 2
    share = below / max(float(weights.sum()), 1e-9)
    raw = np.minimum((share * groups).astype(np.int64), groups - 1)
    # A bin that holds much more than a group's share leaves numbers unused.
    return np.asarray(np.unique(raw, return_inverse=True)[1], dtype=np.int64)


def grouped(counts: Floats, group: Groups) -> Floats:
    """Sums per group along the last axis: (..., BINS) -> (..., groups)."""
    member = (group[:, None] == np.arange(int(group.max()) + 1)).astype(np.float64)
    return np.asarray(counts @ member)
