"""The ledger: which days are closed, and whether a day may run now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa

from conf.errors import OrderError
from feature_store.days import shift
from feature_store.lake import Lake, Lineage
from feature_store.tables import (
    CHECKS,
    INTAKE,
    LEDGER,
    PROMOTION_LEDGER,
    PROMOTIONS,
    STEP_RUNS,
    TABLES,
    VOCABULARIES,
)

State = Literal["history", "published", "waived"]


@dataclass(frozen=True)
class ClosedDay:
    """One row of the ledger."""

    ds: str
    state: State
    reason: str
    table_versions: dict[str, int]


def closed_days(lake: Lake) -> dict[str, ClosedDay]:
    """Every closed day, by ds."""
    rows = lake.read(LEDGER, lake.days(LEDGER)).to_pylist()
    return {
        row["ds"]: ClosedDay(
            row["ds"], row["state"], row["reason"], json.loads(row["table_versions"])
        )
        for row in rows
    }


def begun_days(lake: Lake) -> list[str]:
    """Days that were cleaned, closed or not, ascending; a waived day is none of them."""
    return lake.days(INTAKE)


def built_after(closed: Mapping[str, ClosedDay], ds: str) -> list[str]:
    """The closed days after `ds` that were built, not waived, ascending."""
    return sorted(day for day, row in closed.items() if day > ds and row.state != "waived")


def check_order(lake: Lake, complete_days: Iterable[str], ds: str) -> None:
    """Pass if `ds` may run: every earlier day that is complete, or was begun, is closed.

    A day that was begun counts without its raw files too: one that was opened again must not be
    passed over because they have been cleared away.

    Raises:
        OrderError: one is not; the message names the first and the two ways on.
    """
    closed, begun = closed_days(lake), begun_days(lake)
    open_days = sorted(day for day in {*complete_days, *begun} if day < ds and day not in closed)
    if open_days:
        first = open_days[0]
        late = first not in begun and bool(built_after(closed, first))
        raise OrderError(
            f"{ds} cannot run: {len(open_days)} earlier day(s) with data are neither published nor "
            f"waived, the first is {first}. Next: `dayfold run --from {first} --to {ds}"
            f'{" --cascade" if late else ""}`, or `dayfold day waive {first} --reason "..."`.'
        )


def table_versions(lake: Lake, ds: str) -> dict[str, int]:
    """The Delta versions that the steps of `ds` wrote, by table key."""
    versions: dict[str, int] = {}
    for row in lake.read(STEP_RUNS, [ds], ["table_versions"]).to_pylist():
        # Several steps of a day may write one table: the last version holds what all of them wrote.
        for key, version in json.loads(row["table_versions"]).items():
            versions[key] = max(version, versions.get(key, version))
    return versions


def reopen_day(lake: Lake, ds: str, lineage: Lineage) -> None:
    """Make `ds` an open day again, of which no step has finished; its ids stay."""
    lake.clear(LEDGER, [ds], lineage)
    _begin_anew(lake, [ds], lineage)


def reopen_days(lake: Lake, days: Sequence[str], lineage: Lineage) -> None:
    """Make all of `days` open again, to be rebuilt in order; their vocabulary ids are given anew.

    The ledger loses them in one commit: killed before it, all are closed as they were; killed after
    it, all are open, and the first of them stops those after it until it is closed again. What is
    not cleared by then, `begin_later_days_anew` clears when the first of them is run.
    """
    # First, so that no task of an earlier run can publish one of them half rebuilt.
    lake.clear(STEP_RUNS, days, lineage)
    lake.clear(LEDGER, days, lineage)
    _begin_anew(lake, days, lineage)
    lake.clear(VOCABULARIES, days, lineage)


def begin_later_days_anew(lake: Lake, ds: str, lineage: Lineage) -> None:
    """Take back what open days after `ds` have begun with: it follows from another `ds`.

    Without finished steps they are run from their beginning, and the ids that they gave are free.
    """
    closed = closed_days(lake)
    known = {*lake.days(STEP_RUNS), *lake.days(CHECKS), *lake.days(VOCABULARIES)}
    days = sorted(day for day in known if day > ds and day not in closed)
    _begin_anew(lake, days, lineage)
    lake.clear(VOCABULARIES, days, lineage)


def _begin_anew(lake: Lake, days: Sequence[str], lineage: Lineage) -> None:
    """Take back that a step of `days` has finished.

    What only some runs of a day write (its candidates) goes: the next run may not train.
    """
    lake.clear(STEP_RUNS, days, lineage)
    lake.clear(CHECKS, days, lineage)
    for table in TABLES:
        if "scorer" in table.partition:
            lake.clear(table, days, lineage)


def waive_day(lake: Lake, ds: str, reason: str, lineage: Lineage) -> None:
    """Close `ds` without its run: what a run that ended halfway left of the day is removed.

    Raises:
        OrderError: the day is closed, changed the champion, later days were built on it, or it
            lies beyond the next day of the lake.
    """
    closed = closed_days(lake)
    if ds in closed and closed[ds].state != "waived":
        raise OrderError(f"{ds} is {closed[ds].state}: only an open day can be waived.")
    if any(lake.read(PROMOTIONS, [ds], ["promoted"]).column("promoted").to_pylist()):
        raise OrderError(
            f"{ds} cannot be waived: it has promoted a model, which counts on the rest of the day. "
            f"Next: `dayfold run --from {ds} --to {ds}`."
        )
    built_on = built_after(closed, ds)
    if built_on and ds in begun_days(lake):
        raise OrderError(
            f"{ds} cannot be waived: {built_on[0]} and later days ({len(built_on)} in all) were "
            f"built on it. Next: `dayfold run --from {ds} --to {ds}`."
        )
    last = max([*closed, *begun_days(lake)], default=ds)
    if ds > shift(last, 1):
        raise OrderError(
            f"{ds} cannot be waived: the lake ends with {last}, and the days between may yet come. "
            f"Expected a day up to {shift(last, 1)}."
        )
    for table in TABLES:
        if table not in (LEDGER, PROMOTION_LEDGER):  # what was done by hand stays done
            lake.clear(table, [ds], lineage)
    close_day(lake, ds, "waived", reason, lineage, {})


def close_day(
    lake: Lake,
    ds: str,
    state: State,
    reason: str,
    lineage: Lineage,
    versions: dict[str, int] | None = None,
) -> None:
    """Write the ledger row of `ds`, the last write of a day.

    Versions that its row names already are not taken back: what they replaced may be erased.
    """
    named = dict(table_versions(lake, ds) if versions is None else versions)
    before = closed_days(lake).get(ds)
    for key, version in (before.table_versions if before else {}).items():
        named[key] = max(version, named.get(key, version))
    row = {
        "ds": ds,
        "state": state,
        "closed_at": datetime.now(UTC),
        "reason": reason,
        "table_versions": json.dumps(named),
        "code_version": lineage.get("code_version", ""),
        "config_hash": lineage.get("config_hash", ""),
    }
    lake.replace(LEDGER, {"ds": ds}, pa.Table.from_pylist([row], lake.schema(LEDGER)), lineage)
