"""What a day's run is filtered by: what was decided, who serves after it, and whether by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from feature_store.champion import standing_after
from feature_store.lake import Lake
from feature_store.promotion_ledger import last_that_moved
from feature_store.tables import DRIFT, GATES, PROMOTIONS


@dataclass(frozen=True)
class Serving:
    """Who serves after a day."""

    version: int
    """0 = nothing does."""
    scorer: str
    by_hand: str = ""
    """What changed it after the day's own promotion: rollback, approval, ...; empty = nothing."""


def serving_after(lake: Lake, ds: str, promotion: Mapping[str, object] | None) -> Serving:
    """Who serves after `ds`, whose row of table `promotions` is `promotion`."""
    standing = standing_after(lake, ds)
    version, scorer = (standing.version, standing.scorer) if standing else (0, "")
    events = last_that_moved(lake, ds)
    event = events[max(events)] if events else None
    if event is None or promotion is None or promotion["champion_version"] == version:
        return Serving(version, scorer)
    return Serving(version, scorer, event.kind)


def waited(gate: Mapping[str, object], promotion: Mapping[str, object] | None) -> bool:
    """Whether a row of `gates` won and a human has to approve it: its day did not promote it."""
    return (
        promotion is not None
        and gate["outcome"] == "champion"
        and gate["version"] != promotion["champion_version"]
    )


def outcome_tag(gate: Mapping[str, object], promotion: Mapping[str, object] | None) -> str:
    """The gate's outcome; `passed` of what won and had to wait, as it did not become champion."""
    return "passed" if waited(gate, promotion) else str(gate["outcome"])


def day_tags(lake: Lake, ds: str) -> dict[str, object]:
    """The tags that tell what became of `ds`; what it did not come to is left out."""
    gates = sorted(lake.read(GATES, [ds]).to_pylist(), key=lambda row: str(row["scorer"]))
    tags: dict[str, object] = {}
    promoted: Mapping[str, object] | None = None
    for drift in lake.read(DRIFT, [ds]).to_pylist():
        tags["decision"] = drift["decision"]
        tags["trained"] = "yes" if gates else "no"
    for promotion in lake.read(PROMOTIONS, [ds]).to_pylist():
        promoted, serving = promotion, serving_after(lake, ds, promotion)
        tags["promoted"] = "yes" if promotion["promoted"] else "no"
        tags["version"] = serving.version
        tags["by_hand"] = serving.by_hand or "no"
    if gates:
        said = (f"{gate['scorer']} {outcome_tag(gate, promoted)}" for gate in gates)
        tags["gate"] = ", ".join(said)
    return tags
