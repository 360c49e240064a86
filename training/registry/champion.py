"""Which version served on a day: read from the ledgers of promotions, never from an alias."""

from __future__ import annotations

import json
from dataclasses import dataclass

from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import last_by_hand
from feature_store.tables import PROMOTIONS


@dataclass(frozen=True)
class Standing:
    """What serves and what the next candidates start from."""

    version: int
    """Registered version of the champion."""
    scorer: str
    """The scorer of its ranker."""
    heads: dict[str, int]
    """The warm-start parent of each scorer family."""


def standing_before(lake: Lake, ds: str) -> Standing | None:
    """The standing with which `ds` begins, or None while there is no champion."""
    return standing_after(lake, shift(ds, -1))


def replaced_before(lake: Lake, ds: str) -> int:
    """The version that the champion with which `ds` begins took the place of; 0 = there is none.

    After a rollback that is what it had replaced when it was promoted itself.
    """
    rows = _promoted(lake, [day for day in lake.days(PROMOTIONS) if day < ds])
    by_hand = last_by_hand(lake, shift(ds, -1))
    if by_hand is not None and not any(str(row["ds"]) > by_hand.ds for row in rows):
        rows = [row for row in rows if row["champion_version"] == by_hand.version]
    last = max(rows, key=lambda row: str(row["ds"]), default=None)
    return int(str(last["previous_version"])) if last else 0


def standing_after(lake: Lake, ds: str) -> Standing | None:
    """The standing after the last finished promotion step, or rollback, on or before `ds`, or None.

    A promotion that was begun and never finished (state `intent`) does not count: its day was
    never published. A rollback holds after the day that was published last when it was made.
    """
    by_hand = last_by_hand(lake, ds)
    for day in reversed([day for day in lake.days(PROMOTIONS) if day <= ds]):
        if by_hand is not None and by_hand.ds >= day:
            return Standing(by_hand.version, by_hand.scorer, dict(by_hand.heads))
        row = lake.read(PROMOTIONS, [day]).to_pylist()[0]
        if row["state"] == "done":
            if not row["champion_version"]:
                return None
            return Standing(
                int(row["champion_version"]), row["champion_scorer"], json.loads(row["heads"])
            )
    return None


def _promoted(lake: Lake, days: list[str]) -> list[dict[str, object]]:
    """The finished promotions of `days`."""
    columns = ["ds", "promoted", "state", "previous_version", "champion_version"]
    rows = lake.read(PROMOTIONS, days, columns).to_pylist()
    return [row for row in rows if row["promoted"] and row["state"] == "done"]
