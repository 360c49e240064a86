"""What is usual of a group of days: of a weekday, or of the version that scored them.

Some worlds have other Sundays, and the model does not know; one version ranks better than the one
before it. Neither is a change of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import f as fisher

from training.drift.day_counts import Floats

FEWEST_VALUES = 14
_LEVEL = 0.01
"""Of the F test that says whether groups differ at all."""


@dataclass(frozen=True)
class GroupEffects:
    """By how much groups of days differ from the mean of all; empty where they do not."""

    known: Mapping[int, float] = field(default_factory=dict)
    """Of each group that has a day."""
    uncertain: Mapping[int, float] = field(default_factory=dict)
    """Variance of how far the group truly lies from that."""
    of_another: float = 0.0
    """The same of a group that has no day yet: it lies anywhere among groups like these."""

    def of(self, groups: Iterable[int]) -> Floats:
        """The effects of these groups; a group that has no day is as the mean of all."""
        return np.array([self.known.get(group, 0.0) for group in groups])

    def uncertainty(self, group: int) -> float:
        """Variance of how far the group truly lies from what `of` says."""
        return self.uncertain.get(group, self.of_another)


def group_effects(values: Floats, groups: npt.NDArray[np.int64]) -> GroupEffects:
    """One-way analysis of variance; the means are shrunk towards 0 by how exact they are.

    These are best linear unbiased predictors of random effects, the variances by the method of
    moments (Searle, Casella and McCulloch 1992, chapter 3).

    Args:
        values: (k,) of days.
        groups: (k,) to which each day belongs.
    """
    there, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    many, k = len(there), len(values)
    if many <= 1 or k < FEWEST_VALUES or k == many:
        return GroupEffects()
    means = np.bincount(place, values) / counts
    between = float((counts * (means - values.mean()) ** 2).sum()) / (many - 1)
    within = float(((values - means[place]) ** 2).sum()) / (k - many)
    if within <= 0 or fisher.sf(between / within, many - 1, k - many) > _LEVEL:
        return GroupEffects()
    per_group = (k - float((counts**2).sum()) / k) / (many - 1)
    differ = max((between - within) / per_group, 0.0)
    share = differ / (differ + within / counts)
    effects = share * (means - values.mean())
    names = there.tolist()
    return GroupEffects(
        dict(zip(names, effects.tolist(), strict=True)),
        dict(zip(names, (differ * (1 - share)).tolist(), strict=True)),
        differ * (1 + 1 / many),
    )
