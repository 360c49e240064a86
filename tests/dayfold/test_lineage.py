"""The tree behind a day's table names the commit that wrote the day, not the table's last one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dayfold.lineage import table_lineage
from dayfold.workplace import Workplace
from feature_store.erasure import repoint_ledger
from feature_store.lake import Lake
from feature_store.tables import EVENTS
from feature_store.tombstones import LINEAGE as BY_FORGET
from tests.dayfold.forget_fixture import DAYS
from tests.dayfold.lineage_fixture import ran, text_of

EARLY, LATE = DAYS[:2]


@pytest.fixture
def place(shop: Workplace) -> Workplace:
    """A home with a raw zone, in which there are no files."""
    (shop.raw_root / "events").mkdir(parents=True)
    return shop


@pytest.fixture
def cleaned(place: Workplace) -> Workplace:
    """EARLY was cleaned and closed with configuration `early`, then LATE with `late`."""
    for ds, configuration in ((EARLY, "early"), (LATE, "late")):
        lake = lake_of(place, configuration)
        recorded(lake, ds, written(lake, ds, {"step": "clean_events", "ds": ds}))
    return place


def lake_of(place: Workplace, configuration: str) -> Lake:
    lineage = {"code_version": f"code-{configuration}", "config_hash": configuration}
    return Lake(place.lake().root, place.dataset, lineage)


def written(lake: Lake, ds: str, lineage: Mapping[str, str]) -> int:
    """Write the events of `ds` once more; the version."""
    rows = lake.read(EVENTS, [ds]).drop_columns(["ds"])
    return lake.replace(EVENTS, {"ds": ds}, rows, lineage)


def recorded(lake: Lake, ds: str, version: int) -> None:
    """The cleaning of `ds` left the events at `version`."""
    ran(lake, ds, "clean_events", {EVENTS.key: version})


def events_of(place: Workplace, ds: str) -> str:
    """The line of the tree that is about the events."""
    lines = text_of(table_lineage(place, EVENTS.key, ds)).splitlines()
    return next(line for line in lines if f"{EVENTS.key} ds={ds}" in line)


def test_a_day_names_its_own_commit_and_not_the_last_of_the_table(cleaned: Workplace) -> None:
    version = cleaned.lake().version(EVENTS) - 1
    wanted = f"version {version}, by clean_events (code code-early, configuration early)"
    assert wanted in events_of(cleaned, EARLY)
    assert "configuration late" in events_of(cleaned, LATE)


def test_a_version_that_another_day_made_does_not_stand_for_the_day(cleaned: Workplace) -> None:
    lake = cleaned.lake()
    recorded(
        lake, EARLY, lake.version(EVENTS)
    )  # two days were cleaned at once: the later commit counts
    assert "configuration early" in events_of(cleaned, EARLY)


def test_a_day_without_rows_names_its_commit_too(cleaned: Workplace) -> None:
    lake, ds = lake_of(cleaned, "empty"), "2026-03-01"
    recorded(lake, ds, written(lake, ds, {"step": "clean_events", "ds": ds}))
    assert "configuration empty" in events_of(cleaned, ds)


def test_a_day_without_rows_of_a_bulk_build_names_the_builds_commit(place: Workplace) -> None:
    lake, days = lake_of(place, "bulk"), ["2026-03-01", "2026-03-02"]
    rows = lake.read(EVENTS, [EARLY]).drop_columns(["ds"])
    by_day = {days[0]: rows.slice(0, 0), days[1]: rows}
    made = lake.replace_days(EVENTS, by_day, {"step": "clean_events", "ds": days[1]})
    recorded(lake, days[0], made)
    written(lake_of(place, "late"), LATE, {"step": "clean_events", "ds": LATE})
    assert "configuration bulk" in events_of(place, days[0])


def test_what_rewrote_a_day_is_said_and_its_step_still_named(cleaned: Workplace) -> None:
    lake = lake_of(cleaned, "of-forget")
    rewritten = written(lake, EARLY, BY_FORGET)
    repoint_ledger(lake, [EVENTS])
    shown = events_of(cleaned, EARLY)
    assert "configuration early" in shown
    assert f"rewritten by forget (version {rewritten})" in shown
    assert "rewritten" not in events_of(cleaned, LATE)
    recorded(lake, EARLY, rewritten)
    assert "configuration early" in events_of(cleaned, EARLY)


def test_without_a_commit_of_its_step_a_day_says_what_rewrote_it(place: Workplace) -> None:
    lake = lake_of(place, "of-forget")
    rewritten = written(lake, EARLY, BY_FORGET)  # before it, the fixture's, which is no step
    recorded(lake, EARLY, rewritten)
    shown = events_of(place, EARLY)
    assert "of-forget" not in shown
    assert f"rewritten by forget (version {rewritten})" in shown
