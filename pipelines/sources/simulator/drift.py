"""What planted drifts have done to the world by a day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.sources.simulator.randomness import generator
from pipelines.sources.simulator.settings import PlantedDrift
from pipelines.sources.simulator.users import Floats
from pipelines.sources.simulator.words import CATEGORIES


@dataclass(frozen=True)
class Drifts:
    """The sum of the drifts that have begun."""

    logit_shift: float
    """On every click."""
    category_moves: Floats
    """(categories, categories): column c says whose affinity category c has now."""
    mix_shift: float
    """How far the users' mix has moved."""


@dataclass(frozen=True)
class Today:
    """A day of the world."""

    ordinal: int
    """Proleptic, as `datetime.date` counts."""
    day: int
    """Since the world's start."""
    drifts: Drifts


def no_drifts() -> Drifts:
    """The world as it began."""
    return Drifts(0.0, np.eye(len(CATEGORIES)), 0.0)


def drifts_until(seed: int, planted: tuple[PlantedDrift, ...], ordinal: int) -> Drifts:
    """The drifts planted on or before a day (a proleptic ordinal)."""
    shift, mix, moves = 0.0, 0.0, np.eye(len(CATEGORIES))
    for drift in sorted(planted, key=lambda planned: (planned.day, planned.kind)):
        if drift.day.toordinal() > ordinal:
            break
        if drift.kind == "ctr":
            shift += drift.size
        elif drift.kind == "covariate":
            mix += drift.size
        else:
            stays = (1 - drift.size) * np.eye(len(CATEGORIES))
            moves = moves @ (stays + drift.size * _moved(seed, drift))
    return Drifts(shift, moves, mix)


def _moved(seed: int, drift: PlantedDrift) -> Floats:
    # A turn by 1 to n - 1 leaves no category where it was.
    turn = generator(seed, "taste drift", drift.day.toordinal()).integers(1, len(CATEGORIES))
    return np.roll(np.eye(len(CATEGORIES)), int(turn), axis=1)
