"""The ledger of promotions: what changed what serves, in order, and what is blocked since.

A day's own promotion is a row of `promotions` too, which a day that is run again replaces; rows of
the ledger stay. What was done by hand (a rollback, an approval, a rejection, a release) stands in
the ledger alone, and holds after the day that was published last when it was done.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from conf.lineage import digest
from feature_store.lake import Lake
from feature_store.tables import PROMOTION_LEDGER

Kind = Literal["promotion", "proposal", "approval", "rejection", "rollback", "release"]
State = Literal["intent", "decided", "done", "withdrawn"]
ALWAYS = "9999-12-31"
"""The day up to which everything is."""
_HOLDS = frozenset({"decided", "done"})
BY_HAND = frozenset({"approval", "rejection", "rollback"})
_BLOCKING = frozenset({"rollback", "rejection", "release"})
BY_A_DAY = frozenset({"promotion", "proposal"})
KINDS = BY_HAND | _BLOCKING | BY_A_DAY


@dataclass(frozen=True)
class PromotionEvent:
    """One row of the ledger."""

    ds: str
    kind: Kind
    version: int
    scorer: str
    replaced_version: int
    heads: Mapping[str, int]
    reason: str
    actor: str
    day: str = ""
    versions: tuple[int, ...] = ()
    state: State = "intent"
    number: int = 0
    at: datetime = datetime.min

    @property
    def name(self) -> str:
        """The same for the same thing done again after the same events."""
        said = {"ds": self.ds, "kind": self.kind, "version": self.version, "day": self.day}
        said |= {"replaced": self.replaced_version, "heads": dict(self.heads)}
        again = {} if self.kind in BY_A_DAY else {"number": self.number}
        return digest({**said, "versions": list(self.versions), **again})[:16]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The day and the versions that it blocks or releases; an approval's day is its gate's."""
        day = () if self.kind == "approval" or not self.day else (self.day,)
        return (*day, *(f"v{version}" for version in self.versions))

    @property
    def holds(self) -> bool:
        """Whether steps go by it: it was decided."""
        return self.state in _HOLDS

    @property
    def by_hand(self) -> bool:
        """Whether it says by hand what serves, or what the next trainings start from."""
        return self.kind in BY_HAND


@dataclass(frozen=True)
class Blocked:
    """What may not be used until it is released."""

    days: frozenset[str] = frozenset()
    """Left out of every training."""
    versions: frozenset[int] = frozenset()
    """Never what serves."""

    def days_within(self, first: str, last: str) -> list[str]:
        """The days that a training from `first` to `last` left out, in order."""
        return sorted(day for day in self.days if first <= day <= last)

    def span(self, first: str, last: str) -> str:
        """`first` to `last` in words, and which days of it a training left out."""
        said = first if first == last else f"{first} to {last}"
        left_out = self.days_within(first, last)
        return f"{said} without the blocked {', '.join(left_out)}" if left_out else said


def events_until(
    lake: Lake, ds: str, kinds: Collection[str] | None = None, since: str = ""
) -> list[PromotionEvent]:
    """The events that hold after `ds` or an earlier day, begun ones too, in their order.

    Args:
        lake: where the ledger is.
        ds: the day.
        kinds: which ones; None = all. Files of other kinds are not opened.
        since: the first day; empty = from the beginning.
    """
    days = [day for day in lake.days(PROMOTION_LEDGER) if since <= day <= ds]
    where = None if kinds is None else pc.field("kind").isin(sorted(kinds))
    rows = lake.read(PROMOTION_LEDGER, days, where=where).to_pylist() if days else []
    found = [
        PromotionEvent(
            ds=row["ds"],
            kind=row["kind"],
            version=row["version"],
            scorer=row["scorer"],
            replaced_version=row["replaced_version"],
            heads=json.loads(row["heads"]),
            reason=row["reason"],
            actor=row["actor"],
            day=row["day"],
            versions=tuple(row["versions"]),
            state=row["state"],
            number=row["number"],
            at=row["at"],
        )
        for row in rows
    ]
    return sorted(found, key=lambda event: event.number)


def all_events(lake: Lake) -> list[PromotionEvent]:
    """Every event, in the order in which they were begun."""
    return events_until(lake, ALWAYS)


def begun(lake: Lake, event: PromotionEvent) -> PromotionEvent:
    """`event` with a number above all others', and the time of now; no event is opened for it.

    The last event may be of any day: an early one that is run again notes its own last. So the
    number is the version of the table that this event's first write makes: each event was one
    commit or more, so none has a number above the version that holds it. Where an event's state
    was written several times, numbers are left out.
    """
    unwritten = 0  # a table that was created is at version 0
    version = max(lake.version(PROMOTION_LEDGER), unwritten)
    return replace(event, number=version + 1, at=datetime.now(UTC))


def write_event(lake: Lake, event: PromotionEvent, state: State) -> PromotionEvent:
    """Write the event's row, or its next state."""
    written = replace(event, state=state)
    row = {
        "ds": written.ds,
        "event": written.name,
        "number": written.number,
        "kind": written.kind,
        "state": state,
        "at": written.at,
        "version": written.version,
        "scorer": written.scorer,
        "replaced_version": written.replaced_version,
        "heads": json.dumps(dict(written.heads), sort_keys=True),
        "day": written.day,
        "versions": list(written.versions),
        "reason": written.reason,
        "actor": written.actor,
    }
    content = pa.Table.from_pylist([row], lake.schema(PROMOTION_LEDGER))
    partition = {"ds": written.ds, "kind": written.kind, "event": written.name}
    lake.replace(PROMOTION_LEDGER, partition, content, {"step": written.kind, "ds": written.ds})
    return written


def last_by_hand(lake: Lake, ds: str) -> PromotionEvent | None:
    """The last event that was made by hand and holds after `ds`; None without."""
    events = [event for event in events_until(lake, ds, BY_HAND) if event.holds]
    return max(events, key=lambda event: (event.ds, event.number), default=None)


def last_that_moved(lake: Lake, ds: str, since: str = "") -> dict[str, PromotionEvent]:
    """By day, what was done by hand last after it and changed the champion; else what was last."""
    found: dict[str, PromotionEvent] = {}
    for event in events_until(lake, ds, BY_HAND, since=since):
        moved = event.version != event.replaced_version
        if event.holds and (moved or event.ds not in found):
            found[event.ds] = event
    return found


def unfinished(lake: Lake) -> PromotionEvent | None:
    """What was begun by hand and has not ended; None without."""
    by_hand = events_until(lake, ALWAYS, BY_HAND)
    open_ = [event for event in by_hand if event.state in {"intent", "decided"}]
    return open_[-1] if open_ else None


def waiting(events: Sequence[PromotionEvent]) -> PromotionEvent | None:
    """The proposal that waits for approval when these events have happened, in whatever order.

    The last decision of the last day counts: a later day's takes its place, and an earlier one's
    that is run again does not. What was done by hand ends what was decided before it, and holds
    against a day up to it that is run again. A blocked version does not wait. None without.
    """
    held = [event for event in events if event.holds]
    hands = [event for event in held if event.by_hand]
    decided = max((event.ds for event in hands), default="")
    number = max((event.number for event in hands), default=0)
    by_days = [
        event
        for event in held
        if event.kind in BY_A_DAY and event.ds > decided and event.number > number
    ]
    last = max(by_days, key=lambda event: (event.ds, event.number), default=None)
    if last is None or last.kind != "proposal":
        return None
    return None if last.version in blocked_after(held).versions else last


def blocked_after(events: Sequence[PromotionEvent]) -> Blocked:
    """What is blocked when these events have happened."""
    days: set[str] = set()
    versions: set[int] = set()
    for event in sorted(events, key=lambda event: event.number):
        if event.kind in {"rollback", "rejection"} and event.holds:
            days |= {event.day} - {""}
            versions |= set(event.versions)
        elif event.kind == "release" and event.holds:
            days -= {event.day}
            versions -= set(event.versions)
    return Blocked(frozenset(days), frozenset(versions))


def blocked_before(lake: Lake, ds: str) -> Blocked:
    """What was blocked when `ds` began: by what was done before it."""
    events = events_until(lake, ds, _BLOCKING)
    return blocked_after([event for event in events if event.ds < ds])


def blocked_now(lake: Lake) -> Blocked:
    """What is blocked now."""
    return blocked_after(events_until(lake, ALWAYS, _BLOCKING))
