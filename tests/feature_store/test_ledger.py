"""The ledger decides whether a day may run."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.dataset import load_dataset
from conf.errors import ConfigError, OrderError
from feature_store.days import days_between, end_of_day, gap, parse_day, shift
from feature_store.lake import Lake
from feature_store.ledger import check_order, close_day, closed_days

DAYS = list(days_between("2026-01-30", "2026-02-02"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path, load_dataset("simulated"))


def test_a_day_is_refused_while_an_earlier_day_with_data_is_open(lake: Lake) -> None:
    close_day(lake, DAYS[0], "published", "", {}, {})
    with pytest.raises(OrderError, match=r"2026-02-02 cannot run: 2 earlier.*2026-01-31.*waive"):
        check_order(lake, DAYS, DAYS[3])
    check_order(lake, DAYS, DAYS[1])


def test_published_waived_and_history_days_let_the_next_one_pass(lake: Lake) -> None:
    close_day(lake, DAYS[0], "history", "", {}, {})
    close_day(lake, DAYS[1], "waived", "no data came", {}, {})
    close_day(lake, DAYS[2], "published", "", {}, {"clean.events": 3})
    check_order(lake, DAYS, DAYS[3])
    assert closed_days(lake)[DAYS[1]].reason == "no data came"
    assert closed_days(lake)[DAYS[2]].table_versions == {"clean.events": 3}


def test_days_without_data_do_not_stand_in_the_way(lake: Lake) -> None:
    check_order(lake, [DAYS[3]], DAYS[3])


def test_a_day_is_written_in_one_way_only() -> None:
    assert parse_day("2026-02-28") == "2026-02-28"
    for wrong in ("2026-2-28", "20260228", "2026-02-30", "yesterday"):
        with pytest.raises(ConfigError, match=r"YYYY-MM-DD|expected"):
            parse_day(wrong, "--ds")


def test_days_are_counted_across_months_and_clock_changes() -> None:
    london = load_dataset("online-retail").zone
    assert shift("2026-02-28", 1) == "2026-03-01"
    assert gap("2025-12-31", "2026-01-02") == 2
    assert end_of_day("2011-03-27", london).isoformat() == "2011-03-27T23:00:00+00:00"
    assert end_of_day("2011-01-27", london).isoformat() == "2011-01-28T00:00:00+00:00"
