"""Building a day again together with every later day: what that means, and opening them for it."""

from __future__ import annotations

from conf.errors import OrderError
from dayfold.workplace import Workplace
from feature_store.ledger import (
    begun_days,
    built_after,
    check_order,
    closed_days,
    reopen_days,
)
from feature_store.locks import erasing
from feature_store.raw_files import changed_since_read
from feature_store.rebuild import Rebuild, plan_rebuild, require_no_history


def rebuild_from(workplace: Workplace, first: str, last: str) -> Rebuild:
    """What building `first` again, and running up to `last`, means; nothing is changed yet.

    Raises:
        OrderError: a day before `first` is open, or the raw events of a day that must be run are
            not complete.
    """
    lake, zone = workplace.lake(), workplace.raw_zone()
    closed, complete = closed_days(lake), zone.complete_days()
    check_order(lake, complete, first)
    rebuild = plan_rebuild(first, last, closed=closed, begun=begun_days(lake), complete=complete)
    gone = [ds for ds in rebuild.reopened if ds != first and not zone.is_complete(ds)]
    if gone:
        raise OrderError(
            f"{first} cannot be rebuilt: {len(gone)} later day(s) must be rebuilt with it, and "
            f"their raw events are not there, the first is {gone[0]}: expected "
            f"{zone.folder('events', gone[0]) / '_SUCCESS'}. Nothing was changed. Next: bring back "
            "the files of these days, then run the same command again."
        )
    zone.require_complete(rebuild.days)
    return rebuild


def open_for_rebuild(workplace: Workplace, rebuild: Rebuild, step: str) -> None:
    """Make the closed days of `rebuild` open days again.

    Args:
        workplace: settings and dataset.
        rebuild: see `rebuild_from`.
        step: what the commits say of their origin.

    Raises:
        ConcurrentWrite: a step is at work.
    """
    lake = workplace.lake()
    with erasing(lake.root):
        reopen_days(lake, rebuild.days, {"step": step, "ds": rebuild.days[0]})


def withdraw_waiver(workplace: Workplace, ds: str) -> bool:
    """Open `ds` again if it is waived and nothing was built after it; whether it was so."""
    lake = workplace.lake()
    closed = closed_days(lake)
    if ds not in closed or closed[ds].state != "waived" or built_after(closed, ds):
        return False
    with erasing(lake.root):
        reopen_days(lake, [ds], {"step": "day reopen", "ds": ds})
    return True


def require_daily(workplace: Workplace, rebuild: Rebuild) -> None:
    """Pass if all of `rebuild` can be run day by day.

    Raises:
        OrderError: there is history among it.
    """
    require_no_history(closed_days(workplace.lake()), rebuild)


def intentions(workplace: Workplace, rebuild: Rebuild) -> list[str]:
    """What is said before anything is changed, a line each."""
    days, reopened = rebuild.days, rebuild.reopened
    lines = [f"Rebuilds {len(days)} day(s), {days[0]} to {days[-1]}: {_opened(reopened)}"]
    if rebuild.waived:
        lines.append(
            f"{len(rebuild.waived)} waived day(s) stay waived: {', '.join(rebuild.waived)}. One "
            f"that has come meanwhile: `dayfold day reopen {rebuild.waived[0]}` first"
        )
    lake, zone = workplace.lake(), workplace.raw_zone()
    if changed := changed_since_read(lake, zone, rebuild.days[1:]):
        few = ", ".join(changed[:3])
        lines.append(f"Takes in {len(changed)} changed raw file(s) of later days too: {few}")
    return lines


def _opened(reopened: tuple[str, ...]) -> str:
    if not reopened:
        return "none of them is closed"
    return f"{len(reopened)} closed one(s) become open, until each is published again"
