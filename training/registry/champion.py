"""Which version served on a day: read from the ledger of promotions, never from an alias."""

from __future__ import annotations

import json
from dataclasses import dataclass

from feature_store.days import shift
from feature_store.lake import Lake
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
    """The version that the last finished promotion before `ds` replaced; 0 = there is none."""
    days = [day for day in lake.days(PROMOTIONS) if day < ds]
    rows = lake.read(PROMOTIONS, days, ["ds", "promoted", "state", "previous_version"]).to_pylist()
    promoted = [row for row in rows if row["promoted"] and row["state"] == "done"]
    last = max(promoted, key=lambda row: str(row["ds"]), default=None)
    return int(last["previous_version"]) if last else 0


def standing_after(lake: Lake, ds: str) -> Standing | None:
    """The standing after the last finished promotion step on or before `ds`, or None.

    A promotion that was begun and never finished (state `intent`) does not count: its day was
    never published.
    """
    for day in reversed([day for day in lake.days(PROMOTIONS) if day <= ds]):
        row = lake.read(PROMOTIONS, [day]).to_pylist()[0]
        if row["state"] == "done":
            if not row["champion_version"]:
                return None
            return Standing(
                int(row["champion_version"]), row["champion_scorer"], json.loads(row["heads"])
            )
    return None
