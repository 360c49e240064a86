"""Which version served on a day: read from the ledgers of promotions, never from an alias."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import (
    ALWAYS,
    BY_HAND,
    KINDS,
    PromotionEvent,
    events_until,
    last_by_hand,
    waiting,
)
from feature_store.tables import PROMOTIONS

_AT_ONCE = 56
"""Days of promotions that are read at a time, from the last one back."""


@dataclass(frozen=True)
class Standing:
    """What serves and what the next candidates start from."""

    version: int
    """Registered version of the champion."""
    scorer: str
    """The scorer of its ranker."""
    heads: dict[str, int]
    """The warm-start parent of each scorer family."""


def standing_before(lake: Lake, ds: str) -> Standing | None:
    """The standing with which `ds` begins, or None while there is no champion."""
    return standing_after(lake, shift(ds, -1))


@dataclass(frozen=True)
class Succession:
    """One version taking the place of another: promoted by its day, or approved by hand."""

    ds: str
    """The day after which it began to serve."""
    version: int
    replaced: int
    """0 = there was none."""
    tested: str
    """The day of its gate: it was trained on the days before."""


def succession_to_champion(lake: Lake, ds: str, since: str = "") -> Succession | None:
    """How the champion with which `ds` begins came to serve; None while there is none.

    After a rollback that is how it had come to serve itself. None as well where that was before
    `since`, which bounds what is read.
    """
    standing = standing_before(lake, ds)
    if standing is None:
        return None
    return last_succession(lake, standing.version, shift(ds, -1), since)


def last_succession(lake: Lake, version: int, until: str, since: str = "") -> Succession | None:
    """How `version` came to serve the last time from `since` to `until`; None if it did not."""
    found = [
        Succession(event.ds, event.version, event.replaced_version, event.day)
        for event in events_until(lake, until, ("approval",), since=since)
        if event.holds and event.version == version
    ]
    last = max(found, key=lambda one: one.ds, default=None)
    days = [day for day in lake.days(PROMOTIONS) if since <= day <= until]
    # From the last day back, so that it does not cost all days that there are.
    for end in range(len(days), 0, -_AT_ONCE):
        some = days[max(end - _AT_ONCE, 0) : end]
        if last is not None and some[-1] < last.ds:
            break
        by_a_day = [one for one in _promoted(lake, some) if one.version == version]
        if by_a_day:
            return max([*by_a_day, *([last] if last else [])], key=lambda one: one.ds)
    return last


def champions_on(lake: Lake, days: Sequence[str]) -> dict[str, int]:
    """The version with which each of `days` began; a day without one is left out."""
    if not days:
        return {}
    first, last = min(days), max(days)
    between = [day for day in lake.days(PROMOTIONS) if first <= day < last]
    rows = lake.read(PROMOTIONS, between, ["ds", "champion_version", "state"]).to_pylist()
    before = standing_before(lake, first)
    # what was done by hand holds after the day's own promotion
    done = sorted(
        [("", 0, before.version if before else 0)]
        + [(row["ds"], 0, row["champion_version"]) for row in rows if row["state"] == "done"]
        + [
            (event.ds, event.number, event.version)
            for event in events_until(lake, last, BY_HAND)
            if event.holds and first <= event.ds
        ]
    )
    began = {day: next(v for ds, _, v in reversed(done) if ds < day) for day in days}
    return {day: version for day, version in began.items() if version}


def standing_after(lake: Lake, ds: str) -> Standing | None:
    """The standing after the last finished promotion, or change by hand, up to `ds`, or None.

    A promotion that was begun and never finished (state `intent`) does not count: its day was
    never published. A change by hand holds after the day that was published last when it was made.
    """
    by_hand = last_by_hand(lake, ds)
    for day in reversed([day for day in lake.days(PROMOTIONS) if day <= ds]):
        if by_hand is not None and by_hand.ds >= day:
            return _by_hand(by_hand)
        row = lake.read(PROMOTIONS, [day]).to_pylist()[0]
        if row["state"] == "done":
            return _by_the_day(row)
    return None


def standings_until(lake: Lake, ds: str) -> list[tuple[str, Standing | None]]:
    """Every standing up to `ds` with its day, in order: the day's own, then those by hand.

    So the last one of a day is the standing after it, and those before it ended on the day.
    """
    days = [day for day in lake.days(PROMOTIONS) if day <= ds]
    done = [
        (row["ds"], 0, _by_the_day(row))
        for row in lake.read(PROMOTIONS, days).to_pylist()
        if row["state"] == "done"
    ] + [
        (event.ds, event.number, _by_hand(event))
        for event in events_until(lake, ds, BY_HAND)
        if event.holds
    ]
    ordered = sorted(done, key=lambda one: one[:2])
    return [(day, standing) for day, _, standing in ordered]


def waiting_now(lake: Lake) -> PromotionEvent | None:
    """The proposal that waits for approval; what serves already does not. None without."""
    # A promotion only ends a wait: those before the proposal's day need not be opened.
    others = events_until(lake, ALWAYS, KINDS - {"promotion"})
    proposal = waiting(others)
    if proposal is None:
        return None
    since = events_until(lake, ALWAYS, {"promotion"}, since=proposal.ds)
    serves = standing_after(lake, ALWAYS)
    if serves is not None and serves.version == proposal.version:
        return None
    return waiting([*others, *since])


def _by_the_day(row: Mapping[str, Any]) -> Standing | None:
    """What a row of `promotions` says."""
    if not row["champion_version"]:
        return None
    return Standing(int(row["champion_version"]), row["champion_scorer"], json.loads(row["heads"]))


def _by_hand(event: PromotionEvent) -> Standing | None:
    if not event.version:
        return None  # the first candidate was rejected
    return Standing(event.version, event.scorer, dict(event.heads))


def _promoted(lake: Lake, days: list[str]) -> list[Succession]:
    """The successions by these days' own promotions."""
    columns = ["ds", "promoted", "state", "previous_version", "champion_version"]
    return [
        Succession(row["ds"], row["champion_version"], row["previous_version"], row["ds"])
        for row in lake.read(PROMOTIONS, days, columns).to_pylist()
        if row["promoted"] and row["state"] == "done"
    ]
