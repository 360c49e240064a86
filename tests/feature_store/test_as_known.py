"""Events as known on a day and as known now, against DuckDB over random logs with late rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.as_known import arrival_days, as_known_now, as_known_on
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EVENTS
from tests.feature_store.event_log import (
    DAYS,
    FIRST,
    Row,
    asked,
    declared,
    events,
    happened,
    put,
    written,
)

QUIET = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(rows=events(), event_day=st.integers(-3, DAYS), known_on=st.integers(-4, DAYS + 3))
def test_what_is_known_of_a_day_is_what_duckdb_finds(
    rows: list[Row], event_day: int, known_on: int
) -> None:
    event_ds, until = shift(FIRST, event_day), shift(FIRST, known_on)
    with tempfile.TemporaryDirectory() as root:
        lake = written(Path(root), rows)
        on_a_day = as_known_on(lake, event_ds, until, ["event_id"]).column("event_id").to_pylist()
        now = as_known_now(lake, event_ds, ["event_id"]).column("event_id").to_pylist()
    on_that_day = "SELECT event_id FROM log WHERE event_ds = $day"
    expected = asked(rows, f"{on_that_day} AND ds <= $until", day=event_ds, until=until)
    assert sorted(on_a_day) == sorted(row[0] for row in expected)
    assert sorted(now) == sorted(row[0] for row in asked(rows, on_that_day, day=event_ds))


def test_a_late_event_is_known_from_its_arrival_on_and_moves_nothing(tmp_path: Path) -> None:
    monday, tuesday = "2026-03-30", "2026-03-31"
    lake = written(tmp_path, [happened(monday, monday, "in time")])
    before = _bytes(lake)
    put(lake, tuesday, [happened(tuesday, monday, "late"), happened(tuesday, tuesday, "next")])
    assert as_known_on(lake, monday, monday)["event_id"].to_pylist() == ["in time"]
    assert sorted(as_known_on(lake, monday, tuesday)["event_id"].to_pylist()) == ["in time", "late"]
    assert sorted(as_known_now(lake, monday)["event_id"].to_pylist()) == ["in time", "late"]
    assert before.items() <= _bytes(lake).items()


def test_only_days_on_which_an_event_can_arrive_are_looked_at() -> None:
    days = arrival_days(declared(), "2026-03-30", "2026-03-31", "2027-01-01")
    # From the day before (a clock that is ahead) to the longest lateness that can be declared.
    assert (days[0], days[-1], len(days)) == ("2026-03-29", "2026-04-30", 33)
    assert arrival_days(declared(), "2026-03-30", "2026-03-30", "2026-03-28") == []


def _bytes(lake: Lake) -> dict[str, bytes]:
    return {uri: Path(uri).read_bytes() for uri in lake.file_uris(EVENTS, lake.days(EVENTS))}
