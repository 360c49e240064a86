"""open_day: may this day run now?"""

from __future__ import annotations

from conf.errors import OrderError
from feature_store.ledger import check_order
from feature_store.raw_zone import RawZone
from feature_store.step import StepContext, StepResult


def run(context: StepContext) -> StepResult:
    """Passes when the day's raw events are complete and every earlier day with data is closed.

    A day that is closed itself passes too: running it again is the caller's decision.

    Raises:
        OrderError: raw events are not complete, or an earlier day is open.
        SourceError: there is no raw zone.
    """
    zone = RawZone(context.settings.path(context.settings.raw))
    incomplete = [ds for ds in context.days if not zone.is_complete(ds)]
    if incomplete:
        folder = zone.folder("events", incomplete[0])
        raise OrderError(
            f"{context.ds} cannot run: the raw events of {len(incomplete)} day(s) are not "
            f"complete, the first is {incomplete[0]}: expected {folder / '_SUCCESS'}. "
            f"Next: write the day's files, then `touch {folder / '_SUCCESS'}` (a day without "
            f"files is an empty day)."
        )
    check_order(context.lake, zone.complete_days(), context.days[0])
    files = sum(len(zone.files("events", ds)) for ds in context.days)
    return StepResult(f"{len(context.days)} day(s) complete, {files} event file(s)")
