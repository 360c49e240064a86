"""What the drift decision goes by, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from conf.drift import Extent
from training.drift.day_counts import DayCounts

Decision = Literal["skip", "watch", "retrain", "not_enough_data"]


@dataclass(frozen=True)
class PastDecision:
    """What an earlier day decided."""

    ds: str
    labels_drifted: bool
    train: bool
    extent: Extent | None
    first_tested: str = ""
    """First of the days that were tested together with it; empty = it was tested alone."""
    usual_since: str = ""
    """First day of what became usual with this day; empty = nothing did."""
    ended: str = ""
    """First day of what had become usual and ended with this day; empty = nothing did."""
    untested: bool = False
    """Whether it had too few data to test its labels."""
    trained_to: str = ""
    """The last training day of what served; empty = before all days that it was compared with."""

    @property
    def since(self) -> str:
        """First of the days that its tests are of."""
        return self.first_tested or self.ds


@dataclass(frozen=True)
class History:
    """What came before today."""

    days: tuple[DayCounts, ...]
    """Earlier days with rows, ascending."""
    has_champion: bool
    champion_trained_to: str | None
    """The champion's last training day; None = before all of `days`."""
    last_training: str | None
    """The last day that trained a candidate."""
    decisions: tuple[PastDecision, ...] = ()
    """Of the days before, ascending."""


@dataclass(frozen=True)
class DriftDecision:
    """What the day does, why, and from what."""

    decision: Decision
    train: bool
    reason: str
    """One sentence."""
    evidence: dict[str, Any] = field(default_factory=dict)
    extent: Extent | None = None
    """How much is trained; None = nothing."""
