"""Which version served on a day, beside a plain reading of all that was ever promoted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from feature_store import champion
from feature_store.champion import champions_on, last_succession
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import Kind, PromotionEvent, write_event
from feature_store.tables import PROMOTIONS, Table
from tests.training.lake_fixture import small_dataset

FIRST, DAYS = "2026-01-05", 40
LINEAGE = {"step": "test", "ds": ""}
Change = tuple[str, int, int, bool]
"""Day, number (0 = the day's own promotion), the version that serves then, whether it is new."""


def promoted(lake: Lake, ds: str, version: int, before: int, state: str = "done") -> None:
    row = {
        "champion_version": version,
        "champion_scorer": "mlp",
        "previous_version": before if version != before else 0,
        "promoted": version != before,
        "state": state,
        "heads": "{}",
        "reason": "by hand",
    }
    schema = pa.schema([f for f in lake.schema(PROMOTIONS) if f.name != "ds"])
    lake.replace(PROMOTIONS, {"ds": ds}, pa.Table.from_pylist([row], schema), LINEAGE)


def by_hand(lake: Lake, ds: str, kind: Kind, version: int, before: int, number: int) -> None:
    event = PromotionEvent(ds, kind, version, "mlp", before, {}, "by hand", "test", day=ds)
    write_event(lake, replace(event, number=number, at=datetime.now(UTC)), "done")


@pytest.fixture(params=range(3))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Lake, list[Change]]:
    """A lake in which versions come, go and come back; and what was done, in order."""
    random = np.random.default_rng(request.param)
    lake, changes, serves = Lake(tmp_path / "lake", small_dataset()), list[Change](), 0
    for number in range(DAYS):
        ds = shift(FIRST, number)
        version = int(random.integers(1, 5)) if number % 4 == 1 else serves
        if number == 17:
            promoted(lake, ds, 9, serves, state="intent")
            continue
        promoted(lake, ds, version, serves)
        changes.append((ds, 0, version, version != serves))
        serves = version
        if number in (11, 23, 24):
            kind: Kind = "approval" if number != 23 else "rollback"
            back = int(random.integers(1, 5))
            by_hand(lake, ds, kind, back, serves, number)
            changes.append((ds, number, back, kind == "approval"))
            serves = back
    return lake, changes


def test_each_day_began_with_what_was_done_last_before_it(
    written: tuple[Lake, list[Change]],
) -> None:
    lake, changes = written
    for first in (0, 12, 30):
        days = [shift(FIRST, number) for number in range(first, DAYS + 2)]
        expected = {}
        for day in days:
            done = [version for ds, _, version, _ in changes if ds < day]
            if done and done[-1]:
                expected[day] = done[-1]
        assert champions_on(lake, days) == expected
    assert champions_on(lake, []) == {}


@pytest.mark.parametrize("at_once", [1, 5, 56])
def test_the_last_succession_is_found_however_far_back_it_lies(
    written: tuple[Lake, list[Change]], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, changes = written
    monkeypatch.setattr(champion, "_AT_ONCE", at_once)
    for version in (1, 2, 3, 4, 9):
        for until in (shift(FIRST, 12), shift(FIRST, 25), shift(FIRST, DAYS)):
            came = [ds for ds, _, v, new in changes if new and v == version and ds <= until]
            found = last_succession(lake, version, until)
            assert (found and found.ds) == (came[-1] if came else None)
            for since in (shift(FIRST, 6), shift(FIRST, 24)):
                recent = [day for day in came if day >= since]
                found = last_succession(lake, version, until, since)
                assert (found and found.ds) == (recent[-1] if recent else None)


def test_no_promotion_from_before_the_bound_is_opened(
    written: tuple[Lake, list[Change]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, since, opened = written[0], shift(FIRST, 30), list[str]()
    read = lake.read

    def reads(table: Table, days: list[str], *columns: list[str]) -> pa.Table:
        opened.extend(days)
        return read(table, days, *columns)

    monkeypatch.setattr(lake, "read", reads)
    last_succession(lake, 9, shift(FIRST, DAYS), since)
    assert opened
    assert min(opened) >= since
