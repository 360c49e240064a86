"""open_day: may this day run now?"""

from __future__ import annotations

from feature_store.days import days_between, shift
from feature_store.ledger import check_order, closed_days, reopen_day
from feature_store.raw_files import changed_since_read
from feature_store.raw_zone import RawZone
from feature_store.step import StepContext, StepResult
from feature_store.tables import EVENTS

LOOKED_BACK_DAYS = 7
"""Days before this one whose raw files are looked at for changes."""


def run(context: StepContext) -> StepResult:
    """Passes when the day's raw events are complete and every earlier day with data is closed.

    A day that is closed itself is open from here on, until it is published again: should this run
    end halfway, the days after it wait.

    Raises:
        OrderError: raw events are not complete, or an earlier day is open.
        SourceError: there is no raw zone.
    """
    zone = RawZone(context.settings.path(context.settings.raw))
    zone.require_complete(context.days)
    check_order(context.lake, zone.complete_days(), context.days[0])
    later = _built_without(context)
    for ds in context.days:
        reopen_day(context.lake, ds, {"step": "open_day", "ds": ds})
    files = sum(len(zone.files("events", ds)) for ds in context.days)
    summary = f"{len(context.days)} day(s) complete, {files} event file(s)"
    missing = {ds: zone.missing_folders(ds) for ds in context.days}
    if any(missing.values()):
        ds, streams = next((ds, streams) for ds, streams in missing.items() if streams)
        summary += f"; WARNING no folder of {', '.join(streams)} for {ds}: taken as empty"
    for ds in context.days:
        if unread := zone.unread(ds):
            summary += (
                f"; WARNING {len(unread)} file(s) of {ds} are not read: {', '.join(unread[:3])}; "
                "data files are named part-*"
            )
    first = context.days[0]
    if later:
        summary += (
            f"; WARNING {len(later)} later day(s) were built without {first}, whose events their "
            f"states lack. To take them in: `dayfold run --from {first} --to {later[-1]} --force`"
        )
    earlier = days_between(shift(first, -LOOKED_BACK_DAYS), shift(first, -1))
    changed = changed_since_read(context.lake, zone, list(earlier))
    if changed:
        summary += (
            f"; WARNING {len(changed)} raw file(s) of earlier days changed after they were read, "
            f"and these days did not see it: {', '.join(changed[:3])}. To take it in: "
            "`dayfold run --force` from that day on"
        )
    return StepResult(summary)


def _built_without(context: StepContext) -> list[str]:
    """The later days that were built while the first of these days was not there, or waived."""
    closed, ds = closed_days(context.lake), context.days[0]
    known = closed.get(ds)
    if (known is not None and known.state != "waived") or context.lake.file_uris(EVENTS, [ds]):
        return []
    return sorted(day for day in closed if day > context.days[-1] and closed[day].state != "waived")
