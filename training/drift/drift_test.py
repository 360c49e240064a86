"""One statistic of the day against the reference days. Pure functions.

What is normal comes from the reference days alone: no threshold is fixed. A day that was far out
of line itself is no part of what is normal. Nothing takes today for more exact than the days that
it is compared with: where today has more rows, they cannot say how little a day of that size
varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from training.drift.day_counts import Floats
from training.drift.group_effects import GroupEffects, group_effects

FEWEST_DAYS = 3
"""Fewest reference days that tell how much days vary."""
_OUT_OF_LINE = float(norm.sf(4.0))
"""Chance of a day to lie so far above the others, if it is like them: beyond that it is out of
line."""
_EFFICIENCY = 0.37
"""Efficiency of the median absolute deviation, beside the standard deviation, of normal values."""
_TOO_MANY = 0.25
_TINY = 1e-12


class Estimate(NamedTuple):
    """A day's statistic."""

    value: float
    variance: float
    """Of the value, by chance."""
    weekday: int = 0
    """0 = Monday."""
    version: int = 0
    """Registered version that scored the day, where it tells of the version too."""


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
    """Of the days that the value is of."""
    days: int
    """Reference days."""
    drifted: bool
    window: int = 1
    """Days up to today that the value is of."""
    alone: float | None = None
    """The day's own value, where `value` is of several."""


def against_estimates(
    name: str,
    now: Sequence[Estimate],
    reference: Sequence[Estimate],
    alpha: float,
    *,
    rows: int,
    lower_only: bool = False,
) -> DriftTest | None:
    """The estimates of today, or of the last days, against the reference days'; None with too few.

    The days are a random-effects sample: each varies by chance, and they differ beyond it by tau.
    Tau is that of DerSimonian and Laird (1986), means are weighted by precision, and the spread
    of a new mean is scaled as Hartung and Knapp (2001) scale that of the sample's; Student's t.
    What is usual of a version and on a weekday is taken off; of a version that is new, less can be
    said. Several days say less than as many independent ones, because a day is often like the day
    before: `alikeness` of the reference days.

    Args:
        name: of the test.
        now: one estimate per day that is tested; their mean is.
        reference: one estimate per reference day, ascending.
        alpha: level.
        rows: rows of the tested days.
        lower_only: whether only a lower value is drift; else either side.
    """
    if len(reference) < FEWEST_DAYS:
        return None
    effects = _Effects.of_days(reference)
    values, variances = _in_line(_without(reference, effects))
    k = len(values)
    free = float(max(k - 1 - effects.spent, 1))
    variances = np.maximum(variances, _TINY)
    between = _between(values, variances)
    weights = 1 / (between + variances)
    middle = float((weights * values).sum() / weights.sum())
    residuals = (values - middle) * np.sqrt(weights)
    scale = max(float((residuals**2).sum()) / (k - 1), 1.0)
    tested, by_chance = _without(now, effects).T
    own = 1 / (between + np.maximum(by_chance, float(k / (1 / variances).sum())))
    value = float((own * tested).sum() / own.sum())
    alike = 1 + alikeness(residuals, len(tested))
    of_days = scale * alike * (1 / own.sum() + 1 / weights.sum())
    of_version = effects.uncertainty(now, own / own.sum())
    spread = float(np.sqrt(of_days + of_version))
    free = _satterthwaite((of_days, free), (of_version, len(effects.version.known) - 1))
    distance = (value - middle) / spread
    sides = 1 if lower_only else 2
    p = sides * float(student.sf(-distance if lower_only else abs(distance), free))
    reach = float(student.isf(alpha / sides, free)) * spread
    # said as they are: with what is usual on these weekdays
    usual = float((own * effects.of(now)).sum() / own.sum())
    value, middle = value + usual, middle + usual
    threshold = middle + (reach if distance >= 0 and not lower_only else -reach)
    return DriftTest(name, value, middle, threshold, p, rows, k, p < alpha, len(tested))


@dataclass(frozen=True)
class _Effects:
    """What is usual of the version that scored a day, and on its weekday."""

    version: GroupEffects
    weekday: GroupEffects

    @classmethod
    def of_days(cls, reference: Sequence[Estimate]) -> _Effects:
        values, versions, weekdays = (
            np.array([getattr(one, name) for one in reference])
            for name in ("value", "version", "weekday")
        )
        version = group_effects(values, versions)
        return cls(version, group_effects(values - version.of(versions), weekdays))

    @property
    def spent(self) -> int:
        """Degrees of freedom that they take."""
        return sum(max(len(one.known) - 1, 0) for one in (self.version, self.weekday))

    def of(self, estimates: Sequence[Estimate]) -> Floats:
        versions, weekdays = zip(*((one.version, one.weekday) for one in estimates), strict=True)
        return self.version.of(versions) + self.weekday.of(weekdays)

    def uncertainty(self, now: Sequence[Estimate], share: Floats) -> float:
        """Variance of what is usual of the versions of `now`, weighted by `share`, (m,)."""
        weight: dict[int, float] = {}
        for one, part in zip(now, share.tolist(), strict=True):
            weight[one.version] = weight.get(one.version, 0.0) + part
        return sum(w**2 * self.version.uncertainty(version) for version, w in weight.items())


def _satterthwaite(*variances: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances, each with its own (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in variances)
    return total**2 / sum(variance**2 / free for variance, free in variances if variance > 0)


def _without(estimates: Sequence[Estimate], effects: _Effects) -> Floats:
    """(k, 2) values less what is usual of them, and variances."""
    values, variances = (
        np.array([getattr(one, name) for one in estimates]) for name in ("value", "variance")
    )
    return np.stack([values - effects.of(estimates), variances], axis=1)


def alikeness(residuals: Floats, window: int) -> float:
    """By what share the variance of a mean of `window` days exceeds that of independent ones.

    Of the autocorrelations of `residuals` (k,), standardised and in order, at each lag within the
    window; and a standard error more, as tens of days say little about them. Not below 0.
    """
    k = len(residuals)
    lags = np.arange(1, min(window, k))
    if not len(lags):
        return 0.0
    mean_square = max(float((residuals**2).mean()), _TINY)
    # 1 / k: by so much the mean of the same days lowers each
    found = [float((residuals[lag:] * residuals[:-lag]).mean()) / mean_square for lag in lags]
    shares = 2 * (1 - lags / window)
    error = float(np.sqrt((shares**2).sum() / k))
    return max(float(shares @ (np.array(found) + 1 / k)) + error, 0.0)


def against_thinned_days(
    name: str,
    now: Floats,
    reference: Floats,
    alpha: float,
    *,
    power: float,
    rows: int,
    window: int = 1,
) -> DriftTest | None:
    """Today's distance against the reference days', one-sided; None with too few of them.

    A distance is mostly chance where days are small, and mostly the days' own changes where they
    are large; its `power` is close to normal in both cases (as Wilson and Hilferty 1931 have it for
    a sum of squares).

    Args:
        name: of the test.
        now: (R,) today's distance, thinned R times to the size at which all are compared.
        reference: (k, R) the same of the reference days.
        alpha: level.
        power: of the distance; 1/6 for a sum of squares, 1/3 for a sum of absolutes.
        rows: rows of the tested days.
        window: how many these are.
    """
    if len(reference) < FEWEST_DAYS:
        return None
    each = np.maximum(reference, 0.0) ** power
    # what differs between the days, and what one thinning of a day differs from another
    powers, within = _in_line(np.stack([each.mean(axis=1), each.var(axis=1)], axis=1))
    k = len(powers)
    value = float((np.maximum(now, 0.0) ** power).mean())
    middle = float(powers.mean())
    single = float(powers.var(ddof=1) + within.mean())
    spread = max(float(np.sqrt(single * (1 + 1 / k))), _TINY)
    p = float(student.sf((value - middle) / spread, k - 1))
    threshold = middle + float(student.isf(alpha, k - 1)) * spread
    back = 1 / power
    return DriftTest(
        name, value**back, max(middle, 0.0) ** back, threshold**back, p, rows, k, p < alpha, window
    )


def _between(values: Floats, variances: Floats) -> float:
    """The variance of days beyond chance, (k,) values with their sampling variances."""
    weights = 1 / variances
    middle = (weights * values).sum() / weights.sum()
    beyond = float((weights * (values - middle) ** 2).sum()) - (len(values) - 1)
    return max(beyond / float(weights.sum() - (weights**2).sum() / weights.sum()), 0.0)


def _in_line(estimates: Floats) -> tuple[Floats, Floats]:
    """Values and variances, of (k, 2), of the days that are not far out of line with the others.

    The fewer days, the less is known of how they spread, and the further out the line is. If a
    quarter of the days or more are beyond it, there is no line: all are kept.
    """
    values, variances = estimates[:, 0], estimates[:, 1]
    if len(values) < FEWEST_DAYS:
        return values, variances
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    reach = student.isf(_OUT_OF_LINE, _EFFICIENCY * len(values))
    inside = np.abs(values - middle) <= reach * np.sqrt(spread**2 + variances)
    if (~inside).mean() >= _TOO_MANY:
        inside[:] = True
    return values[inside], variances[inside]
