"""Going back in one command: the standing, the aliases, the lists, and what is blocked since."""

from __future__ import annotations

from conf.errors import ConfigError, MissingPartition
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
from feature_store.ledger import closed_days
from feature_store.locks import changing_what_serves
from feature_store.promotion_ledger import (
    PromotionEvent,
    begun,
    blocked_now,
    unfinished,
    write_event,
)
from feature_store.rebuild import way_of_history


def roll_back(
    workplace: Workplace, *, to: int | None, day: str | None, reason: str, say: Say
) -> PromotionEvent:
    """Go back, block what was bad, and publish the lists of the last published day again.

    Raises:
        ConfigError: the reason is empty, or both of `to` and `day` are given.
        MissingPartition: there is nothing to go back to, or the day was not built.
        OrderError: another change by hand has not ended, or that is blocked already.
    """
    from feature_store.champion import standing_before
    from training.registry.registry import Registry
    from training.rollback import rollback_event

    require_reason(reason)
    if to is not None and day is not None:
        raise ConfigError("--to and --day are two ways of going back: expected one of them.")
    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        require_none_unfinished(lake)
        registry = Registry(workplace.settings, lake.id)
        published = last_published(lake, workplace.dataset.name)
        event = rollback_event(
            lake, registry, published, to=to, day=day, reason=reason, actor=user_of_machine()
        )
        if event.version == event.replaced_version:
            say(f"version {event.version} ({event.scorer}) goes on serving")
            if day is not None and standing_before(lake, day) is None:
                say(
                    f"no version that served before {day} is known, so it may have learned from "
                    f"it. Next, with mended raw files: {_rebuild(lake, day)}"
                )
        else:
            moved = f"from version {event.replaced_version} to version {event.version}"
            say(f"{moved} ({event.scorer})")
        return begin(workplace, event, say)


def resume(workplace: Workplace, say: Say) -> PromotionEvent:
    """Go on with the change by hand that was begun.

    Raises:
        MissingPartition: there is none.
        OrderError: a day was published since, by what served then.
    """
    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        event = unfinished(lake)
        if event is None:
            raise MissingPartition("No rollback waits for its end. Next: dayfold history")
        return go_on(workplace, event, say)


def release(
    workplace: Workplace, *, day: str | None, version: int | None, reason: str
) -> PromotionEvent:
    """Let a blocked day, or version, be used again from the next day on.

    Raises:
        ConfigError: the reason is empty, or not exactly one of `day` and `version` is given.
        MissingPartition: that is not blocked.
        ConcurrentWrite: somebody else changes what serves.
    """
    from feature_store.champion import standing_after
    from training.registry.pool import leave_pool
    from training.registry.promotion_runs import log_event
    from training.registry.registry import Registry

    require_reason(reason)
    if (day is None) == (version is None):
        raise ConfigError("Expected one of --day D and --version V.")
    lake = workplace.existing_lake()
    with changing_what_serves(lake.root):
        _require_blocked(lake, day, version)
        published = last_published(lake, workplace.dataset.name)
        standing = standing_after(lake, published)
        event = PromotionEvent(
            ds=published,
            kind="release",
            version=standing.version if standing else 0,
            scorer=standing.scorer if standing else "",
            replaced_version=0,
            heads=standing.heads if standing else {},
            reason=reason,
            actor=user_of_machine(),
            day=day or "",
            versions=(version,) if version is not None else (),
        )
        registry = Registry(workplace.settings, lake.id)
        # of a change that was killed, or an earlier Dayfold's: released, it would come back
        leave_pool(registry, event.version, blocked_now(lake).versions)
        written = write_event(lake, begun(lake, event), "done")
        log_event(registry, written)
        return written


def has_served(workplace: Workplace, version: int) -> bool:
    """Whether a rollback can go back to `version`: it has served."""
    from training.rollback import reigns

    lake = workplace.existing_lake()
    served = reigns(lake, last_published(lake, workplace.dataset.name))
    return version in {reign.standing.version for reign in served}


def _rebuild(lake: Lake, day: str) -> str:
    """The commands that build `day` again, and those after it."""
    closed = closed_days(lake)
    if any(row.state == "history" for ds, row in closed.items() if ds >= day):
        return way_of_history(closed, day)
    return f"`dayfold run --from {day} --to {day} --cascade`"


def _require_blocked(lake: Lake, day: str | None, version: int | None) -> None:
    blocked = blocked_now(lake)
    if day not in {None, *blocked.days} or version not in {None, *blocked.versions}:
        what = day or f"version {version}"
        there = [*sorted(blocked.days), *(f"version {v}" for v in sorted(blocked.versions))]
        raise MissingPartition(
            f"{what} is not blocked; blocked are: {', '.join(there) or 'none'}. Next: "
            "dayfold history"
        )
