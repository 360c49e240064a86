"""What an import says about the rows that it could not take over, and about a wrong mapping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from conf.errors import ConfigError, SourceError
from dayfold.import_commands import importing
from pipelines.sources.mapped_table import import_table

Rows = Callable[[Path, str, str], list[dict[str, Any]]]

MAPPING = """\
events:
  path: log.csv
  format: csv
  time_format: "%d/%b/%y %Hh%M:%S"
  event_type_value: click
  columns: {event_timestamp: at, user_id: who, item_id: what, value: worth}
"""
LOG = """\

at,who,what,worth,note
01/Mar/26 00h00:09,u1,a,1,"a note
on two lines"
01/Mar/26 00h00:10,u1,a,many,

soon,secret@example.org,a,1,
01/Mar/26 00h00:11,u1
04/Mar/26 00h00:12,u2,b,plenty,
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "shop.yaml").write_text(MAPPING)
    return tmp_path


def _import(shop: Path, first: str | None = None, last: str | None = None) -> str:
    return str(import_table(shop / "shop.yaml", shop / "raw", first, last))


def _refused(shop: Path, first: str | None = None, last: str | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        _import(shop, first, last)
    assert not list((shop / "raw").glob("*"))
    return str(error.value)


def _map(shop: Path, old: str, new: str) -> None:
    assert old in MAPPING
    (shop / "shop.yaml").write_text(MAPPING.replace(old, new))


def test_each_reason_has_its_count_and_the_place_of_its_first_row(shop: Path) -> None:
    result = CliRunner().invoke(
        importing, ["table", "--mapping", str(shop / "shop.yaml"), "--raw", str(shop / "raw")]
    )
    assert result.output.splitlines() == [
        "4 days: 3 events, 0 profiles, 0 items",
        "left out, rows: 4",
        f"  events_blank_line 2 (first: {shop}/log.csv, line 1)",
        f"  events_time_not_readable 1 (first: {shop}/log.csv, line 7)",
        f"  events_wrong_number_of_fields 1 (first: {shop}/log.csv, line 8)",
        "kept without value: 2",
        f"  events_value_not_a_number 2 (first: {shop}/log.csv, line 5)",
    ]


def test_an_import_that_loses_nothing_says_so(shop: Path) -> None:
    (shop / "log.csv").write_text("at,who,what,worth\n01/Mar/26 00h00:09,u1,a,1\n")
    assert _import(shop) == "1 days: 1 events, 0 profiles, 0 items; left out: nothing"


def test_events_outside_the_range_are_counted(shop: Path) -> None:
    said = _import(shop, "2026-03-02", "2026-03-03")
    assert said.startswith("2 days: 0 events")
    assert f"events_before_the_range 2 (first: {shop}/log.csv, lines 3 to 4)" in said
    assert f"events_after_the_range 1 (first: {shop}/log.csv, line 9)" in said


def test_a_row_of_parquet_is_named_by_its_number(shop: Path) -> None:
    log = pa.table(
        {"at": ["01/Mar/26 00h00:09", "?"], "who": ["u", "u"], "worth": [1, 2]}
        | {"what": ["a", "b"]}
    )
    pq.write_table(log, shop / "log.parquet")
    (shop / "shop.yaml").write_text(MAPPING.replace("csv", "parquet"))
    assert f"events_time_not_readable 1 (first: {shop}/log.parquet, row 2)" in _import(shop)


def test_a_quote_that_is_never_closed_shows_how_far_it_reaches(shop: Path) -> None:
    log = 'at,who,what,worth\n01/Mar/26 00h00:09,u1,a,1\n01/Mar/26 00h00:09,"u1,a,1\nx\ny\n'
    (shop / "log.csv").write_text(log)
    assert f"wrong_number_of_fields 1 (first: {shop}/log.csv, lines 3 to 5)" in _import(shop)


def test_a_byte_of_another_encoding_is_refused_where_it_is_used(shop: Path, rows_of: Rows) -> None:
    log = b"\xef\xbb\xbfat,who,what,worth,note\n01/Mar/26 00h00:09,u1,a,1,caf\xe9\n"
    (shop / "log.csv").write_bytes(log)
    _import(shop)
    assert rows_of(shop / "raw", "events", "2026-03-01")[0]["user_id"] == "u1"
    (shop / "log.csv").write_bytes(log.replace(b"u1", b"u\xe9"))
    with pytest.raises(SourceError, match=r"log\.csv, line 2 that is not utf-8"):
        _import(shop)


@pytest.mark.parametrize(
    ("line", "format_"),
    [
        ('time_format: "%d.%m.%Y %H:%M"', "'%d.%m.%Y %H:%M' reads"),
        ("", "'iso' (it was left out) reads"),
    ],
)
@pytest.mark.parametrize("days", [(None, None), ("2026-03-01", "2026-03-02")])
def test_a_format_that_reads_no_time_is_named_with_the_first_value(
    shop: Path, line: str, format_: str, days: tuple[str | None, str | None]
) -> None:
    _map(shop, 'time_format: "%d/%b/%y %Hh%M:%S"', line)
    said = _refused(shop, *days)
    assert f"{shop}/shop.yaml: key events.time_format: {format_} none of the 4 times" in said
    assert f"the first is '01/Mar/26 00h00:09' ({shop}/log.csv, lines 3 to 4)" in said
    assert "Correct time_format" in said
    assert "Widen" not in said
    assert "secret" not in said


def test_a_column_of_times_that_is_empty_is_named(shop: Path) -> None:
    (shop / "log.csv").write_text("at,who,what,worth\n,u1,a,1\n")
    said = _refused(shop)
    assert "key events.columns.event_timestamp: expected times in the column at" in said
    assert "log.csv, line 2" in said


@pytest.mark.parametrize("pattern", ["%q/%b", "%d %d", "%Y-%m-%d %", "%d.%m. %H:%M"])
def test_a_pattern_that_cannot_be_read_is_refused_with_the_mapping(
    shop: Path, pattern: str
) -> None:
    (shop / "log.csv").unlink()
    _map(shop, "%d/%b/%y %Hh%M:%S", pattern)
    assert f"events.time_format: {pattern!r}" in _refused(shop)


@pytest.mark.parametrize("pattern", ["%Y-%m-%dT%H:%M:%S.%f%z", "%c", "%y%j %I %p %%", "%G-%V-%u"])
def test_other_patterns_pass(shop: Path, pattern: str) -> None:
    _map(shop, "%d/%b/%y %Hh%M:%S", pattern)
    assert "reads none of the 4 times" in _refused(shop)


@pytest.mark.parametrize(
    "days",
    [("2027-03-01", "2027-03-02"), ("2025-01-01", "2025-01-02"), ("2027-03-01", None)],
)
def test_a_range_that_misses_the_log_is_refused_with_its_days(
    shop: Path, days: tuple[str, str | None]
) -> None:
    said = _refused(shop, *days)
    assert "runs from 2026-03-01 to 2026-03-04" in said
    assert "Widen the range: --from 2026-03-01 --to 2026-03-04" in said


def test_days_without_events_within_the_log_are_written_empty(shop: Path, rows_of: Rows) -> None:
    _import(shop, "2026-03-04", "2026-03-05")
    assert len(rows_of(shop / "raw", "events", "2026-03-04")) == 1
    assert (shop / "raw" / "events" / "ds=2026-03-05" / "_SUCCESS").exists()


def test_a_day_whose_log_is_empty_may_be_written_if_it_is_named(shop: Path) -> None:
    (shop / "log.csv").write_text("at,who,what,worth\n")
    assert "found none in the files" in _refused(shop)
    assert _import(shop, "2026-03-01", "2026-03-01").startswith("1 days: 0 events")


def test_days_of_rows_left_out_by_type_are_of_the_log_and_begin_no_range(shop: Path) -> None:
    (shop / "log.csv").write_text(
        "at,who,what,worth\n01/Mar/26 00h00:09,u,a,seen\n02/Mar/26 00h00:09,u,a,click\n"
    )
    (shop / "shop.yaml").write_text(
        MAPPING.replace("event_type_value: click", "event_types: {seen: null}").replace(
            "value: worth", "event_type: worth"
        )
    )
    assert _import(shop).startswith("1 days: 1 events")
    assert _import(shop, "2026-03-01", "2026-03-01").startswith("1 days: 0 events")


@pytest.mark.parametrize(
    ("mapping", "place"),
    [
        (MAPPING.replace("format: csv", "format:csv", 1), ", line 3, column 3: expected `key: val"),
        ("events:\n\tpath: a\n", ", line 2, column 1: a tab indents the line"),
        ("", ": found nothing, expected a mapping"),
    ],
)
def test_what_is_not_yaml_is_one_clear_line(shop: Path, mapping: str, place: str) -> None:
    (shop / "shop.yaml").write_text(mapping)
    said = _refused(shop)
    assert said.startswith(f"{shop}/shop.yaml{place}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  format: csv", "  format: csv\n  delimitr: x", "events.delimitr: no such key, did you"),
        ("event_timestamp: at", "event_timestamp: at, vlue: x", "events.columns.vlue: no such key"),
        ("events:", "colour: red\nevents:", "colour: no such key, expected one of events"),
    ],
)
def test_an_unknown_key_says_which_there_are(shop: Path, old: str, new: str, expected: str) -> None:
    _map(shop, old, new)
    said = _refused(shop)
    assert expected in said
    assert "dayfold import table --mapping" in said


def test_what_an_entity_lost_is_placed_too(shop: Path) -> None:
    (shop / "items.csv").write_text("sku,price\na,cheap\nb,1\n,2\n")
    (shop / "shop.yaml").write_text(
        MAPPING
        + "items: {path: items.csv, format: csv, columns: {item_id: sku}, "
        + "attributes: {price: {column: price, kind: numeric}}}\n"
    )
    said = _import(shop)
    assert f"items_without_id 1 (first: {shop}/items.csv, line 4)" in said
    assert f"items_price_not_a_number 1 (first: {shop}/items.csv, line 2)" in said
    assert "left out, rows: 5" in said


def test_a_format_that_reads_no_time_of_the_items_is_named_as_theirs(shop: Path) -> None:
    (shop / "items.csv").write_text("sku,at\na,gestern\n")
    (shop / "shop.yaml").write_text(
        MAPPING + "items: {path: items.csv, format: csv, columns: {item_id: sku, updated_at: at}}\n"
    )
    assert "key items.time_format: 'iso' (it was left out) reads none of the 1 times" in _refused(
        shop
    )


def test_the_docs_list_every_reason() -> None:
    page = (Path(__file__).parents[3] / "docs" / "raw-zone.md").read_text(encoding="utf-8")
    section = page.split("## Your own log", 1)[1].split("\n## ", 1)[0]
    for reason in (
        "blank_line",
        "wrong_number_of_fields",
        "time_not_readable",
        "of_type_",
        "before_the_range",
        "after_the_range",
        "without_id",
        "never_in_an_event",
        "value_not_a_number",
        "position_not_a_number",
        "available_from_not_readable",
    ):
        assert reason in section, reason
