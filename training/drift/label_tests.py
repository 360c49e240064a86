"""Label drift: what came against what was predicted, today and on the reference days.

- label: log(observed / expected clicks), two-sided.
- calibration: the expected calibration error per click once the overall rate is taken out.
- rank: mean percentile rank of the positives, where negatives are drawn: only lower is drift.

Observed over expected goes on across promotions: a champion that is trained daily expects the rate
of yesterday, whoever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from training.drift.bin_groups import Groups, grouped, groups_of
from training.drift.day_counts import Block, DayCounts, Floats
from training.drift.drift_test import (
    FEWEST_DAYS,
    DriftTest,
    Estimate,
    against_estimates,
    against_thinned_days,
)
from training.drift.thinning import common_size, thinned

CALIBRATION_GROUPS = 10
FEWEST_RANKED = 10
"""Positives below which a day says nothing of their ranks."""
_LEAST_VARIANCE = 0.1 / 12
"""Of a rank: a tenth of what ranks without any order have."""


def label_test(days: Block, reference: Block, alpha: float) -> DriftTest | None:
    """log(observed/expected clicks) of `days`, today first, against that of each of `reference`.

    None, as of the tests below, with fewer than FEWEST_DAYS days to compare with.
    """
    tested, known = ([day for day in of if day.n] for of in (days, reference))
    if len(known) < FEWEST_DAYS or not tested:
        return None
    values, chance = np.array([log_observed_expected([day]) for day in (*known, *tested)]).T
    versions = np.array([day.version for day in (*known, *tested)])
    biases = _usual_biases(versions, values, chance, len(known))
    weekdays = (day.weekday for day in (*known, *tested))
    estimates = list(map(Estimate, values - biases, chance, weekdays))
    rows = sum(day.n for day in tested)
    of_days, of_reference = estimates[len(known) :], estimates[: len(known)]
    test = against_estimates("label", of_days, of_reference, alpha, rows=rows)
    if test is None:
        return None
    centre = float(biases[len(known)])
    return replace(
        test,
        value=test.value + centre,
        normal=test.normal + centre,
        threshold=test.threshold + centre,
    )


def _usual_biases(
    versions: npt.NDArray[np.int64], values: Floats, chance: Floats, known: int
) -> Floats:
    """(k + m,) by how much what scored each day is usually off; the first `known` are reference.

    A version that scored FEWEST_DAYS of these or more is off by their mean, another one as all are;
    of the days that are tested by what it shows. But only as far as that lies between 0 and what
    all are: where one version is off by a lot, another that is not is no change of the world.
    """
    weights = 1 / np.maximum(chance, 1e-12)
    of_all = float(np.average(values[:known], weights=weights[:known]))
    low, high = sorted((0.0, of_all))
    # a reference day that were off by what it shows would be none that differs
    biases = np.concatenate([np.full(known, of_all), values[known:]])
    for version in np.unique(versions[:known]):
        mine = np.flatnonzero(versions[:known] == version)
        if len(mine) >= FEWEST_DAYS:
            biases[versions == version] = np.average(values[mine], weights=weights[mine])
    return np.asarray(np.clip(biases, low, high))


def rank_test(days: Block, reference: Block, alpha: float) -> DriftTest | None:
    """The positives' mean percentile rank of `days` against that of each of `reference`.

    None as well where today, the first of `days`, has few positives with a rank.
    """
    tested, known = (
        [rank for day in of for rank in [mean_rank(day)] if rank is not None]
        for of in (days, reference)
    )
    if mean_rank(days[0]) is None:
        return None
    ranked = sum(day.ranked for day in days if mean_rank(day) is not None)
    return against_estimates("rank", tested, known, alpha, rows=ranked, lower_only=True)


def calibration_test(
    pooled: Sequence[DayCounts], reference: Sequence[DayCounts], alpha: float, seed: int
) -> DriftTest | None:
    """Today's calibration error against that of `reference`, all thinned to one number of rows."""
    days = [day for day in reference if day.n]
    if len(days) < FEWEST_DAYS:
        return None
    group = groups_of(np.sum([day.rows for day in days], axis=0), CALIBRATION_GROUPS)
    size = common_size(sum(day.n for day in pooled), np.array([day.n for day in days]))
    random = np.random.default_rng([seed, 1])
    value = _calibration_errors(pooled, group, size, random)
    null = np.stack([_calibration_errors([day], group, size, random) for day in days])
    rows = sum(day.n for day in pooled)
    return against_thinned_days(
        "calibration", value, null, alpha, power=1 / 3, rows=rows, window=len(pooled)
    )


def log_observed_expected(days: Sequence[DayCounts]) -> tuple[float, float]:
    """log(observed/expected clicks) of these days together, and its variance by chance."""
    clicks = sum(float(day.clicks.sum()) for day in days)
    expected = sum(float(day.expected.sum()) for day in days)
    spread = sum(_chance(day) for day in days)
    return float(np.log((clicks + 0.5) / (expected + 0.5))), spread / max(expected, 0.5) ** 2


def _calibration_errors(
    days: Sequence[DayCounts], group: Groups, size: int, random: np.random.Generator
) -> Floats:
    """(R,) of samples of `size` rows: sum over groups of |clicks - rate x expected|, per click."""
    rows, clicks, expected = (
        np.sum([getattr(day, name) for day in days], axis=0)
        for name in ("rows", "clicks", "expected")
    )
    rows, clicks, expected = (grouped(counts, group) for counts in (rows, clicks, expected))
    drawn = thinned(np.concatenate([np.maximum(rows - clicks, 0.0), clicks]), size, random)
    clicked = drawn[:, len(rows) :]
    said = (drawn[:, : len(rows)] + clicked) * (expected / np.maximum(rows, 1.0))
    total = clicked.sum(axis=1, keepdims=True)
    rate = total / np.maximum(said.sum(axis=1, keepdims=True), 1e-9)
    gaps = np.abs(clicked - rate * said).sum(axis=1)
    return np.asarray(gaps / np.maximum(total[:, 0], 0.5))


def mean_rank(day: DayCounts) -> Estimate | None:
    """Mean percentile rank of the day's positives, and its variance by chance; None with few."""
    if day.ranked < FEWEST_RANKED:
        return None
    # a few ranks may be alike by chance
    variance = max(day.rank_variance, _LEAST_VARIANCE)
    return Estimate(day.rank_mean or 0.0, variance / day.ranked, day.weekday, day.version)


def _chance(day: DayCounts) -> float:
    """Sampling variance of the day's clicks."""
    probability = day.expected / np.maximum(day.rows, 1.0)
    return float((day.expected * (1 - np.minimum(probability, 1.0))).sum())
