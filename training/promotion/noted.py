"""A day's promotion in the ledger of all changes of what serves, and in a run of its own."""

from __future__ import annotations

from feature_store.lake import Lake
from feature_store.promotion_ledger import PromotionEvent, all_events, begun, write_event
from training.registry.champion import Standing
from training.registry.promotion_runs import log_event
from training.registry.registry import Registry


def note_promotion(
    lake: Lake, registry: Registry, ds: str, before: Standing | None, after: Standing, reason: str
) -> None:
    """Put the promotion into the ledger; the same one is there once, however often it is run."""
    event = PromotionEvent(
        ds=ds,
        kind="promotion",
        version=after.version,
        scorer=after.scorer,
        replaced_version=0 if before is None else before.version,
        heads=after.heads,
        reason=reason,
        actor="promote",
    )
    known = {one.name: one for one in all_events(lake)}
    noted = known.get(event.name) or write_event(lake, begun(lake, event), "done")
    log_event(registry, noted)
