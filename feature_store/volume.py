"""The volume of a day: its rows against those of the same weekday in the last four weeks.

Rows are counted from the footers of the files of five days: the cost does not grow with history.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow.parquet as pq

from feature_store.checks import CheckResult
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import INTAKE, RAW_FILES, Check, Table

VOLUME = "volume"
MIN_DAYS = 2
"""Days of the same weekday, with rows, that a statement needs."""
_WEEKS = 4


def row_counts(lake: Lake, table: Table, days: Iterable[str]) -> dict[str, int]:
    """Rows of `days` in `table`, those without any left out; no row is read."""
    counts: Counter[str] = Counter()
    for uri in lake.file_uris(table, days):
        ds = next(part for part in uri.split("/") if part.startswith("ds="))
        counts[ds.removeprefix("ds=")] += pq.read_metadata(uri).num_rows
    return dict(counts)


def check_volumes(lake: Lake, tables: Sequence[Table], days: Sequence[str]) -> list[CheckResult]:
    """What the volume checks of `tables` say of each of `days`."""
    results = []
    for table in tables:
        for check in table.checks:
            if check.rule == VOLUME:
                asked = {d for ds in days for d in (ds, *same_weekdays(ds))}
                counts = row_counts(lake, table, asked)
                results += [_result(lake, table, check, ds, counts) for ds in days]
    return results


def same_weekdays(ds: str) -> list[str]:
    """The days 1 to 4 weeks before `ds`."""
    return [shift(ds, -7 * week) for week in range(1, _WEEKS + 1)]


def _result(
    lake: Lake, table: Table, check: Check, ds: str, counts: Mapping[str, int]
) -> CheckResult:
    rows = counts.get(ds, 0)
    # A day without rows was empty, or never run: it says nothing about what is normal.
    before = [counts[day] for day in same_weekdays(ds) if day in counts]
    passed: bool | None
    if len(before) < MIN_DAYS:
        passed, expected = None, f"nothing: {MIN_DAYS} days of this weekday are needed to compare"
    else:
        median = statistics.median(before)
        low, high = median / check.factor, median * check.factor
        passed = low <= rows <= high
        expected = (
            f"{low:,.0f} to {high:,.0f} (median of {len(before)} same weekdays {median:,.0f})"
        )
        if rows < low and _declared_empty(lake, ds):
            passed, expected = True, "any: the day's log was declared empty"
    return CheckResult(ds, table.key, VOLUME, check.severity, passed, float(rows), expected)


def _declared_empty(lake: Lake, ds: str) -> bool:
    """Whether the day was read and had no file of events."""
    streams = lake.read(RAW_FILES, [ds], ["stream"]).column("stream").to_pylist()
    return lake.read(INTAKE, [ds], ["ds"]).num_rows > 0 and "events" not in streams
