"""The note of a candidate's run, from rows alone."""

import pytest

from feature_store.promotion_ledger import Blocked
from training.review.note import candidate_note

GATE = {"version": 4, "outcome": "head", "reason": "head: of its family"}
CANDIDATE = {
    "parent_version": 3,
    "first_day": "2026-02-07",
    "last_day": "2026-02-10",
    "rows": 1_200,
    "replay_rows": 600,
}


@pytest.mark.parametrize(
    ("blocked", "days"),
    [
        ((), "2026-02-07 to 2026-02-10 and"),
        (("2026-02-07",), "2026-02-07 to 2026-02-10 without the blocked 2026-02-07 and"),
        (("2026-02-06", "2026-02-11"), "2026-02-07 to 2026-02-10 and"),
        (
            ("2026-02-09", "2026-02-08"),
            "2026-02-07 to 2026-02-10 without the blocked 2026-02-08, 2026-02-09 and",
        ),
    ],
)
def test_days_that_no_training_used_are_named(blocked: tuple[str, ...], days: str) -> None:
    note = candidate_note(GATE, CANDIDATE, blocked=Blocked(frozenset(blocked)))
    assert f"from version 3 on, on 1,200 rows of {days} 600 replayed ones." in note
