"""What a day did to what serves, in the ledger of all changes, and in a run of its own."""

from __future__ import annotations

from feature_store.champion import Standing, waiting_now
from feature_store.lake import Lake
from feature_store.promotion_ledger import (
    BY_A_DAY,
    BY_HAND,
    Kind,
    PromotionEvent,
    begun,
    events_until,
    write_event,
)
from training.promotion.outcome import Outcome
from training.registry.promotion_runs import log_event
from training.registry.registry import Registry


def note_day(lake: Lake, registry: Registry, ds: str, outcome: Outcome) -> int:
    """Note the day's promotion or proposal, if it has one; the version of it that waits, or 0.

    The same one is in the ledger once, however often the day is run. A day that is run again and
    changes nothing takes back what it had proposed.
    """
    decided = True
    if outcome.proposed is not None:
        _note(lake, registry, ds, outcome, outcome.proposed, "proposal")
    elif outcome.promoted and outcome.after is not None:
        _note(lake, registry, ds, outcome, outcome.after, "promotion")
    else:
        decided = False
    waits = waiting_now(lake)
    if waits is None or waits.ds != ds:
        return 0
    if not decided:
        write_event(lake, waits, "withdrawn")
        return 0
    return waits.version


def _note(
    lake: Lake, registry: Registry, ds: str, outcome: Outcome, after: Standing, kind: Kind
) -> None:
    event = PromotionEvent(
        ds=ds,
        kind=kind,
        version=after.version,
        scorer=after.scorer,
        replaced_version=0 if outcome.before is None else outcome.before.version,
        heads=after.heads,
        reason=outcome.reason,
        actor="promote",
    )
    # written again where it is there, so that a day that is run again has the same checks
    noted = write_event(lake, _last_of_day(lake, event) or begun(lake, event), "done")
    log_event(registry, noted)


def _last_of_day(lake: Lake, event: PromotionEvent) -> PromotionEvent | None:
    """`event` as the ledger has it, if nothing was decided since that it comes after now."""
    of_day = events_until(lake, event.ds, BY_A_DAY, since=event.ds)
    hands = [hand for hand in events_until(lake, event.ds, BY_HAND) if hand.ds < event.ds]
    last = max([*of_day, *hands], key=lambda one: one.number, default=None)
    return last if last is not None and last.name == event.name else None
