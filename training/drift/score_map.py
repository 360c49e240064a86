"""Scores of one model in the terms of another, so that a promotion does not empty the history.

A map gives, for the centre of each bin of the replaced champion, the logit of the new champion at
the same quantile of the same rows: (BINS,) and ascending. Beyond the rows' range it goes on with
slope one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from training.measures.sketch import bin_edges

Floats = npt.NDArray[np.float64]

CENTRES: Floats = (bin_edges()[1:] + bin_edges()[:-1]) / 2


def quantile_map(old: Floats, new: Floats) -> Floats:
    """The map from the logits `old` to `new`, both (n,), of the same rows by two models."""
    if not len(old):
        return CENTRES.copy()
    values, where, counts = np.unique(np.sort(old), return_inverse=True, return_counts=True)
    mapped = np.bincount(where, np.sort(new)) / counts
    return _interpolate(CENTRES, values, mapped)


def compose(first: Floats, second: Floats) -> Floats:
    """The map that does `first`, then `second`."""
    return _interpolate(first, CENTRES, second)


def carry(counts: Floats, mapped: Floats) -> Floats:
    """`counts` (BINS,) in the bins of the model that `mapped` leads to; the sum stays.

    What is in a bin is spread evenly over the stretch that the bin is mapped to.
    """
    edges = bin_edges()
    moved = _interpolate(edges, CENTRES, mapped)
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    # Two edges of the old bins may fall together; the later one counts what is below both.
    distinct, last = np.unique(moved[::-1], return_index=True)
    below = np.interp(edges, distinct, cumulative[::-1][last])
    below[0], below[-1] = 0.0, cumulative[-1]
    return np.diff(below)


def route(steps: Mapping[int, tuple[int, Floats]], start: int, end: int) -> Floats | None:
    """The map from version `start` to version `end` along promotions, or None without a way.

    Args:
        steps: replaced version to (its successor, the map).
        start: version that gave the scores.
        end: version in whose terms they are wanted.
    """
    mapped = np.asarray(CENTRES)
    version = start
    for _ in range(len(steps) + 1):
        if version == end:
            return mapped
        if version not in steps:
            return None
        version, step = steps[version]
        mapped = compose(mapped, step)
    return None


def _interpolate(at: Floats, x: Floats, y: Floats) -> Floats:
    inside = np.interp(at, x, y)
    return np.asarray(inside + np.minimum(at - x[0], 0.0) + np.maximum(at - x[-1], 0.0))
