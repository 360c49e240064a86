"""By how much a candidate's mean loss differs from another model's, slice by slice.

Users are drawn, not rows, since the rows of one user are alike (Poisson bootstrap). All slices see
the same draws, so that a hundred of them cost little more than one.

Letters: n rows, U users, S slices, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.scoring.metrics import Bools, Floats

RESAMPLES = 400
CONFIDENCE = 0.95
MOST_CLUSTERS = 3_000
"""More users than this are put together at random, which costs no validity."""
_BLOCK = 50


@dataclass(frozen=True)
class SliceDifference:
    """One slice; the numbers of a comparison are None where there is nothing to compare."""

    name: str
    rows: int
    users: int
    value: float | None
    """The candidate's mean loss."""
    head_value: float | None
    """The mean loss of what it is compared with."""
    difference: float | None
    """value - head_value; negative = better."""
    low: float | None
    high: float | None
    """The interval of the difference; None with one user."""


def slice_differences(
    user: npt.NDArray[np.integer],
    loss: Floats,
    other: Floats | None,
    slices: Mapping[str, Bools],
    seed: int,
) -> list[SliceDifference]:
    """Every slice of `slices`, in their order.

    Args:
        user: (n,) whose row it is.
        loss: (n,) the candidate's; smaller is better, NaN = this row has none.
        other: (n,) of what it is compared with; None = nothing.
        slices: (n,) rows by name.
        seed: of the resampling.
    """
    judged = np.isfinite(loss) if other is None else np.isfinite(loss) & np.isfinite(other)
    member = np.array([rows & judged for rows in slices.values()]).reshape(len(slices), len(loss))
    gap = np.zeros(len(loss)) if other is None else np.where(judged, loss - other, 0.0)
    low, high = _intervals(user, gap, member, seed)
    found = []
    for position, name in enumerate(slices):
        rows = member[position]
        n, users = int(rows.sum()), len(np.unique(user[rows]))
        value = float(loss[rows].mean()) if n else None
        if other is None or not n:
            found.append(SliceDifference(name, n, users, value, None, None, None, None))
            continue
        known = users > 1
        found.append(
            SliceDifference(
                name,
                n,
                users,
                value,
                float(other[rows].mean()),
                float(gap[rows].mean()),
                float(low[position]) if known else None,
                float(high[position]) if known else None,
            )
        )
    return found


def _intervals(
    user: npt.NDArray[np.integer], gap: Floats, member: Bools, seed: int
) -> tuple[Floats, Floats]:
    """(S,) ends of the interval of each slice's mean of `gap` (n,); `member` is (S, n)."""
    random = np.random.default_rng(seed)
    _, cluster = np.unique(user, return_inverse=True)
    clusters = int(cluster.max(initial=-1)) + 1
    if clusters > MOST_CLUSTERS:
        cluster = random.integers(0, MOST_CLUSTERS, clusters)[cluster]
        clusters = MOST_CLUSTERS
    sums = np.zeros((clusters, len(member)))
    counts = np.zeros((clusters, len(member)))
    for position, rows in enumerate(member):
        sums[:, position] = np.bincount(cluster[rows], gap[rows], clusters)
        counts[:, position] = np.bincount(cluster[rows], minlength=clusters)
    means = []
    for start in range(0, RESAMPLES, _BLOCK):
        drawn = random.poisson(1.0, (min(_BLOCK, RESAMPLES - start), clusters)).astype(np.float64)
        rows = drawn @ counts
        # A draw that has no user of a slice says nothing of it.
        means.append(np.where(rows > 0, drawn @ sums / np.maximum(rows, 1.0), np.nan))
    tail = (1 - CONFIDENCE) / 2
    ends = np.full((2, len(member)), np.nan)
    filled = member.any(axis=1)
    if filled.any():
        drawn_means = np.concatenate(means)[:, filled]
        ends[:, filled] = np.nanquantile(drawn_means, [tail, 1 - tail], axis=0)
    return ends[0], ends[1]
