"""What the drift tests see of one day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SATURDAY = 5


@dataclass(frozen=True)
class DayCounts:
    """One day's sketch, all slices together; arrays are (BINS,)."""

    ds: str
    carried: Floats | None
    """Rows per bin in the terms of today's champion; None = they cannot be carried over."""
    rows: Floats
    """Rows per bin of the version that scored the day."""
    clicks: Floats
    expected: Floats
    """Sum of predicted probabilities per bin, by the version that scored the day."""
    rank_mean: float | None = None
    """Mean percentile rank of the positives; None where negatives are not drawn."""
    rank_variance: float = 0.0
    """Sampling variance of one positive's percentile rank."""
    ranked: int = 0
    """Positives with a rank."""
    version: int = 0
    """Registered version that scored the day."""

    @property
    def n(self) -> int:
        """Rows of the day."""
        return int(self.rows.sum())

    @property
    def weekday(self) -> int:
        """0 = Monday."""
        return date.fromisoformat(self.ds).weekday()

    @property
    def weekend(self) -> bool:
        """Whether the day is a Saturday or a Sunday."""
        return self.weekday >= _SATURDAY


Block = Sequence[DayCounts]
"""Days that are taken together."""
