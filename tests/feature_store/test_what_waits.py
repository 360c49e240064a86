"""Which proposal waits for a human's word, by the events of the ledger."""

from __future__ import annotations

import pytest

from feature_store.promotion_ledger import PromotionEvent, waiting

D4, D5 = "2026-01-11", "2026-01-12"


def event(kind: str, ds: str, version: int, number: int, **more: object) -> PromotionEvent:
    facts: dict[str, object] = {"scorer": "mlp", "replaced_version": 0, "heads": {}, "reason": ""}
    facts |= {"actor": "", "state": "done", **more}
    return PromotionEvent(ds=ds, kind=kind, version=version, number=number, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("proposal", D4, 8, 1)], 8),
        ([event("proposal", D4, 8, 1), event("proposal", D5, 10, 2)], 10),
        # an earlier day that is run again does not take its place
        ([event("proposal", D5, 10, 1), event("proposal", D4, 8, 2)], 10),
        ([event("proposal", D4, 8, 1), event("promotion", D5, 10, 2)], None),
        # nor does it wait behind a later day that has promoted
        ([event("promotion", D5, 10, 1), event("proposal", D4, 8, 2)], None),
        # of one day, what was decided last
        ([event("proposal", D4, 8, 1), event("promotion", D4, 8, 2)], None),
        ([event("promotion", D4, 8, 1), event("proposal", D4, 8, 2)], 8),
        # by hand, whatever its day
        ([event("proposal", D5, 10, 1), event("rollback", D4, 4, 2)], None),
        ([event("proposal", D4, 8, 1), event("approval", D4, 8, 2)], None),
        # a day up to it that is run again proposes nothing anew, a later one does
        ([event("rollback", D4, 4, 1), event("proposal", D4, 8, 2)], None),
        ([event("rollback", D4, 4, 1), event("proposal", D5, 10, 2)], 10),
        # what is blocked cannot be approved, until it is released
        (
            [event("rollback", D4, 4, 1, versions=(10,)), event("proposal", D5, 10, 2)],
            None,
        ),
        (
            [
                event("rollback", D4, 4, 1, versions=(10,)),
                event("proposal", D5, 10, 2),
                event("release", D5, 4, 3, versions=(10,)),
            ],
            10,
        ),
    ],
)
def test_what_waits(events: list[PromotionEvent], expected: int | None) -> None:
    found = waiting(events)
    assert (found.version if found else None) == expected
