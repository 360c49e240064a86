"""The rows that step promote writes of a day: its gates, its promotion, its map of scores."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from feature_store.lake import Lake
from feature_store.promotion_ledger import BY_HAND, events_until
from feature_store.step import StepContext
from feature_store.tables import GATES, PROMOTIONS, SCORE_MAPS, Table
from training.drift.score_map import quantile_map
from training.promotion.candidates import Aligned
from training.promotion.gate import GateDecision
from training.promotion.outcome import Outcome
from training.promotion.score_scale import same_rows_logits


def write_promotion(lake: Lake, ds: str, outcome: Outcome, state: str) -> None:
    """The day's row of `promotions`, in state `intent` or `done`."""
    _replace(lake, PROMOTIONS, ds, [_promotion(ds, outcome, state)])


def is_done(lake: Lake, ds: str, outcome: Outcome) -> bool:
    """Whether the ledger says already that this very promotion was finished."""
    return bool(lake.read(PROMOTIONS, [ds]).to_pylist() == [_promotion(ds, outcome, "done")])


def _promotion(ds: str, outcome: Outcome, state: str) -> dict[str, object]:
    after, before = outcome.after, outcome.before
    return {
        "ds": ds,
        "champion_version": 0 if after is None else after.version,
        "champion_scorer": "" if after is None else after.scorer,
        "previous_version": before.version if before and outcome.promoted else 0,
        "promoted": outcome.promoted,
        "state": state,
        "heads": json.dumps({} if after is None else after.heads, sort_keys=True),
        "reason": outcome.reason,
    }


def write_gates(
    lake: Lake, ds: str, decisions: Mapping[str, GateDecision], versions: Mapping[str, int]
) -> None:
    """The day's rows of `gates`, one per candidate."""
    rows: list[dict[str, object]] = [
        {
            "ds": ds,
            "scorer": scorer,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "version": versions.get(scorer, 0),
            "evidence": json.dumps(decision.evidence, sort_keys=True),
        }
        for scorer, decision in decisions.items()
    ]
    _replace(lake, GATES, ds, rows)


def write_score_map(context: StepContext, outcome: Outcome, aligned: Aligned | None) -> None:
    """The map from the replaced champion's scores to the new one's, on the rows of the day.

    Maps of changes by hand that hold after the day stay: the standing goes by those changes.
    """
    ds = context.ds
    rows: list[dict[str, object]] = []
    before, after = outcome.before, outcome.after
    logits = None
    if outcome.promoted and before and after and aligned:
        logits = same_rows_logits(context, aligned, before.version, after.version, after.scorer)
    if before and after and logits:
        mapped = quantile_map(*logits)
        rows = [
            {
                "ds": ds,
                "from_version": before.version,
                "to_version": after.version,
                "bin": position,
                "mapped_logit": float(logit),
            }
            for position, logit in enumerate(np.asarray(mapped))
        ]
    by_hand = _maps_by_hand(context.lake, ds)
    # a version leads to one other on a day: what was done by hand came last
    led = {row["from_version"] for row in by_hand}
    own = [row for row in rows if row["from_version"] not in led]
    _replace(context.lake, SCORE_MAPS, ds, [*own, *by_hand])


def _maps_by_hand(lake: Lake, ds: str) -> list[dict[str, object]]:
    """The rows of `score_maps` that a rollback or an approval after `ds` has written."""
    events = events_until(lake, ds, BY_HAND, since=ds)
    pairs = {(event.replaced_version, event.version) for event in events if event.holds}
    rows = lake.read(SCORE_MAPS, [ds]).to_pylist() if pairs else []
    return [row for row in rows if (row["from_version"], row["to_version"]) in pairs]


def _replace(lake: Lake, table: Table, ds: str, rows: list[dict[str, object]]) -> None:
    content = pa.Table.from_pylist(rows, lake.schema(table))
    lake.replace(table, {"ds": ds}, content, {"step": "promote", "ds": ds})
