"""What earlier days decided, read from the lake."""

from __future__ import annotations

import json
from collections.abc import Collection

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
    rows = lake.read(DRIFT, found, ["ds", "train", "evidence"]).sort_by("ds").to_pylist()
    return tuple(_past(row["ds"], row["train"], json.loads(row["evidence"])) for row in rows)


def past_of(ds: str, decision: DriftDecision) -> PastDecision:
    """A decision that was just made, to the days after it."""
    drifted = bool(decision.evidence.get("labels_drifted"))
    return PastDecision(ds, drifted, decision.train, decision.extent)


def extent_decided(lake: Lake, ds: str) -> Extent:
    """How much `ds` trains: what its drift decision says, `incremental` where it says nothing."""
    for row in lake.read(DRIFT, [ds], ["train", "evidence"]).to_pylist():
        return _past(ds, row["train"], json.loads(row["evidence"])).extent or "incremental"
    return "incremental"


def _past(ds: str, train: bool, evidence: dict[str, object]) -> PastDecision:
    extent = evidence.get("extent") if train else None
    return PastDecision(ds, bool(evidence.get("labels_drifted")), train, extent)  # type: ignore[arg-type]
