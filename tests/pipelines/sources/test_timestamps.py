from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.timestamps import micros, parse_timestamp

ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/London", "America/St_Johns", "Asia/Kathmandu")]
LONDON = ZoneInfo("Europe/London")

moments = st.datetimes(
    min_value=datetime(1970, 1, 3), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


@given(moment=moments, zone=st.sampled_from(ZONES))
def test_an_iso_time_comes_back_as_the_same_moment_in_its_zone(
    moment: datetime, zone: ZoneInfo
) -> None:
    parsed = parse_timestamp(moment.astimezone(zone).isoformat(), "iso", zone)
    assert parsed.astimezone(UTC) == moment
    assert parsed.utcoffset() == moment.astimezone(zone).utcoffset()
    assert datetime.fromisoformat(parsed.isoformat()) == moment


@given(moment=moments, zone=st.sampled_from(ZONES))
def test_epoch_times_come_back_exactly(moment: datetime, zone: ZoneInfo) -> None:
    ticks = micros(moment)
    in_ms = moment - timedelta(microseconds=ticks % 1000)
    assert parse_timestamp(ticks // 1000, "epoch_ms", zone).astimezone(UTC) == in_ms
    in_s = parse_timestamp(f"{ticks // 10**6}.{ticks % 10**6:06d}", "epoch_s", zone)
    assert in_s.astimezone(UTC) == moment


@given(moment=moments, zone=st.sampled_from(ZONES))
def test_a_pattern_with_offset_comes_back(moment: datetime, zone: ZoneInfo) -> None:
    pattern = "%d/%m/%Y %H:%M:%S.%f %z"
    # In UTC: Python holds an hour that a clock shows twice unequal to that of any other zone.
    assert parse_timestamp(moment.strftime(pattern), pattern, zone).astimezone(UTC) == moment


@given(moment=moments)
def test_micros_order_moments(moment: datetime) -> None:
    later = moment + timedelta(microseconds=1)
    assert micros(later) - micros(moment) == 1


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2011-07-01 09:30:00", "2011-07-01T09:30:00+01:00"),
        ("2011-12-01 09:30:00", "2011-12-01T09:30:00+00:00"),
        ("2011-10-30 01:30:00", "2011-10-30T01:30:00+01:00"),
        ("2011-03-27 01:30:00", "2011-03-27T02:30:00+01:00"),
        ("2011-07-01T09:30:00Z", "2011-07-01T10:30:00+01:00"),
    ],
)
def test_local_times_get_the_offset_that_applied(text: str, iso: str) -> None:
    assert parse_timestamp(text, "iso", LONDON).isoformat() == iso


def test_typed_values_need_no_format() -> None:
    assert (
        parse_timestamp(date(2011, 7, 1), "iso", LONDON).isoformat() == "2011-07-01T00:00:00+01:00"
    )
    typed = datetime(2011, 7, 1, 9, 30, tzinfo=UTC)
    assert parse_timestamp(typed, "epoch_s", LONDON) == typed


@pytest.mark.parametrize(
    ("value", "time_format"),
    [
        ("yesterday", "iso"),
        ("", "iso"),
        (None, "epoch_s"),
        ("nan", "epoch_s"),
        ("inf", "epoch_ms"),
        ("1e30", "epoch_s"),
        ("2011-02-30", "%Y-%m-%d"),
        ("0001-01-01T00:00:00+14:00", "iso"),
    ],
)
def test_what_is_no_time_is_a_value_error(value: object, time_format: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_timestamp(value, time_format, LONDON)
