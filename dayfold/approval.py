"""A human's word on the version that waits (`promotion.approval: required`)."""

from __future__ import annotations

from dayfold.by_hand import (
    Say,
    begin,
    go_on,
    last_published,
    require_none_unfinished,
    require_reason,
    user_of_machine,
)
from dayfold.workplace import Workplace
from feature_store.lake import Lake
from feature_store.locks import changing_what_serves
from feature_store.promotion_ledger import (
    PromotionEvent,
    all_events,
    blocked_now,
    unfinished,
)


def approve(
    workplace: Workplace, version: int, *, reason: str, say: Say, actor: str = ""
) -> PromotionEvent:
    """Make the version that waits the champion, and publish the last day's lists again by it.

    Killed anywhere, the same call goes on with it; done, it changes nothing.

    Raises:
        ConfigError: the reason is empty.
        MissingPartition: none waits.
        OrderError: another version waits, the version's day is not published yet, or another
            change by hand has not ended.
    """
    from feature_store.champion import standing_after
    from training.approval import approval_event

    require_reason(reason)
    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        started = unfinished(lake)
        if started is not None and started.kind == "approval" and started.version == version:
            return go_on(workplace, started, say)
        require_none_unfinished(lake)
        published = last_published(lake, workplace.dataset.name)
        standing = standing_after(lake, published)
        done = _last(lake, "approval")
        if done and done.version == version and standing and standing.version == version:
            say(f"version {version} serves already, approved by {done.actor}")
            return done
        event = approval_event(
            lake, published, version, reason=reason, actor=actor or user_of_machine()
        )
        return begin(workplace, event, say)


def reject(
    workplace: Workplace, version: int, *, reason: str, say: Say, actor: str = ""
) -> PromotionEvent:
    """Block the version that waits; its family's next training starts from its parent.

    Killed anywhere, the same call goes on with it; done, it changes nothing.

    Raises:
        ConfigError: the reason is empty.
        MissingPartition: none waits.
        OrderError: another version waits, the version's day is not published yet, or another
            change by hand has not ended.
    """
    from training.approval import rejection_event
    from training.registry.registry import Registry

    require_reason(reason)
    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        started = unfinished(lake)
        if started is not None and started.kind == "rejection" and version in started.versions:
            return go_on(workplace, started, say)
        require_none_unfinished(lake)
        done = _last(lake, "rejection")
        if done and version in done.versions and version in blocked_now(lake).versions:
            say(f"version {version} was rejected already, by {done.actor}")
            return done
        event = rejection_event(
            lake,
            Registry(workplace.settings, lake.id),
            last_published(lake, workplace.dataset.name),
            version,
            reason=reason,
            actor=actor or user_of_machine(),
        )
        return begin(workplace, event, say)


def _last(lake: Lake, kind: str) -> PromotionEvent | None:
    """The last event of `kind` that holds; None without."""
    found = [event for event in all_events(lake) if event.kind == kind and event.holds]
    return found[-1] if found else None
