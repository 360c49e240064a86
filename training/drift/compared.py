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
    """Whose labels drifted, or of what ended: neither tested again nor part of what is usual."""
    levels: tuple[str, ...] = ()
    """First day of each change that became usual and has not ended, in order."""

    @property
    def usual_since(self) -> str:
        """The last of them: what was before it is not usual; empty = all days are."""
        return self.levels[-1] if self.levels else ""

    def without(self, level: str, today: str) -> Found:
        """The same where what became usual with `level`, and what did after it, ends `today`."""
        over = days_between(level, shift(today, -1))
        return Found(self.days | set(over), tuple(one for one in self.levels if one < level))

    def with_level(self, level: str, today: str) -> Found:
        """The same where days from `level` to `today` become usual, and those before it are not."""
        return Found(self.days - set(days_between(level, today)), (*self.levels, level))


def found_by(past: Sequence[PastDecision]) -> Found:
    """What earlier days found: each day of a pool that drifted is found with it.

    A change that trainings met in vain is how the world is: with the day that says so its days
    become usual. Two levels are never usual at once: a change on top of it would hide between
    them. Where it ends, its days are usual no more, and those before it are again.
    """
    found = Found()
    for one in past:
        if one.ended:
            found = found.without(one.ended, one.since)
        if one.usual_since:
            found = found.with_level(one.usual_since, one.ds)
        elif one.labels_drifted:
            found = replace(found, days=found.days | set(days_between(one.since, one.ds)))
    return found


def pooled_days(
    today: DayCounts,
    days: Block,
    drift: DriftSettings,
    found: Found,
    enough: Callable[[Block], bool],
) -> tuple[list[DayCounts], list[DayCounts]]:
    """Today with as many days before it as it takes to have `enough`; and the days before.

    A day that was found to have drifted is not tested again.
    """
    pooled, earlier = [today], list(days)
    while (
        earlier
        and not enough(pooled)
        and gap(earlier[-1].ds, today.ds) < drift.pool_days
        and earlier[-1].ds not in found.days
    ):
        pooled.append(earlier.pop())
    return pooled, earlier


Test = Callable[[Block, Block, float], DriftTest | None]


def clearest(
    test: Test, pooled: Block, reference: Block, found: Found, alpha: float
) -> DriftTest | None:
    """Of the day, and of the last WINDOW days, what says more; each at half of the level.

    What is small and stays is found by its days together before it becomes what is usual. Days
    that were found to have drifted are not tested again, and are not usual.
    """
    made = _both(test, pooled, reference, found, alpha)
    if not made:
        return None
    return replace(min(made, key=lambda one: one.p), alone=made[0].value)


def is_better(test: Test, pooled: Block, reference: Block, found: Found, alpha: float) -> bool:
    """Whether the day, or the last WINDOW days, lie as far on the other side as drift lies on its.

    Of tests of one side alone.
    """
    made = _both(test, pooled, reference, found, alpha)
    return any(1 - one.p < alpha / len(made) for one in made)


def _both(
    test: Test, pooled: Block, reference: Block, found: Found, alpha: float
) -> list[DriftTest]:
    """The test of the day, and that of the last WINDOW days; none where the day has none."""
    latest = shift(pooled[0].ds, -_APART)
    recent = _last_ones([day for day in reference if day.ds >= latest], found, WINDOW - len(pooled))
    before = usual(reference[: len(reference) - len(recent)], found)
    windows = [(pooled, usual(reference, found))]
    if recent and len(before) >= FEWEST_DAYS * WINDOW:
        windows.append(([*pooled, *recent], before))
    made = [test(days, others, alpha / len(windows)) for days, others in windows]
    return [] if made[0] is None else [one for one in made if one is not None]


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
