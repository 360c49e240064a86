"""The statistics of the drift decision: today against the reference days. Pure functions.

- score: Jensen-Shannon divergence between today's scores and those of the reference days. What is
  normal comes from the reference days themselves: each is drawn again with today's number of rows
  and compared with the others. Tens of days cannot give the quantile of a level of a tenth of a
  percent, so the threshold is Student's t on the logarithm of the divergence.
- label: log(observed / expected clicks), two-sided.
- calibration: the expected calibration error once the overall rate is taken out, one-sided.
- rank: mean percentile rank of the positives, two-sided, where negatives are drawn.

The last three compare today's value with the mean of the days, by Student's t, with the variance
between days (what the days vary beyond chance) plus today's own sampling variance. A day that was
far out of line itself is no part of what is normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from training.drift.day_counts import DayCounts, Floats
from training.measures.sketch import BINS

GROUPS = 20
"""Groups of bins, of about equal weight in the reference, that the divergence compares."""
CALIBRATION_GROUPS = 10
RESAMPLES = 20
"""How often each reference day is drawn again."""
FEWEST_DAYS = 3
"""Fewest reference days that tell how much days vary."""
_OUT_OF_LINE = 4.0


@dataclass(frozen=True)
class DriftTest:
    """One statistic of today, what is normal, and whether it is beyond it."""

    name: str
    value: float
    normal: float
    threshold: float
    """Beyond it the value counts as drift; on the side of normal on which the value lies."""
    p: float
    rows: int
    days: int
    """Reference days."""
    drifted: bool


def score_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float, seed: int
) -> DriftTest | None:
    """Today's scores against those of `reference`.

    None if today's, or fewer than FEWEST_DAYS of the others, can be carried over.
    """
    today = _total([day.carried for day in pooled if day.carried is not None])
    days = np.array([day.carried for day in reference if day.carried is not None])
    if len(days) < FEWEST_DAYS or not today.sum():
        return None
    group = _groups(days.sum(axis=0), GROUPS)
    counts, now = _grouped(days, group), _grouped(today, group)
    rows = round(float(now.sum()))
    random = np.random.default_rng(seed)
    pool = counts.sum(axis=0)
    logs = []
    for day in counts:
        drawn = random.multinomial(rows, day / day.sum(), RESAMPLES)
        logs.append(np.log(_divergence(drawn, pool - day) + _TINY))
    value = float(_divergence(now, pool))
    null = np.array(logs)
    k = len(null)
    spread = float(np.sqrt(null.mean(axis=1).var(ddof=1) + null.var(axis=1).mean()))
    spread *= float(np.sqrt(1 + 1 / k))
    middle = float(null.mean())
    threshold = middle + float(student.isf(alpha, k - 1)) * spread
    p = float(student.sf((np.log(value + _TINY) - middle) / spread, k - 1))
    return DriftTest(
        "score", value, float(np.exp(middle)), float(np.exp(threshold)), p, rows, k, p < alpha
    )


def label_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float
) -> DriftTest | None:
    """Today's log(observed/expected clicks) against that of `reference`, two-sided.

    None, as of the tests below, with fewer than FEWEST_DAYS days to compare with.
    """
    days = [day for day in reference if day.n]
    values = [_log_observed_expected([day]) for day in days]
    now = _log_observed_expected(pooled)
    return _against("label", now, values, alpha, rows=_rows(pooled), days=len(pooled), sides=2)


def calibration_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float
) -> DriftTest | None:
    """Today's calibration error beyond chance against that of `reference`, one-sided."""
    values = [_calibration_excess([day]) for day in reference if day.n]
    now = _calibration_excess(pooled)
    return _against(
        "calibration", now, values, alpha, rows=_rows(pooled), days=len(pooled), sides=1
    )


def rank_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float
) -> DriftTest | None:
    """Today's mean percentile rank of the positives against that of `reference`, two-sided.

    None as well where no positive of today has a rank.
    """
    values = [_mean_rank([day]) for day in reference if day.ranked]
    ranked = sum(day.ranked for day in pooled)
    if not ranked:
        return None
    return _against(
        "rank", _mean_rank(pooled), values, alpha, rows=ranked, days=len(pooled), sides=2
    )


def moved_groups(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], most: int = 3
) -> list[dict[str, float]]:
    """The groups of score bins whose share of the rows changed most."""
    today = _total([day.carried for day in pooled if day.carried is not None])
    before = _total([day.carried for day in reference if day.carried is not None])
    if not today.sum() or not before.sum():
        return []
    group = _groups(before, GROUPS)
    now = _grouped(today, group) / today.sum()
    normal = _grouped(before, group) / before.sum()
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


# ---- inside ------------------------------------------------------------------------------------

_TINY = 1e-9
Estimate = tuple[float, float]
"""A value and its sampling variance."""


def _against(
    name: str,
    now: Estimate,
    reference: Sequence[Estimate],
    alpha: float,
    *,
    rows: int,
    days: int,
    sides: int,
) -> DriftTest | None:
    """Today's estimate against the reference days', by Student's t; None with too few of them.

    Args:
        name: of the test.
        now: today's estimate.
        reference: one estimate per reference day.
        alpha: level.
        rows: rows of today.
        days: days that are pooled in today's estimate.
        sides: 1 = only above is drift, 2 = both ways.
    """
    if len(reference) < FEWEST_DAYS:
        return None
    values, variances = _in_line(np.array(reference))
    k = len(values)
    middle = float(values.mean())
    chance = float(variances.mean())
    between = max(float(values.var(ddof=1)) - chance, 0.0)
    spread = float(np.sqrt(between / days + now[1] + (between + chance) / k))
    distance = (now[0] - middle) / max(spread, _TINY)
    p = (
        float(student.sf(distance, k - 1))
        if sides == 1
        else 2 * float(student.sf(abs(distance), k - 1))
    )
    reach = float(student.isf(alpha / sides, k - 1)) * spread
    threshold = middle + (reach if distance >= 0 or sides == 1 else -reach)
    return DriftTest(name, now[0], middle, threshold, p, rows, k, p < alpha)


def _in_line(estimates: Floats) -> tuple[Floats, Floats]:
    """Values and variances of the days that are not far out of line with the others.

    If a quarter of the days or more are out of line, there is no line: all are kept.
    """
    values, variances = estimates[:, 0], estimates[:, 1]
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    inside = np.abs(values - middle) <= _OUT_OF_LINE * np.sqrt(spread**2 + variances)
    if (~inside).mean() >= 0.25:  # noqa: PLR2004
        inside[:] = True
    return values[inside], variances[inside]


def _log_observed_expected(days: Sequence[DayCounts]) -> Estimate:
    clicks = sum(float(day.clicks.sum()) for day in days)
    expected = sum(float(day.expected.sum()) for day in days)
    spread = sum(float(_spread(day).sum()) for day in days)
    return float(np.log((clicks + 0.5) / (expected + 0.5))), spread / max(expected, 0.5) ** 2


def _calibration_excess(days: Sequence[DayCounts]) -> Estimate:
    """Calibration error minus what chance alone gives, once the overall rate is taken out."""
    rows = _total([day.rows for day in days])
    clicks = _total([day.clicks for day in days])
    expected = _total([day.expected for day in days])
    spread = _total([_spread(day) for day in days])
    group = _groups(rows, CALIBRATION_GROUPS)
    rate = clicks.sum() / max(float(expected.sum()), _TINY)
    gaps = np.abs(_grouped(clicks, group) - rate * _grouped(expected, group))
    deviation = np.sqrt(rate * _grouped(spread, group))
    n = max(float(rows.sum()), 1.0)
    by_chance = float(np.sqrt(2 / np.pi) * deviation.sum())
    variance = float((1 - 2 / np.pi) * (deviation**2).sum())
    return (float(gaps.sum()) - by_chance) / n, variance / n**2


def _mean_rank(days: Sequence[DayCounts]) -> Estimate:
    ranked = max(sum(day.ranked for day in days), 1)
    mean = sum((day.rank_mean or 0.0) * day.ranked for day in days) / ranked
    variance = sum(day.rank_variance * day.ranked for day in days) / ranked
    return mean, variance / ranked


def _spread(day: DayCounts) -> Floats:
    """Sampling variance of the clicks per bin, (BINS,)."""
    probability = day.expected / np.maximum(day.rows, 1.0)
    return np.asarray(day.expected * (1 - np.minimum(probability, 1.0)))


def _groups(weights: Floats, groups: int) -> npt.NDArray[np.int64]:
    """The group of each bin, (BINS,): neighbours, of about equal weight."""
    below = np.cumsum(weights) - weights / 2
    share = below / max(float(weights.sum()), _TINY)
    raw = np.minimum((share * groups).astype(np.int64), groups - 1)
    # A bin that holds much more than a group's share leaves numbers unused.
    return np.asarray(np.unique(raw, return_inverse=True)[1], dtype=np.int64)


def _grouped(counts: Floats, group: npt.NDArray[np.int64]) -> Floats:
    """Sums per group along the last axis: (..., BINS) -> (..., groups)."""
    member = (group[:, None] == np.arange(int(group.max()) + 1)).astype(np.float64)
    return np.asarray(counts @ member)


def _divergence(counts: npt.ArrayLike, pool: Floats) -> Floats:
    """Jensen-Shannon divergence in nats between each row of `counts` (..., G) and `pool` (G,)."""
    p = np.asarray(counts, dtype=np.float64)
    p = p / p.sum(axis=-1, keepdims=True)
    q = pool / pool.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0, q * np.log(q / middle), 0.0)
    return np.asarray((left + right).sum(axis=-1) / 2)


def _rows(days: Sequence[DayCounts]) -> int:
    return sum(day.n for day in days)


def _total(parts: Sequence[Floats]) -> Floats:
    return np.sum(parts, axis=0) if parts else np.zeros(BINS)
