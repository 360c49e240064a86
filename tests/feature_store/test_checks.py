"""Checks of a table: what fails stops the step, what warns is noted, and volume is compared."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.dataset import DatasetConfig, Labels
from conf.errors import CheckFailed
from dayfold.report import _checks as checks_section
from dayfold.status import collect_status, status_table, warning_lines
from dayfold.step_checks import recorded_checks, warnings_said
from feature_store.checks import CheckResult
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import Step
from feature_store.tables import (
    CHECKS,
    EXAMPLES,
    INTAKE,
    RAW_FILES,
    STEP_RUNS,
    Check,
    Table,
)
from feature_store.tables.declare import DS, Column, Stream, in_range, nullable, unique, volume
from feature_store.volume import check_volumes, row_counts

DAY = "2026-02-05"
LINEAGE = {"step": "test"}


def shelf(*checks: Check) -> Table:
    """A table of books, with these checks beside its key."""
    columns = (
        DS,
        Column("title", "string", "on the cover"),
        nullable("pages", "int64", "numbered"),
    )
    return Table("reports", "shelf", "one book", columns, (unique("title"), *checks))


def books(*pages: int | None, titles: list[str | None] | None = None) -> pa.Table:
    names = [f"book {n}" for n in range(len(pages))] if titles is None else titles
    return pa.table({"title": pa.array(names, pa.string()), "pages": pa.array(pages, pa.int64())})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    dataset = DatasetConfig(name="small", positive={"click": 1.0}, labels=Labels(kind="sampled"))
    return Lake(tmp_path, dataset)


def step_of(*tables: Table) -> Step:
    return Step("shelve", (), tables, "python", "nowhere:run", "for a test")


def recorded(lake: Lake, ds: str = DAY) -> dict[str, tuple[str, bool | None, float]]:
    rows = lake.read(CHECKS, [ds]).to_pylist()
    return {row["check"]: (row["severity"], row["passed"], row["observed"]) for row in rows}


def put_weeks(lake: Lake, table: Table, *rows: int, ds: str = DAY) -> None:
    """`rows` books 1, 2, ... weeks before `ds`; 0 = the day was not run."""
    for week, count in enumerate(rows, start=1):
        if count:
            lake.replace(table, {"ds": shift(ds, -7 * week)}, books(*range(1, count + 1)), LINEAGE)


def test_a_check_that_warns_is_noted_and_the_rows_are_committed(lake: Lake) -> None:
    table = shelf(Check("in_range", ("pages",), low=1, severity="warn"))
    lake.replace(table, {"ds": DAY}, books(0, 5, -1, None), LINEAGE)
    assert lake.read(table, [DAY]).num_rows == 4
    (warning,) = [result for result in lake.check_results if result.warns]
    assert str(warning) == (
        "reports.shelf in_range(pages): expected that 1 <= pages <= inf; 2 rows break it"
    )
    assert warnings_said(lake.check_results) == f"; WARNING {DAY} {warning}"


@pytest.mark.parametrize(
    ("rows", "rule", "example"),
    [
        (books(0, 5, -1, -2, -3), "1 <= pages <= inf; 4 rows", "'pages': 0"),
        (books(1, 2, titles=["a", "a"]), r"\(title\) identifies a row; 1 rows", "'title': 'a'"),
        (books(1, 2, titles=["a", None]), "title is never null; 1 rows", "'pages': 2"),
    ],
)
def test_a_check_that_fails_names_table_day_rule_three_rows_and_the_next_command(
    lake: Lake, rows: pa.Table, rule: str, example: str
) -> None:
    table = shelf(in_range("pages", 1))
    with pytest.raises(CheckFailed) as raised:
        lake.replace(table, {"ds": DAY}, rows, LINEAGE)
    said = str(raised.value)
    assert re.search(rf"reports\.shelf, ds={DAY}: .*expected that {rule} break it", said)
    assert example in said
    assert 1 <= said.count("'title'") <= 3
    assert said.endswith(f"`dayfold run --from {DAY} --to {DAY}`")
    assert lake.version(table) == -1


def test_rows_are_counted_from_the_footers(lake: Lake) -> None:
    table = shelf()
    lake.replace(table, {"ds": DAY}, books(1, 2, 3), LINEAGE)
    (file,) = Path(lake.uri(table)).rglob("*.parquet")
    content = file.read_bytes()
    data = pq.read_metadata(file).row_group(0).column(0).data_page_offset
    file.write_bytes(content[:data] + b"\0" * 8 + content[data + 8 :])
    assert row_counts(lake, table, [DAY, shift(DAY, -7)]) == {DAY: 3}
    with pytest.raises(OSError):  # noqa: PT011
        lake.read(table, [DAY])


@pytest.mark.parametrize(
    ("before", "today", "passed", "expected"),
    [
        # the median of 80, 120, 160, 900 is 140
        ((80, 120, 160, 900), 280, True, "70 to 280 (median of 4 same weekdays 140)"),
        ((80, 120, 160, 900), 281, False, "70 to 280"),
        ((80, 120, 160, 900), 70, True, "70 to 280"),
        ((80, 120, 160, 900), 69, False, "70 to 280"),
        ((80, 0, 99, 900), 50, True, "50 to 198 (median of 3 same weekdays 99)"),
        ((80, 0, 99, 900), 49, False, "50 to 198"),
        # of 9 rows a day, 9 +- 4 * 3 are chance; of 25, 25 - 4 * 5, and twice 25; 20 are never many
        ((9, 9, 9), 0, True, "0 to 21 (median of 3 same weekdays 9)"),
        ((9, 9, 9), 22, False, "0 to 21"),
        ((2, 2, 2), 20, True, "0 to 20"),
        ((2, 2, 2), 21, False, "0 to 20"),
        ((25, 25, 25), 4, False, "5 to 50"),
        ((10, 0, 0, 10), 99, None, "3 days of this weekday are needed"),
        ((), 5, None, "3 days of this weekday are needed"),
        ((0, 0, 0, 0, 10, 10, 10), 5, None, "3 days of this weekday are needed"),
    ],
)
def test_volume_is_compared_with_the_median_of_the_same_weekdays_of_four_weeks(
    lake: Lake, before: tuple[int, ...], today: int, passed: bool | None, expected: str
) -> None:
    table = shelf(volume(2.0))
    put_weeks(lake, table, *before)
    for other in (1, 2, 3):  # other weekdays do not count
        lake.replace(table, {"ds": shift(DAY, -other)}, books(*range(50)), LINEAGE)
    lake.replace(table, {"ds": DAY}, books(*range(today)), LINEAGE)
    (result,) = check_volumes(lake, [table], [DAY])
    assert (result.passed, result.observed) == (passed, today)
    assert expected in result.expected


def test_a_later_day_does_not_change_what_was_expected_of_an_earlier_one(lake: Lake) -> None:
    table = shelf(volume(2.0))
    put_weeks(lake, table, 10, 10, 10)
    lake.replace(table, {"ds": DAY}, books(*range(9)), LINEAGE)
    before = check_volumes(lake, [table], [DAY])
    lake.replace(table, {"ds": shift(DAY, 7)}, books(*range(900)), LINEAGE)
    assert check_volumes(lake, [table], [DAY]) == before


def declare(lake: Lake, files: int) -> None:
    """What cleaning notes of a day with this many files of events and no row."""
    intake = pa.table({"stream": ["events"], "outcome": ["read"], "rows": [0]})
    lake.replace(INTAKE, {"ds": DAY}, intake, LINEAGE)
    names = [f"part-{n}" for n in range(files)]
    found = {
        "stream": ["events"] * files,
        "file": names,
        "bytes": [0] * files,
        "sha256": names,
        "fields": [[]] * files,
    }
    schema = pa.schema([f for f in lake.schema(RAW_FILES) if f.name != "ds"])
    lake.replace(RAW_FILES, {"ds": DAY}, pa.table(found, schema), LINEAGE)


@pytest.mark.parametrize(
    ("files", "stream", "passed"), [(0, "events", True), (1, "events", False), (1, "items", True)]
)
def test_a_day_declared_empty_passes_and_one_whose_files_are_empty_does_not(
    lake: Lake, files: int, stream: Stream, passed: bool
) -> None:
    table = shelf(volume(2.0, stream))
    put_weeks(lake, table, 90, 90, 90)
    (result,) = check_volumes(lake, [table], [DAY])
    assert result.passed is False  # nothing is known of the day
    declare(lake, files)
    (result,) = check_volumes(lake, [table], [DAY])
    assert (result.passed, result.observed) == (passed, 0)


def test_what_the_checks_of_a_step_said_is_recorded_and_a_second_run_replaces_it(
    lake: Lake,
) -> None:
    table = shelf(in_range("pages", 1), volume(2.0))
    put_weeks(lake, table, 10, 10, 10)
    for count in (25, 15):
        with recorded_checks(lake, step_of(table), "shelve", [DAY]):
            lake.replace(table, {"ds": DAY}, books(*range(1, count + 1)), LINEAGE)
    assert recorded(lake) == {
        "not_null": ("fail", True, 0),
        "unique(title)": ("fail", True, 0),
        "in_range(pages)": ("fail", True, 0),
        "volume": ("warn", True, 15),
    }


def test_a_failed_check_is_recorded_too_and_stops_the_step(lake: Lake) -> None:
    table = shelf(in_range("pages", 1))
    with pytest.raises(CheckFailed), recorded_checks(lake, step_of(table), "shelve", [DAY]):
        lake.replace(table, {"ds": DAY}, books(0), LINEAGE)
    assert recorded(lake)["in_range(pages)"] == ("fail", False, 1)


def test_days_built_in_bulk_are_compared_with_each_other_in_one_commit(lake: Lake) -> None:
    table = shelf(volume(2.0))
    days = [shift(DAY, n) for n in range(-28, 1)]
    with recorded_checks(lake, step_of(table), "shelve", days):
        for ds in days:
            lake.replace(table, {"ds": ds}, books(*range(30 if ds == DAY else 10)), LINEAGE)
    assert lake.version(CHECKS) == 1  # made, written
    assert recorded(lake, days[0])["volume"] == ("warn", None, 10)
    assert recorded(lake, shift(DAY, -1))["volume"] == ("warn", True, 10)
    assert recorded(lake)["volume"] == ("warn", False, 30)


def test_status_shows_what_a_step_warned_of(lake: Lake) -> None:
    row = dict.fromkeys(("seconds", "cpu_seconds", "peak_memory_mb"), 0.0)
    row |= {"ds": DAY, "step": "open_day", "finished_at": datetime.now(UTC), "summary": ""}
    row |= {"table_versions": "{}", "warnings": ["3 file(s) are not read"]}
    rows = pa.Table.from_pylist([row], lake.schema(STEP_RUNS))
    lake.replace(STEP_RUNS, {"ds": DAY, "step": "open_day"}, rows, LINEAGE)
    days = collect_status(lake, 14)
    assert days[0]["warnings"] == [{"step": "open_day", "text": "3 file(s) are not read"}]
    assert warning_lines(days) == [f"{DAY} WARNING open_day: 3 file(s) are not read"]
    first, *shown = warning_lines(days * 23)
    assert first.startswith("3 earlier warning(s)")
    assert len(shown) == 20


def test_status_and_report_show_what_warned(lake: Lake) -> None:
    table = shelf(volume(2.0))
    put_weeks(lake, table, 10, 10, 10)
    with recorded_checks(lake, step_of(table), "shelve", [DAY]):
        lake.replace(table, {"ds": DAY}, books(*range(25)), LINEAGE)
    days = collect_status(lake, 14)
    (day,) = days
    found = {"step": "shelve", "table": "reports.shelf", "check": "volume", "severity": "warn"}
    found |= {"observed": 25.0, "expected": "0 to 22 (median of 3 same weekdays 10)"}
    assert day["checks"] == {"run": 3, "warnings": 1, "failed": 0, "found": [found]}
    assert json.loads(json.dumps(day["checks"])) == day["checks"]
    assert warning_lines(days) == [
        f"{DAY} WARNING reports.shelf volume: 25 rows, "
        "expected 0 to 22 (median of 3 same weekdays 10)"
    ]
    assert "warnings" in [column.header for column in status_table(days, 160).columns]
    section = checks_section(days)
    assert "1 of 3 checks" in section
    assert "<td>25</td><td>0 to 22 (median of 3 same weekdays 10)</td>" in section


def test_more_warnings_than_a_summary_holds_are_counted() -> None:
    many = [
        CheckResult(shift(DAY, n), EXAMPLES.key, "volume", "warn", False, 1.0, "2 to 8")
        for n in range(5)
    ]
    said = warnings_said(many)
    assert said.count(EXAMPLES.key) == 3
    assert said.endswith("; WARNING 2 more: dayfold status --json")
