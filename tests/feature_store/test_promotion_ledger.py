"""The ledger of promotions: the order of its events, and what a new one costs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_store.lake import Lake
from feature_store.promotion_ledger import (
    Kind,
    PromotionEvent,
    all_events,
    begun,
    write_event,
)
from feature_store.tables import PROMOTION_LEDGER
from tests.training.lake_fixture import small_dataset

D1, D2, D3 = "2026-01-08", "2026-01-09", "2026-01-10"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Without any event."""
    return Lake(tmp_path / "lake", small_dataset())


def event(ds: str, version: int, kind: Kind = "promotion") -> PromotionEvent:
    return PromotionEvent(ds, kind, version, "mlp", version - 1, {"mlp": version}, "why", "who")


def noted(lake: Lake, ds: str, version: int) -> PromotionEvent:
    return write_event(lake, begun(lake, event(ds, version)), "done")


def test_events_stand_in_the_order_in_which_they_were_begun_whatever_their_days(
    lake: Lake,
) -> None:
    first, second = noted(lake, D1, 1), noted(lake, D3, 2)
    rollback = write_event(lake, begun(lake, event(D3, 1, "rollback")), "intent")
    write_event(lake, first, "done")  # its day was run again, and decided the same
    write_event(lake, rollback, "decided")
    write_event(lake, rollback, "done")
    again = noted(lake, D2, 3)  # an earlier day than the last one, begun after it
    release = noted(lake, D3, 4)
    order = [first, second, rollback, again, release]
    assert [one.name for one in all_events(lake)] == [one.name for one in order]
    numbers = [one.number for one in order]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_events_that_were_numbered_one_by_one_come_before_a_new_one(lake: Lake) -> None:
    for number, ds in enumerate((D1, D2, D3), start=1):
        numbered = PromotionEvent(
            ds, "promotion", 1, "mlp", 0, {}, "", "", number=number, at=datetime.now(UTC)
        )
        write_event(lake, numbered, "intent")
        write_event(lake, numbered, "done")
    assert begun(lake, event(D2, 2)).number > 3


def test_a_new_event_opens_none_of_the_others(lake: Lake) -> None:
    for version, ds in enumerate((D1, D2, D3), start=1):
        noted(lake, ds, version)
    for uri in lake.file_uris(PROMOTION_LEDGER, [D1, D2, D3]):
        Path(uri).unlink()  # whatever is opened is missed
    with pytest.raises(FileNotFoundError):
        all_events(lake)
    assert begun(lake, event(D3, 4)).number == 4
