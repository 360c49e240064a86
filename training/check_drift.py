"""Step check_drift: the day's sketch and the reference days', as the drift decision sees them."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa

from feature_store.champion import standing_before, succession_to_champion
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.promotion_ledger import blocked_before
from feature_store.step import StepContext, StepResult
from feature_store.tables import CANDIDATES, DRIFT, INPUT_COUNTS, LEDGER, SKETCHES
from training.drift.counted_days import counts_of, score_maps
from training.drift.day_counts import DayCounts
from training.drift.decision import decide
from training.drift.input_drift import moved_inputs, moved_slices
from training.drift.outcome import History
from training.drift.past import past_decisions


def run(context: StepContext) -> StepResult:
    """Decide whether, and how much, the day trains; writes the one row of table `drift`."""
    left_out = days_left_out(context)
    today, history = seen(context, left_out)
    sampled = context.dataset.labels.kind == "sampled"
    decision = decide(context.ds, today, history, context.settings.drift, sampled=sampled)
    evidence = {**decision.evidence, "extent": decision.extent, **_explained(context, left_out)}
    row = {
        "ds": context.ds,
        "decision": decision.decision,
        "train": decision.train,
        "reason": decision.reason,
        "evidence": json.dumps(evidence, sort_keys=True),
    }
    context.lake.replace(
        DRIFT,
        {"ds": context.ds},
        pa.Table.from_pylist([row], context.lake.schema(DRIFT)),
        {"step": "check_drift", "ds": context.ds},
    )
    return StepResult(
        f"{decision.decision}: {decision.reason}",
        {"decision": decision.decision, "train": decision.train},
    )


def days_left_out(context: StepContext) -> frozenset[str]:
    """The reference days that say nothing of what is usual: waived, or blocked when `ds` began.

    What a blocked day decided and trained counts for nothing either: it was taken back.

    Only the ledger's rows of these days are read: it has one of every day that there was.
    """
    lake, ds = context.lake, context.ds
    first = shift(ds, -context.settings.drift.reference_days)
    days = [day for day in lake.days(LEDGER) if first <= day < ds]
    states = lake.read(LEDGER, days, ["ds", "state"]).to_pylist()
    waived = {row["ds"] for row in states if row["state"] == "waived"}
    return frozenset(waived | blocked_before(lake, ds).days)


def _explained(context: StepContext, left_out: frozenset[str]) -> dict[str, object]:
    """What moved among the inputs, and in which slices; nothing before the first champion."""
    lake, ds = context.lake, context.ds
    if ds not in lake.days(INPUT_COUNTS):
        return {}
    first = shift(ds, -context.settings.drift.reference_days)
    days = [day for day in lake.days(INPUT_COUNTS) if first <= day < ds and day not in left_out]
    return {"inputs": moved_inputs(lake, ds, days), "slices": moved_slices(lake, ds, days)}


def seen(context: StepContext, left_out: frozenset[str]) -> tuple[DayCounts | None, History]:
    """What the decision goes by: the day's sketch, None without rows, and what came before it.

    Read are `drift.reference_days` of sketches and decisions, so a day costs the same however many
    there are. `left_out`: days that are no reference, from `days_left_out`.
    """
    lake, ds, drift = context.lake, context.ds, context.settings.drift
    standing = standing_before(lake, ds)
    if standing is None:
        return None, History((), False, None, None)
    first = shift(ds, -drift.reference_days)
    earlier = [day for day in lake.days(SKETCHES) if first <= day < ds and day not in left_out]
    maps = score_maps(lake, first, ds)
    sampled = context.dataset.labels.kind == "sampled"
    counts = counts_of(lake, [*earlier, ds], standing.version, maps, sampled=sampled)
    history = History(
        days=tuple(counts[day] for day in earlier if day in counts),
        has_champion=True,
        champion_trained_to=_trained_to(lake, ds, first),
        last_training=last_training(lake.days(CANDIDATES), ds, left_out),
        decisions=past_decisions(lake, ds, drift.reference_days, left_out),
    )
    return counts.get(ds), history


def last_training(trained: Iterable[str], ds: str, left_out: frozenset[str]) -> str | None:
    """The last of the days that `trained` before `ds` that is not left out."""
    return max((day for day in trained if day < ds and day not in left_out), default=None)


def _trained_to(lake: Lake, ds: str, first: str) -> str | None:
    """The last training day of the champion with which `ds` begins; None if from before `first`."""
    succession = succession_to_champion(lake, ds, first)
    return shift(succession.tested, -1) if succession else None
