"""The ledger: which days are closed, and whether a day may run now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa

from conf.errors import OrderError
from feature_store.lake import Lake, Lineage
from feature_store.tables import LEDGER, STEP_RUNS

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


def check_order(lake: Lake, complete_days: Iterable[str], ds: str) -> None:
    """Pass if `ds` may run: every earlier complete day is closed.

    Raises:
        OrderError: one is not; the message names the first and the two ways on.
    """
    closed = closed_days(lake)
    open_days = sorted(day for day in complete_days if day < ds and day not in closed)
    if open_days:
        first = open_days[0]
        raise OrderError(
            f"{ds} cannot run: {len(open_days)} earlier day(s) with data are neither published nor "
            f"waived, the first is {first}. Next: `dayfold run --from {first} --to {ds}`, or "
            f'`dayfold day waive {first} --reason "..."`.'
        )


def table_versions(lake: Lake, ds: str) -> dict[str, int]:
    """The Delta versions that the steps of `ds` wrote, by table key."""
    versions: dict[str, int] = {}
    for row in lake.read(STEP_RUNS, [ds], ["table_versions"]).to_pylist():
        versions.update(json.loads(row["table_versions"]))
    return versions


def close_day(
    lake: Lake,
    ds: str,
    state: State,
    reason: str,
    lineage: Lineage,
    versions: dict[str, int] | None = None,
) -> None:
    """Write the ledger row of `ds`, the last write of a day."""
    row = {
        "ds": ds,
        "state": state,
        "closed_at": datetime.now(UTC),
        "reason": reason,
        "table_versions": json.dumps(table_versions(lake, ds) if versions is None else versions),
        "code_version": lineage.get("code_version", ""),
        "config_hash": lineage.get("config_hash", ""),
    }
    lake.replace(LEDGER, {"ds": ds}, pa.Table.from_pylist([row], lake.schema(LEDGER)), lineage)
