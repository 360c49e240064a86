"""A human's word on the version that waits: what an approval, or a rejection, changes."""

from __future__ import annotations

from conf.errors import MissingPartition, OrderError
from feature_store.champion import Standing, standing_after, standing_before, waiting_now
from feature_store.lake import Lake
from feature_store.promotion_ledger import PromotionEvent
from training.registry.registry import Registry
from training.registry.versions import registered_versions


def approval_event(
    lake: Lake, published: str, version: int, *, reason: str, actor: str
) -> PromotionEvent:
    """Making the version that waits the champion, from the day that was published last on.

    Args:
        lake: holds the ledgers.
        published: that day.
        version: which one is meant: a later one may have taken its place in the meantime.
        reason: why.
        actor: who.

    Raises:
        MissingPartition: none waits.
        OrderError: another one waits, the version serves already, or its own day is not published
            yet.
    """
    proposal = _waiting(lake, published, version)
    now = standing_after(lake, published)
    return PromotionEvent(
        ds=published,
        kind="approval",
        version=version,
        scorer=proposal.scorer,
        replaced_version=now.version if now else 0,
        # families whose heads have moved since keep them
        heads=now.heads if now else proposal.heads,
        reason=reason,
        actor=actor,
        day=proposal.ds,
    )


def rejection_event(
    lake: Lake, registry: Registry, published: str, version: int, *, reason: str, actor: str
) -> PromotionEvent:
    """Blocking the version that waits, and what was trained from it; its family starts before it.

    Args:
        lake: holds the ledgers.
        registry: of the dataset.
        published: the day that was published last.
        version: which one is meant.
        reason: why.
        actor: who.

    Raises:
        MissingPartition: none waits.
        OrderError: another one waits, the version serves already, or its own day is not published
            yet.
    """
    proposal = _waiting(lake, published, version)
    now = standing_after(lake, published)
    return PromotionEvent(
        ds=published,
        kind="rejection",
        version=now.version if now else 0,
        scorer=now.scorer if now else "",
        replaced_version=0,
        heads=_heads_without(lake, now, proposal),
        reason=reason,
        actor=actor,
        versions=tuple(sorted(_descendants(lake, registry, proposal))),
    )


def _waiting(lake: Lake, published: str, version: int) -> PromotionEvent:
    now = standing_after(lake, published)
    if now is not None and now.version == version:
        raise OrderError(
            f"Version {version} serves already: it does not wait. Next: dayfold history"
        )
    proposal = waiting_now(lake)
    if proposal is None:
        raise MissingPartition(
            f"Version {version} does not wait for approval: none does. Next: dayfold history"
        )
    if proposal.version != version:
        raise OrderError(
            f"Version {version} does not wait for approval: version {proposal.version} of "
            f"{proposal.ds} does. Next: dayfold history"
        )
    if proposal.ds > published:
        raise OrderError(
            f"Version {version} is of {proposal.ds}, which is not published yet. Next: wait for "
            "the end of that day (dayfold status), then the same command again."
        )
    return proposal


def _heads_without(lake: Lake, now: Standing | None, proposal: PromotionEvent) -> dict[str, int]:
    """The heads of now; the proposal's family has the one with which the proposal's day began."""
    heads = dict(now.heads) if now else {}
    began = standing_before(lake, proposal.ds)
    heads.pop(proposal.scorer, None)
    if began is not None and proposal.scorer in began.heads:
        heads[proposal.scorer] = began.heads[proposal.scorer]
    return heads


def _descendants(lake: Lake, registry: Registry, proposal: PromotionEvent) -> set[int]:
    """The version that waits and those of its family since: each starts from the one before."""
    return {proposal.version} | {
        one.version
        for one in registered_versions(registry, lake.id)
        if one.tags.get("scorer") == proposal.scorer and one.tags.get("ds", "") > proposal.ds
    }
