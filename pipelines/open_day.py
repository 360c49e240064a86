"""open_day: may this day run now?"""

from __future__ import annotations

from collections.abc import Iterator

from conf.errors import OrderError
from feature_store.days import days_between, shift
from feature_store.ledger import (
    begin_later_days_anew,
    built_after,
    check_order,
    closed_days,
    reopen_day,
)
from feature_store.raw_files import changed_since_read, fingerprints
from feature_store.raw_zone import RawZone
from feature_store.rebuild import require_same_inputs, way_of_history
from feature_store.step import StepContext, StepResult

LOOKED_BACK_DAYS = 7
"""Days before this one whose raw files are looked at for changes."""


def run(context: StepContext) -> StepResult:
    """Passes when the day is complete, earlier days are closed and later ones do not contradict it.

    A day that is closed itself is open from here on, until it is published again: should this run
    end halfway, the days after it wait. Later days that are open begin anew: what they have begun
    with follows from this day.

    Raises:
        OrderError: raw events are not complete, an earlier day is open, later days were built
            without this one or on other raw files of it, or it was built in bulk.
        SourceError: there is no raw zone.
    """
    lake, days = context.lake, context.days
    zone = RawZone(context.settings.path(context.settings.raw))
    zone.require_complete(days)
    check_order(lake, zone.complete_days(), days[0])
    _require_unchanged(context, zone)
    begin_later_days_anew(lake, days[-1], {"step": "open_day", "ds": days[-1]})
    for ds in days:
        reopen_day(lake, ds, {"step": "open_day", "ds": ds})
    files = sum(len(zone.files("events", ds)) for ds in days)
    summary = f"{len(days)} day(s) complete, {files} event file(s)"
    return StepResult(summary, warnings=tuple(_warnings(context, zone)))


def _require_unchanged(context: StepContext, zone: RawZone) -> None:
    closed = closed_days(context.lake)
    for ds in context.days:
        if ds in closed and closed[ds].state == "history":
            raise OrderError(
                f"{ds} is history, built in bulk: by itself it would train and publish, which no "
                f"day of a history does. Next: to build it again, {way_of_history(closed, ds)}."
            )
        # Hashes are made only where there is something to lose.
        if built_after(closed, ds):
            require_same_inputs(context.lake, ds, fingerprints(zone, ds))


def _warnings(context: StepContext, zone: RawZone) -> Iterator[tuple[str, str]]:
    for ds in context.days:
        if streams := zone.missing_folders(ds):
            yield ds, f"no folder of {', '.join(streams)}: taken as empty"
    for ds in context.days:
        if unread := zone.unread(ds):
            said = f"{len(unread)} file(s) are not read: {', '.join(unread[:3])}"
            yield ds, f"{said}; data files are named part-*"
    first = context.days[0]
    earlier = days_between(shift(first, -LOOKED_BACK_DAYS), shift(first, -1))
    if changed := changed_since_read(context.lake, zone, list(earlier)):
        said = (
            f"{len(changed)} raw file(s) of earlier days changed after they were read, "
            f"and these days did not see it: {', '.join(changed[:3])}. To take it in, from the "
            "first such day D on: `dayfold run --from D --to D --cascade`"
        )
        yield first, said
