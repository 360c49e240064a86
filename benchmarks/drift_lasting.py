"""Changes that stay, for `dayfold bench drift`: does the check still see what comes after them?

`second_fall`: people click otherwise than any training can learn (the champion stays as it was),
and fifty days later once more. `fall_after_lift`: a version that ranks better took the champion's
place three weeks before people change so that it ranks as the one before it did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.drift_days import Change, World, days_of, steady
from benchmarks.drift_in_turn import decided_in_turn
from conf.drift import DriftSettings

FIRST, SECOND, WITHIN = 60, 110, 14
LIFTED = 39
SLOPE = -0.3
LASTING = ("second_fall", "fall_after_lift")


def lasting_change(name: str, *, trials: int, seed: int, drift: DriftSettings) -> dict[str, Any]:
    """How often the change after the lasting one is found, and how often a day alarms before it.

    Args:
        name: one of LASTING.
        trials: how many times.
        seed: of the simulation.
        drift: settings of the check.
    """
    at = SECOND if name == "second_fall" else FIRST
    runs = [_drifted(name, trial, at, seed, drift) for trial in range(trials)]
    delays = [found[0] for one in runs if (found := np.flatnonzero(one.drifted[at - FIRST :])).size]
    row = {
        "change": name,
        "trials": trials,
        "detected": len(delays) / trials,
        "delay_days": float(np.mean(delays)) if delays else float("nan"),
    }
    if name == "second_fall":
        between = np.concatenate([one.drifted[one.usual_from : at - FIRST] for one in runs])
        row["days_until_usual"] = float(np.mean([one.usual_from for one in runs]))
        row["alarms_per_100_days_between"] = 100 * float(between.mean())
    return row


@dataclass(frozen=True)
class _Run:
    drifted: npt.NDArray[np.bool_]
    """(k,) of the days from FIRST on: whether the labels drifted."""
    usual_from: int
    """Number of the first of them after the lasting change became usual; k = it did not."""


def _drifted(name: str, trial: int, at: int, seed: int, drift: DriftSettings) -> _Run:
    random = np.random.default_rng([seed, trial, 100 + LASTING.index(name)])
    days = list(islice(_days(name, random), at + WITHIN))
    decisions = decided_in_turn(days, FIRST, drift, learns=name != "second_fall")
    drifted = np.array([bool(one.evidence.get("labels_drifted")) for one in decisions])
    settled = (n + 1 for n, one in enumerate(decisions) if one.evidence.get("usual_since"))
    return _Run(drifted, next(settled, len(decisions)))


def _days(name: str, random: np.random.Generator) -> Any:
    world = World(name, steady(30_000))
    if name == "second_fall":
        return days_of(world, random, _fallen_twice)
    made = days_of(world, random, lambda n: Change() if LIFTED <= n < FIRST else Change(slope=-0.2))
    return (replace(day, version=1 + (n >= LIFTED)) for n, day in enumerate(made))


def _fallen_twice(number: int) -> Change:
    return Change(slope=((number >= FIRST) + (number >= SECOND)) * SLOPE)
