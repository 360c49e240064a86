"""Which days are tested, alone and together, and with which others they are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from conf.drift import DriftSettings
from feature_store.days import days_between, gap, shift
from training.drift.day_counts import Block, DayCounts
from training.drift.drift_test import FEWEST_DAYS, DriftTest
from training.drift.outcome import PastDecision

WINDOW = 3
"""Days that the tests of labels take together besides the day alone: what is small and stays."""
_APART = 7
"""Days before today of which they can be, where some days had no rows."""


@dataclass(frozen=True)
class Found:
    """What was found before today."""

    days: frozenset[str] = frozenset()
    """Whose labels drifted: neither tested again nor part of what is usual."""
    usual_since: str = ""
    """First day of the last change that became usual: what was before it no longer is."""


def found_by(past: Sequence[PastDecision]) -> Found:
    """What earlier days found: each day that was tested together with others is found with them.

    A change that trainings met in vain is how the world is: with the day that says so its days
    become usual. Two levels are never usual at once: a change on top of it would hide between them.
    """
    settled = max((n for n, one in enumerate(past) if one.usual_since), default=-1)
    days = {
        ds
        for one in past[settled + 1 :]
        if one.labels_drifted
        for ds in days_between(one.since, one.ds)
    }
    return Found(frozenset(days), past[settled].usual_since if settled >= 0 else "")


def pooled_days(
    today: DayCounts,
    days: Block,
    drift: DriftSettings,
    found: Found,
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
        and earlier[-1].ds not in found.days
    ):
        pooled.append(earlier.pop())
    return pooled, earlier


def soonest(
    test: Callable[[Block, Block, float], DriftTest | None],
    pooled: Block,
    reference: Block,
    found: Found,
    alpha: float,
) -> DriftTest | None:
    """Of the day, and of the last WINDOW days, what says more; each at half of the level.

    What is small and stays is found by its days together before it becomes what is usual. Days
    that were found to have drifted are not tested again, and are not usual.
    """
    latest = shift(pooled[0].ds, -_APART)
    recent = _last_ones([day for day in reference if day.ds >= latest], found, WINDOW - len(pooled))
    before = usual(reference[: len(reference) - len(recent)], found)
    windows = [(pooled, usual(reference, found))]
    if recent and len(before) >= FEWEST_DAYS * WINDOW:
        windows.append(([*pooled, *recent], before))
    made = [test(days, others, alpha / len(windows)) for days, others in windows]
    shown = min((one for one in made if one is not None), key=lambda one: one.p, default=None)
    alone = made[0].value if made[0] is not None else None
    return None if shown is None else replace(shown, alone=alone)


def usual(days: Block, found: Found) -> list[DayCounts]:
    """`days` but those that were found to have drifted, and those before what became usual."""
    return [day for day in days if day.ds not in found.days and day.ds >= found.usual_since]


def _last_ones(days: Block, found: Found, most: int) -> list[DayCounts]:
    """The last days, the latest first: `most` of them, none from the last one found on."""
    recent: list[DayCounts] = []
    for day in reversed(days):
        if len(recent) >= most or day.ds in found.days or day.ds < found.usual_since:
            break
        recent.append(day)
    return recent
