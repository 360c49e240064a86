"""Score drift: today's scores against those of the reference days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.drift.bin_groups import grouped, groups_of
from training.drift.day_counts import DayCounts, Floats
from training.drift.drift_test import FEWEST_DAYS, DriftTest, against_thinned_days
from training.drift.thinning import common_size, thinned
from training.measures.sketch import BINS

GROUPS = 20
"""Groups of bins, of about equal weight in the reference, that the divergence compares."""


def score_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float, seed: int
) -> DriftTest | None:
    """The Jensen-Shannon divergence between today's scores and those of `reference`.

    What is normal: each reference day against the others. All are thinned to one number of rows.
    None if today's, or fewer than FEWEST_DAYS of the others, can be carried over.
    """
    tested = carried(pooled)
    today = tested.sum(axis=0)
    days = carried(reference)
    days = days[days.sum(axis=1) >= 1]
    if len(days) < FEWEST_DAYS or today.sum() < 1:
        return None
    group = groups_of(days.sum(axis=0), GROUPS)
    counts, now = grouped(days, group), grouped(today, group)
    size = common_size(float(now.sum()), counts.sum(axis=1))
    random = np.random.default_rng(seed)
    pool = counts.sum(axis=0)
    value = divergence(thinned(now, size, random), pool)
    null = np.stack([divergence(thinned(day, size, random), pool - day) for day in counts])
    rows = round(float(now.sum()))
    return against_thinned_days(
        "score", value, null, alpha, power=1 / 6, rows=rows, window=len(tested)
    )


def moved_groups(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], most: int = 3
) -> list[dict[str, float]]:
    """The groups of score bins whose share of the rows changed most."""
    today, before = carried(pooled).sum(axis=0), carried(reference).sum(axis=0)
    if not today.sum() or not before.sum():
        return []
    group = groups_of(before, GROUPS)
    now = grouped(today, group) / today.sum()
    normal = grouped(before, group) / before.sum()
    order = np.argsort(-np.abs(now - normal))[:most]
    return [
        {
            "first_bin": int(np.flatnonzero(group == g)[0]),
            "last_bin": int(np.flatnonzero(group == g)[-1]),
            "share": float(now[g]),
            "normal_share": float(normal[g]),
        }
        for g in order
    ]


def divergence(counts: Floats, reference: Floats) -> Floats:
    """(R,) Jensen-Shannon divergence in nats between counts (R, C) and `reference` (C,)."""
    p = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
    q = reference / max(float(reference.sum()), 1e-9)
    middle = (p + q) / 2
    return np.asarray((_entropy_terms(p, middle) + _entropy_terms(q, middle)) / 2)


def _entropy_terms(p: Floats, middle: Floats) -> Floats:
    ratio = np.where(p > 0, p / np.maximum(middle, 1e-300), 1.0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))


def carried(days: Sequence[DayCounts]) -> Floats:
    """(k, BINS) of the days that can be carried over to today's champion."""
    found = [day.carried for day in days if day.carried is not None]
    return np.array(found) if found else np.zeros((0, BINS))
