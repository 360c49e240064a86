"""What serves, changed by hand: begun, decided, lists made again, ended; or gone on with."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING

from conf.errors import ConfigError, MissingPartition, OrderError
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.promotion_ledger import (
    PromotionEvent,
    begun,
    blocked_now,
    events_until,
    unfinished,
    waiting,
    write_event,
)
from feature_store.step import StepContext
from feature_store.tables import PROMOTIONS

if TYPE_CHECKING:
    from training.registry.registry import Registry

Say = Callable[[str], None]


def begin(workplace: Workplace, event: PromotionEvent, say: Say) -> PromotionEvent:
    """Write the intent of `event`, then do all that it means.

    The caller holds the lock `changing_what_serves`.

    Raises:
        OrderError: a later day was promoted, and is not published yet.
    """
    lake = workplace.lake()
    require_no_day_promoted_since(lake, event)
    return finish(workplace, write_event(lake, begun(lake, event), "intent"), say)


def go_on(workplace: Workplace, event: PromotionEvent, say: Say) -> PromotionEvent:
    """Go on with `event`, which was begun and has not ended.

    Raises:
        OrderError: a day was published since, by what served then: it is withdrawn. Or one was
            promoted since, and is not published yet.
    """
    lake = workplace.lake()
    last = last_published(lake, workplace.dataset.name)
    if event.state == "intent" and last != event.ds:
        write_event(lake, event, "withdrawn")
        raise OrderError(
            f"The {event.kind} was begun after {event.ds}, and {last} was published since by what "
            f"served then: it is withdrawn. Next: the {event.kind} again, after dayfold history"
        )
    if event.state == "intent":
        require_no_day_promoted_since(lake, event)
    say(f"going on with the {event.kind} that was begun ({event.reason})")
    return finish(workplace, event, say)


def finish(workplace: Workplace, event: PromotionEvent, say: Say) -> PromotionEvent:
    """Decide `event`, then make the lists of the last published day again if they change."""
    from training.by_hand import decide_by_hand
    from training.registry.promotion_runs import log_answer, log_event
    from training.registry.registry import Registry

    lake = workplace.lake()
    registry = Registry(workplace.settings, lake.id)
    if not event.holds:
        context = StepContext((event.ds,), lake, workplace.dataset, workplace.settings)
        decide_by_hand(context, registry, event)
        if event.version:
            say(f"version {event.version} is the champion; parents {dict(event.heads)}")
    log_event(registry, event)
    before = [one for one in events_until(lake, event.ds) if one.number < event.number]
    if (proposal := waiting(before)) is not None:
        log_answer(registry, proposal, event)
    if event.kind != "rejection":
        _leave_pool(lake, registry, event, say)
    # a later day would have published by what serves now
    if _changes_lists(registry, event) and last_published(lake, workplace.dataset.name) == event.ds:
        for step in ("recommend", "publish"):
            say(f"{step} {event.ds}: {run_step(workplace, step, [event.ds]).summary}")
    if event.kind == "rejection":  # before, the tag says that there are lists to make
        _leave_pool(lake, registry, event, say)
    return write_event(lake, event, "done")


def _leave_pool(lake: Lake, registry: Registry, event: PromotionEvent, say: Say) -> None:
    """Take what is blocked out of the pool's tag; killed before, it is out of what serves."""
    from training.registry.pool import leave_pool

    replaced = event.replaced_version if event.kind == "rollback" else 0
    went = leave_pool(registry, event.version, blocked_now(lake).versions, replaced)
    if went:
        say(went)


def _changes_lists(registry: Registry, event: PromotionEvent) -> bool:
    """Whether lists and release are others after `event`: a rejection leaves the champion.

    Unless what was rejected has a share of the pool.
    """
    from training.registry.pool import named_in_pool

    if event.kind != "rejection":
        return True
    return bool(event.version) and bool(named_in_pool(registry) & set(event.versions))


def require_no_day_promoted_since(lake: Lake, event: PromotionEvent) -> None:
    """Pass if no later day waits between its steps promote and publish.

    It would be published by what its promotion made of what served before `event`.

    Raises:
        OrderError: one does.
    """
    later = sorted(day for day in lake.days(PROMOTIONS) if day > event.ds)
    if later:
        raise OrderError(
            f"{later[0]} was promoted and is not published yet: {_article(event.kind).lower()} "
            f"{event.kind} after {event.ds} would not hold on it. Next: wait for the day's end "
            f"(dayfold status), or dayfold run --from {later[0]} --to {later[0]}; then the same "
            "command again"
        )


def require_none_unfinished(lake: Lake) -> None:
    """Pass if nothing that was begun by hand waits for its end.

    Raises:
        OrderError: something does.
    """
    event = unfinished(lake)
    if event is not None:
        raise OrderError(
            f"{_article(event.kind)} {event.kind} was begun and has not ended. Next: "
            f"{go_on_command(event)}"
        )


def go_on_command(event: PromotionEvent) -> str:
    """What to type to go on with `event`."""
    if event.kind == "approval":
        return f"dayfold approve {event.version} --reason WHY"
    if event.kind == "rejection":
        return f"dayfold reject {event.versions[0]} --reason WHY"
    return "dayfold rollback --resume"


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
        raise ConfigError(
            "--reason is empty: say why, it is kept in the ledger and in MLflow. Next: the same "
            'with --reason "WHY"'
        )


def user_of_machine() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _article(kind: str) -> str:
    return "An" if kind[0] in "aeiou" else "A"
