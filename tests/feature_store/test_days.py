"""Days as text."""

from __future__ import annotations

import pytest

from conf.dataset import load_dataset
from conf.errors import ConfigError
from feature_store.days import check_range, days_between, end_of_day, gap, parse_day, shift


def test_the_days_of_a_range_include_both_ends_and_leap_days() -> None:
    days = list(days_between("2024-02-28", "2024-03-01"))
    assert days == ["2024-02-28", "2024-02-29", "2024-03-01"]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (
            "2026-02-30",
            "2026-03-01",
            "--from is '2026-02-30': no such date. Next: pass a day from ",
        ),
        ("2026-2-1", "2026-03-01", "--from is '2026-2-1', expected a day written YYYY-MM-DD"),
        ("2026-02-01", "20260301", "--to is '20260301', expected 2026-03-01"),
        ("2026-02-02", "2026-02-01", "--from 2026-02-02 lies after --to 2026-02-01"),
    ],
)
def test_a_wrong_range_says_which_option_is_wrong(first: str, last: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_range(first, last)
    assert message in str(error.value)


def test_a_day_is_written_in_one_way_only() -> None:
    assert parse_day("2026-02-28") == "2026-02-28"
    for wrong in ("2026-2-28", "20260228", "2026-W09-6", "yesterday"):
        with pytest.raises(ConfigError, match=r"YYYY-MM-DD|expected"):
            parse_day(wrong, "--ds")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("2026-02-30", "from 2026-02-01 to 2026-02-28"),
        ("2024-02-00", "from 2024-02-01 to 2024-02-29"),
        ("2026-13-01", "month from 01 to 12"),
    ],
)
def test_a_day_that_the_calendar_lacks_is_no_such_date(text: str, instead: str) -> None:
    with pytest.raises(ConfigError, match=f"'{text}': no such date.*{instead}"):
        parse_day(text, "--ds")


def test_days_are_counted_across_months_and_clock_changes() -> None:
    london = load_dataset("online-retail").zone
    assert shift("2026-02-28", 1) == "2026-03-01"
    assert gap("2025-12-31", "2026-01-02") == 2
    assert end_of_day("2011-03-27", london).isoformat() == "2011-03-27T23:00:00+00:00"
    assert end_of_day("2011-01-27", london).isoformat() == "2011-01-28T00:00:00+00:00"
