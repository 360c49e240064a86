"""Exact counts of the last days, against DuckDB over random logs with late rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.errors import ConfigError
from feature_store.days import shift
from feature_store.window_counts import Entity, window_counts
from tests.feature_store.event_log import DAYS, FIRST, Row, asked, events, written

COUNTED = """
    SELECT ENTITY, event_type, count(*) FROM log
    WHERE list_contains($ids, ENTITY) AND ds <= $ds
      AND CAST(event_ds AS DATE) BETWEEN CAST($ds AS DATE) - $window + 1 AND CAST($ds AS DATE)
    GROUP BY ALL ORDER BY ALL
"""
QUIET = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(
    rows=events(),
    entity=st.sampled_from(["user_id", "item_id"]),
    ids=st.lists(st.sampled_from("abcxyz"), max_size=3, unique=True),
    day=st.integers(-1, DAYS),
    window_days=st.integers(1, DAYS + 2),
)
def test_counts_of_a_window_are_those_of_duckdb(
    rows: list[Row], entity: Entity, ids: list[str], day: int, window_days: int
) -> None:
    ds = shift(FIRST, day)
    with tempfile.TemporaryDirectory() as root:
        counts = window_counts(written(Path(root), rows), entity, ids, ds, window_days)
    expected = asked(
        rows, COUNTED.replace("ENTITY", entity), ids=["nobody", *ids], ds=ds, window=window_days
    )
    assert [tuple(row.values()) for row in counts.to_pylist()] == expected
    assert counts.column_names == [entity, "event_type", "events"]


@pytest.mark.parametrize("window_days", [0, 91])
def test_a_window_out_of_range_is_refused(tmp_path: Path, window_days: int) -> None:
    with pytest.raises(ConfigError, match=rf"{window_days} days was asked for, expected 1 to 90"):
        window_counts(written(tmp_path, []), "user_id", ["a"], FIRST, window_days)
