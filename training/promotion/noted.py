"""What a day did to what serves, in the ledger of all changes, and in a run of its own."""

from __future__ import annotations

from feature_store.champion import Standing
from feature_store.lake import Lake
from feature_store.promotion_ledger import (
    Kind,
    PromotionEvent,
    all_events,
    begun,
    waiting,
    write_event,
)
from training.promotion.outcome import Outcome
from training.registry.promotion_runs import log_event
from training.registry.registry import Registry


def note_day(lake: Lake, registry: Registry, ds: str, outcome: Outcome) -> int:
    """Note the day's promotion or proposal, if it has one; the version of it that waits, or 0.

    The same one is in the ledger once, however often the day is run.
    """
    if outcome.proposed is not None:
        _note(lake, registry, ds, outcome, outcome.proposed, "proposal")
    elif outcome.promoted and outcome.after is not None:
        _note(lake, registry, ds, outcome, outcome.after, "promotion")
    waits = waiting(all_events(lake))
    return waits.version if waits is not None and waits.ds == ds else 0


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
    known = {one.name: one for one in all_events(lake)}
    # written again where it is there, so that a day that is run again has the same checks
    noted = write_event(lake, known.get(event.name) or begun(lake, event), "done")
    log_event(registry, noted)
