"""Days that must be built again, because a day before them came late or has other raw files.

The rule: a day's inputs change only while no later day that was built is closed. `open_day` and
`clean_events` keep it, so table `raw_files` always says what the closed days were built on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from conf.errors import OrderError
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.ledger import ClosedDay, begun_days, built_after, closed_days
from feature_store.raw_files import changed_contents


@dataclass(frozen=True)
class Rebuild:
    """What building a day again means for the days after it."""

    days: tuple[str, ...]
    """The days to run, ascending."""
    reopened: tuple[str, ...]
    """Those of them that are closed now."""
    waived: tuple[str, ...]
    """Days among them that stay waived."""


def plan_rebuild(
    first: str,
    last: str,
    *,
    closed: Mapping[str, ClosedDay],
    begun: Iterable[str],
    complete: Iterable[str],
) -> Rebuild:
    """Every day from `first` to `last`, and every later one that was built or stands between.

    Args:
        first: the day whose inputs differ; it is run even if it is waived.
        last: the last day asked for.
        closed: see `closed_days`.
        begun: see `begun_days`.
        complete: the days whose raw events are complete.
    """
    waived = {day for day, row in closed.items() if row.state == "waived" and day > first}
    built = {day for day in {*closed, *begun} if day >= first} - waived
    until = max({last, *built})
    came = {day for day in complete if first <= day <= until}
    days = sorted(({*days_between(first, last)} | built | came) - waived)
    return Rebuild(
        tuple(days),
        tuple(day for day in days if day in closed),
        tuple(sorted(day for day in waived if day <= until)),
    )


def require_no_history(closed: Mapping[str, ClosedDay], rebuild: Rebuild) -> None:
    """Pass if none of the days to rebuild was built in bulk.

    Raises:
        OrderError: one was; by itself it would train and publish, which no day of a history does.
    """
    first = rebuild.days[0]
    if any(closed[day].state == "history" for day in rebuild.reopened):
        raise OrderError(
            f"{first} cannot be rebuilt day by day: it, or days after it, are history, which is "
            f"built in bulk. Nothing was changed. Next: {way_of_history(closed, first)}."
        )


def way_of_history(closed: Mapping[str, ClosedDay], ds: str) -> str:
    """The commands that build the history, of which `ds` is a day or which follows it, again."""
    return f"`dayfold day reopen {ds}`, then {_history(closed, ds)}"


def way_on_after_opening(closed: Mapping[str, ClosedDay], rebuild: Rebuild) -> str:
    """What runs the days of `rebuild`, given what was closed before they were opened."""
    days = rebuild.days
    if any(closed[day].state == "history" for day in rebuild.reopened):
        return _history(closed, days[0])
    return (
        f"`dayfold run --from {days[0]} --to {days[-1]}`, or the same days with Airflow "
        "(docs/operations.md)"
    )


def _history(closed: Mapping[str, ClosedDay], ds: str) -> str:
    history = sorted(day for day, row in closed.items() if row.state == "history")
    following = shift(history[-1], 1)
    return (
        f"`dayfold run --history-from {min(ds, history[0])} --from {following} "
        f"--to {max(following, *closed)}`"
    )


def require_same_inputs(lake: Lake, ds: str, now: pa.Table) -> None:
    """Pass if no later day is closed, or `ds` has the raw files that those days were built on.

    Args:
        lake: ledger and table `raw_files`.
        ds: a day that is about to be run.
        now: its files (see `fingerprints`).

    Raises:
        OrderError: `ds` was never built, or was waived, or its files have changed; the message
            says which days depend on it and how they are rebuilt.
    """
    closed = closed_days(lake)
    later = built_after(closed, ds)
    if not later:
        return
    which = f"{len(later)} later day(s), {later[0]} to {later[-1]},"
    way_on = f"{_cascade(ds)} rebuilds it and them (with Airflow: `dayfold day reopen {ds}`, then"
    way_on += " run these days again)"
    if ds not in begun_days(lake):
        state, stays = "not there", f'; or `dayfold day waive {ds} --reason "..."` leaves it out'
        if ds in closed:
            state, stays = "waived", "; else it stays waived"
        raise OrderError(
            f"{ds} cannot run: it was {state} when {which} were built, and their states lack its "
            f"rows. Next: {way_on}{stays}."
        )
    if changed := changed_contents(lake, ds, now):
        raise OrderError(
            f"{ds} cannot run: {which} were built on other raw files of it, {_few(changed)}. "
            f"Next: {way_on}; or put the files back as they were."
        )


def require_open(lake: Lake, ds: str, now: pa.Table) -> None:
    """Pass if `ds` is open, or has the raw files (`now`) that it was built on.

    Raises:
        OrderError: it is closed and has others: a step of it alone must not take them in.
    """
    known = closed_days(lake).get(ds)
    if known is None or known.state == "waived":
        return
    if changed := changed_contents(lake, ds, now):
        raise OrderError(
            f"{ds} is {known.state} and has other raw files than it was built on, "
            f"{_few(changed)}: one step alone does not take them in. Next: {_cascade(ds)}."
        )


def _cascade(ds: str) -> str:
    return f"`dayfold run --from {ds} --to {ds} --cascade`"


def _few(changed: list[str]) -> str:
    return f"{len(changed)} file(s): {', '.join(changed[:3])}"
