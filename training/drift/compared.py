"""Which days are tested, alone and together, and with which others they are compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from conf.drift import DriftSettings
from feature_store.days import gap
from training.drift.day_counts import Block, DayCounts
from training.drift.drift_test import FEWEST_DAYS, DriftTest
from training.drift.outcome import PastDecision

WINDOW = 3
"""Days that the tests of labels take together besides the day alone: what is small and stays."""


def found_days(past: Sequence[PastDecision]) -> frozenset[str]:
    """The days whose labels were found to have drifted: no part of what is usual.

    Those up to the last training anew are: what drifts although all days were learned anew is how
    the world is.
    """
    anew = max((one.ds for one in past if one.train and one.extent == "full"), default="")
    return frozenset(one.ds for one in past if one.labels_drifted and one.ds > anew)


def pooled_days(
    today: DayCounts,
    days: Block,
    drift: DriftSettings,
    found: Collection[str],
    labelled: Callable[[DayCounts], int],
) -> tuple[list[DayCounts], list[DayCounts]]:
    """Today with as many days before it as it takes to have enough rows; and the days before.

    A day that was found to have drifted is not tested again.
    """
    pooled, earlier = [today], list(days)
    while (
        earlier
        and sum(map(labelled, pooled)) < drift.min_labelled_rows
        and gap(earlier[-1].ds, today.ds) < drift.pool_days
        and earlier[-1].ds not in found
    ):
        pooled.append(earlier.pop())
    return pooled, earlier


def soonest(
    test: Callable[[Block, Block, float], DriftTest | None],
    pooled: Block,
    reference: Block,
    found: Collection[str],
    alpha: float,
) -> DriftTest | None:
    """Of the day, and of the last WINDOW days, what says more; each at half of the level.

    What is small and stays is found by its days together before it becomes what is usual. Days
    that were found to have drifted are not tested again, and are not usual.
    """
    recent = _not_found_since(reference, found, WINDOW - len(pooled))
    before = usual(reference[: len(reference) - len(recent)], found)
    windows = [(pooled, usual(reference, found))]
    if recent and len(before) >= FEWEST_DAYS * WINDOW:
        windows.append(([*pooled, *recent], before))
    made = [test(days, others, alpha / len(windows)) for days, others in windows]
    shown = min((one for one in made if one is not None), key=lambda one: one.p, default=None)
    alone = made[0].value if made[0] is not None else None
    return None if shown is None else replace(shown, alone=alone)


def usual(days: Block, found: Collection[str]) -> list[DayCounts]:
    """`days` but those that were found to have drifted."""
    return [day for day in days if day.ds not in found]


def _not_found_since(reference: Block, found: Collection[str], most: int) -> list[DayCounts]:
    """The last days, the latest first: `most` of them, none from the last one found on."""
    recent: list[DayCounts] = []
    for day in reversed(reference):
        if len(recent) >= most or day.ds in found:
            break
        recent.append(day)
    return recent
