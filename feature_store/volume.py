"""The volume of a day: its rows against those of the same weekday in the last four weeks.

Rows are counted from the footers of the files of five days: the cost does not grow with history.

A base day (`Table.based`) is neither judged nor compared with: it holds every entity, and what the
day itself changed is not told from the rest without reading the rows. Base days are 28 days apart,
so at most one same weekday of four is left out, or two where the log is young.

Which tables: those that grow with the log; by a factor of 2 what counts events, of 3 what is new or
changed, which becomes less while a young log gets known. Not
- encoded.expiries: ids expire in bursts, by the rules of the dataset, not by what came in;
- clean.quarantine: its rows are judged as shares of what was read, by reason (`cleaning.rules`);
- clean.intake, clean.raw_files, clean.ledger and predictions.sketches: one row for each stream,
  file, day or bin, however large the day is;
- predictions.score_maps, predictions.candidate_scores and reports about candidates: only days that
  train or promote write them;
- the other reports: a row for each metric, decision, step or check.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow.parquet as pq

from feature_store.checks import CheckResult
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import BASE_EVERY_DAYS, INTAKE, RAW_FILES, Check, Table

VOLUME = "volume"
MIN_DAYS = 3
"""Days of the same weekday, with rows, that a statement needs: of two, one odd day would decide.

A log's first day, with the whole catalogue in it, is such a day."""
_WEEKS = 4
_DEVIATIONS = 4
"""Standard deviations of a count within which it is chance, whatever the factor says."""
_FEW = 20
"""Rows of a day that are never too many: a shop with 2 new items a day has days with 17."""


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
                bases = _base_days(lake, table) if table.based else frozenset()
                counts = row_counts(lake, table, asked)
                results += [_result(lake, table, check, ds, counts, bases) for ds in days]
    return results


def same_weekdays(ds: str) -> list[str]:
    """The days 1 to 4 weeks before `ds`."""
    return [shift(ds, -7 * week) for week in range(1, _WEEKS + 1)]


def usual_range(before: Sequence[int], factor: float) -> tuple[int, int]:
    """Fewest and most rows that surprise nobody after days with the counts `before`.

    Beyond them is what differs by more than the factor, and by more than a count does by chance:
    a table with 9 rows a day may have none, or 21.
    """
    median = statistics.median(before)
    chance = _DEVIATIONS * math.sqrt(median)
    low = max(0.0, min(median / factor, median - chance))
    return math.ceil(low), math.floor(max(median * factor, median + chance, _FEW))


def _base_days(lake: Lake, table: Table) -> frozenset[str]:
    """The days of `table` that hold every entity: the first written one of each block."""
    first: dict[int, str] = {}
    for ds in lake.days(table):
        first.setdefault(ordinal(ds) // BASE_EVERY_DAYS, ds)
    return frozenset(first.values())


def _result(
    lake: Lake,
    table: Table,
    check: Check,
    ds: str,
    counts: dict[str, int],
    bases: frozenset[str],
) -> CheckResult:
    rows = counts.get(ds, 0)
    # A day without rows was empty, or never run: it says nothing about what is normal.
    before = [counts[day] for day in same_weekdays(ds) if day in counts and day not in bases]
    passed: bool | None = None
    if ds in bases:
        expected = "nothing: on a base day every entity has a row, whatever the day brought"
    elif len(before) < MIN_DAYS:
        expected = f"nothing: {MIN_DAYS} days of this weekday are needed to compare"
    else:
        low, high = usual_range(before, check.factor)
        passed = low <= rows <= high
        median = statistics.median(before)
        expected = f"{low:,} to {high:,} (median of {len(before)} same weekdays {median:,.0f})"
        if rows < low and _delivered_empty(lake, check.stream, ds):
            passed, expected = True, f"any: the day was declared to have no {check.stream}"
    return CheckResult(ds, table.key, VOLUME, check.severity, passed, float(rows), expected)


def _delivered_empty(lake: Lake, stream: str, ds: str) -> bool:
    """Whether the day was read and had no file of `stream`."""
    streams = lake.read(RAW_FILES, [ds], ["stream"]).column("stream").to_pylist()
    return lake.read(INTAKE, [ds], ["ds"]).num_rows > 0 and stream not in streams
