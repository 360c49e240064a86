"""Simulated days decided one after the other, each by the days before it and what they decided."""

from __future__ import annotations

from collections.abc import Sequence

from conf.drift import DriftSettings
from feature_store.days import gap, shift
from training.drift.day_counts import DayCounts
from training.drift.decision import decide
from training.drift.outcome import DriftDecision, History, PastDecision
from training.drift.past import past_of

BY_DEFAULT = DriftSettings()


def decided(
    known: Sequence[DayCounts],
    last_training: str | None,
    past: Sequence[PastDecision] = (),
    drift: DriftSettings = BY_DEFAULT,
    *,
    trained_to: str = "",
    sampled: bool = False,
) -> DriftDecision:
    """The decision of the last of `known`, by those before it and what they decided.

    What serves was trained up to `trained_to`; empty = two days before.
    """
    *before, today = known
    near = tuple(day for day in before if gap(day.ds, today.ds) <= drift.reference_days)
    decisions = tuple(one for one in past if gap(one.ds, today.ds) <= drift.reference_days)
    history = History(near, True, trained_to or shift(today.ds, -2), last_training, decisions)
    return decide(today.ds, today, history, drift, sampled=sampled)


def decided_in_turn(
    days: Sequence[DayCounts],
    first: int,
    drift: DriftSettings = BY_DEFAULT,
    *,
    learns: bool = True,
    sampled: bool = False,
) -> list[DriftDecision]:
    """The decisions of `days` from number `first` on.

    What serves was trained up to two days before; unless it `learns`, before the first.
    """
    past: list[PastDecision] = []
    found: list[DriftDecision] = []
    last, trained_to = shift(days[first].ds, -1), "" if learns else shift(days[first].ds, -2)
    for number in range(first, len(days)):
        known = days[: number + 1]
        found.append(decided(known, last, past, drift, trained_to=trained_to, sampled=sampled))
        past.append(past_of(known[-1].ds, found[-1]))
        last = known[-1].ds if found[-1].train else last
    return found
