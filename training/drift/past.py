"""What earlier days decided, read from the lake."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from conf.drift import Extent
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import DRIFT
from training.drift.outcome import DriftDecision, PastDecision


def past_decisions(
    lake: Lake, ds: str, days: int, left_out: Collection[str]
) -> tuple[PastDecision, ...]:
    """Those of the `days` before `ds` that are not `left_out`, ascending."""
    first = shift(ds, -days)
    found = [day for day in lake.days(DRIFT) if first <= day < ds and day not in left_out]
    rows = lake.read(DRIFT, found, ["ds", "train", "evidence"])
    said = rows.sort_by("ds").to_pylist()
    return tuple(_past(row["ds"], row["train"], json.loads(row["evidence"])) for row in said)


def past_of(ds: str, decision: DriftDecision) -> PastDecision:
    """A decision that was just made, to the days after it."""
    evidence = {**decision.evidence, "extent": decision.extent}
    return _past(ds, decision.train, evidence)


def extent_decided(lake: Lake, ds: str) -> Extent:
    """How much `ds` trains: what its drift decision says, `incremental` where it says nothing."""
    for row in lake.read(DRIFT, [ds], ["train", "evidence"]).to_pylist():
        return _extent(row["train"], json.loads(row["evidence"])) or "incremental"
    return "incremental"


def _past(ds: str, train: bool, evidence: Mapping[str, Any]) -> PastDecision:
    return PastDecision(
        ds,
        bool(evidence.get("labels_drifted")),
        train,
        _extent(train, evidence),
        first_tested=evidence.get("first_tested", ""),
        usual_since=evidence.get("usual_since", ""),
        ended=evidence.get("ended", ""),
        untested=all(test["name"] == "score" for test in evidence.get("tests", ())),
        trained_to=evidence.get("trained_to", ""),
    )


def _extent(train: bool, evidence: Mapping[str, Any]) -> Extent | None:
    return evidence.get("extent") if train else None
