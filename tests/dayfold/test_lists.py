"""Titles of a list: as known on its day, and from no more days than it takes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from conf.dataset import load_dataset
from dayfold.lists import titles_on
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import ITEMS

FIRST = "2026-01-01"
LAST = shift(FIRST, 40)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """The whole catalogue on every tenth day, another title each time; b only on the first."""
    lake = Lake(tmp_path / "lake", load_dataset("simulated"))
    for number in range(0, 41, 10):
        ds = shift(FIRST, number)
        titles = {"a": f"a{number}", "c": None if number == 40 else "c"}
        titles |= {"b": "b0"} if number == 0 else {}
        rows = [
            {
                "ds": ds,
                "item_id": item,
                "title": title,
                "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            for item, title in titles.items()
        ]
        lake.replace(ITEMS, {"ds": ds}, pa.Table.from_pylist(rows, lake.schema(ITEMS)), {})
    return lake


@pytest.mark.parametrize(
    ("ds", "expected"),
    [
        (LAST, {"a": "a40", "b": "b0", "c": None}),
        (shift(LAST, -1), {"a": "a30", "b": "b0", "c": "c"}),
        (FIRST, {"a": "a0", "b": "b0", "c": "c"}),
        (shift(FIRST, -1), {}),
    ],
)
def test_a_title_is_the_latest_known_on_the_day(
    lake: Lake, ds: str, expected: dict[str, str | None]
) -> None:
    assert titles_on(lake, ds, ["a", "b", "c", "never described"]) == expected


def test_days_before_the_last_that_names_all_of_them_are_not_read(lake: Lake) -> None:
    for path in Path(lake.uri(ITEMS)).glob("ds=*/*.parquet"):
        if f"ds={LAST}" not in str(path):
            path.unlink()
    assert titles_on(lake, LAST, ["a", "c"]) == {"a": "a40", "c": None}
    with pytest.raises(FileNotFoundError):
        titles_on(lake, LAST, ["b"])
