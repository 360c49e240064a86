"""Going back in one command: the standing, the aliases, the lists, and what is blocked since."""

from __future__ import annotations

import getpass
from collections.abc import Callable

from conf.errors import ConfigError, MissingPartition, OrderError
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.locks import changing_by_hand
from feature_store.promotion_ledger import (
    Blocked,
    PromotionEvent,
    all_events,
    begun,
    blocked_after,
    unfinished,
    write_event,
)
from feature_store.step import StepContext

Say = Callable[[str], None]
RESUME = "dayfold rollback --resume"


def roll_back(
    workplace: Workplace, *, to: int | None, day: str | None, reason: str, say: Say
) -> PromotionEvent:
    """Go back, block what was bad, and publish the lists of the last published day again.

    Raises:
        ConfigError: the reason is empty, or both of `to` and `day` are given.
        MissingPartition: there is nothing to go back to.
        OrderError: another rollback has not ended, or that is blocked already.
    """
    from training.registry.registry import Registry
    from training.rollback import rollback_event

    require_reason(reason)
    if to is not None and day is not None:
        raise ConfigError("--to and --day are two ways of going back: expected one of them.")
    lake = workplace.existing_lake()
    with changing_by_hand(lake.root):
        if unfinished(lake) is not None:
            raise OrderError(f"A rollback was begun and has not ended. Next: {RESUME}")
        registry = Registry(workplace.settings, lake.id)
        published = last_published(lake, workplace.dataset.name)
        event = rollback_event(
            lake, registry, published, to=to, day=day, reason=reason, actor=_actor()
        )
        say(f"from version {event.replaced_version} to version {event.version} ({event.scorer})")
        event = write_event(lake, begun(lake, event), "intent")
        return _finish(workplace, event, say)


def resume(workplace: Workplace, say: Say) -> PromotionEvent:
    """Go on with the rollback that was begun.

    Raises:
        MissingPartition: there is none.
        OrderError: a day was published since, by what served then.
    """
    lake = workplace.existing_lake()
    with changing_by_hand(lake.root):
        event = unfinished(lake)
        if event is None:
            raise MissingPartition("No rollback waits for its end. Next: dayfold history")
        last = last_published(lake, workplace.dataset.name)
        if event.state == "intent" and last != event.ds:
            write_event(lake, event, "withdrawn")
            raise OrderError(
                f"The rollback was begun after {event.ds}, and {last} was published since by what "
                "served then: it is withdrawn. Next: the rollback again, after dayfold history"
            )
        say(f"going on with the rollback to version {event.version} ({event.reason})")
        return _finish(workplace, event, say)


def _finish(workplace: Workplace, event: PromotionEvent, say: Say) -> PromotionEvent:
    from training.registry.promotion_runs import log_event
    from training.registry.registry import Registry
    from training.rollback import decide_rollback

    lake = workplace.lake()
    registry = Registry(workplace.settings, lake.id)
    if not event.holds:
        context = StepContext((event.ds,), lake, workplace.dataset, workplace.settings)
        decide_rollback(context, registry, event)
        say(f"version {event.version} is the champion; parents {dict(event.heads)}")
    log_event(registry, event)
    last = last_published(lake, workplace.dataset.name)
    if last == event.ds:  # else a later day has published by what serves now
        for step in ("recommend", "publish"):
            say(f"{step} {event.ds}: {run_step(workplace, step, [event.ds]).summary}")
    return write_event(lake, event, "done")


def release(
    workplace: Workplace, *, day: str | None, version: int | None, reason: str
) -> PromotionEvent:
    """Let a blocked day, or version, be used again from the next day on.

    Raises:
        ConfigError: the reason is empty, or not exactly one of `day` and `version` is given.
        MissingPartition: that is not blocked.
    """
    from training.registry.champion import standing_after
    from training.registry.promotion_runs import log_event
    from training.registry.registry import Registry

    require_reason(reason)
    if (day is None) == (version is None):
        raise ConfigError("Expected one of --day D and --version V.")
    lake = workplace.existing_lake()
    blocked = blocked_now(lake)
    if day not in {None, *blocked.days} or version not in {None, *blocked.versions}:
        what = day or f"version {version}"
        there = [*sorted(blocked.days), *(f"version {v}" for v in sorted(blocked.versions))]
        raise MissingPartition(
            f"{what} is not blocked; blocked are: {', '.join(there) or 'none'}. Next: "
            "dayfold history"
        )
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
        actor=_actor(),
        day=day or "",
        versions=(version,) if version is not None else (),
    )
    written = write_event(lake, begun(lake, event), "done")
    log_event(Registry(workplace.settings, lake.id), written)
    return written


def blocked_now(lake: Lake) -> Blocked:
    """What is blocked."""
    return blocked_after(all_events(lake))


def last_published(lake: Lake, dataset: str) -> str:
    """The last day that was published.

    Raises:
        MissingPartition: none was.
    """
    days = [ds for ds, row in closed_days(lake).items() if row.state == "published"]
    if not days:
        raise MissingPartition(
            f"No day of {dataset} is published yet. Next: dayfold status --dataset {dataset}"
        )
    return max(days)


def require_reason(reason: str) -> None:
    """Pass if there is one.

    Raises:
        ConfigError: it is empty.
    """
    if not reason.strip():
        raise ConfigError("--reason is empty: say why, it is kept in the ledger and in MLflow.")


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
