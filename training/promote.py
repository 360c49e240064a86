"""Step promote: gate the candidates, register those that pass, move the champion.

The order of the writes makes a kill at any point harmless, because each is found again:
    1. a version per candidate that passed (found by tag `promote_key`, or created with its tags)
    2. the intent, in the ledger of promotions
    3. aliases `head-*`, `challenger`, `previous`
    4. alias `champion`: the commit
    5. gates and score map, then the row `done`: steps read that row, never an alias
    6. the event, in the ledger of all changes
An alias that a later day, or a rollback since, has set is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from feature_store.lake import Lake
from feature_store.promotion_ledger import last_by_hand
from feature_store.step import StepContext, StepResult
from feature_store.tables import DRIFT, EXAMPLES, GATES, PROMOTIONS, SCORE_MAPS, Table
from training.drift.score_map import quantile_map
from training.promotion.assemble import Assembly
from training.promotion.candidates import (
    Aligned,
    TrainedCandidate,
    aligned_scores,
    candidates_of,
)
from training.promotion.gate import GateDecision, decide, not_evaluated
from training.promotion.gate_record import log_gates
from training.promotion.noted import note_promotion
from training.promotion.retriever import find_retriever
from training.promotion.score_scale import same_rows_logits
from training.registry.champion import Standing, replaced_before, standing_before
from training.registry.registry import Registry


@dataclass(frozen=True)
class Outcome:
    """How the day's promotion ends."""

    before: Standing | None
    after: Standing | None
    reason: str

    @property
    def promoted(self) -> bool:
        """Whether the day changes the champion."""
        old = 0 if self.before is None else self.before.version
        return self.after is not None and self.after.version != old


def run(context: StepContext) -> StepResult:
    """Write gates, score_maps and promotions of the day; register versions and move aliases."""
    lake, ds = context.lake, context.ds
    registry = Registry(context.settings, lake.id)
    before = standing_before(lake, ds)
    candidates = candidates_of(lake, context.settings, ds)
    aligned = _aligned(context, candidates, before)
    decisions = _gated(context, candidates, aligned, before)
    versions, decisions = _register(context, registry, before, candidates, decisions)
    outcome = _outcome(lake, ds, before, decisions, versions)
    if outcome.promoted and not _is_done(lake, ds, outcome):
        _write_promotion(lake, ds, outcome, "intent")
    _move_aliases(lake, registry, ds, outcome, versions)
    _write_gates(lake, ds, decisions, versions)
    _write_score_map(context, outcome, aligned)
    _write_promotion(lake, ds, outcome, "done")
    if outcome.promoted and outcome.after is not None:
        note_promotion(lake, registry, ds, outcome.before, outcome.after, outcome.reason)
    return _result(outcome)


# ---- gate --------------------------------------------------------------------------------------


def _aligned(
    context: StepContext, candidates: Sequence[TrainedCandidate], before: Standing | None
) -> Aligned | None:
    if not candidates:
        return None
    return aligned_scores(
        context.lake,
        context.ds,
        [candidate.scorer for candidate in candidates],
        has_champion=before is not None,
        half_life_days=context.settings.recommend.popularity_half_life_days,
    )


def _gated(
    context: StepContext,
    candidates: Sequence[TrainedCandidate],
    aligned: Aligned | None,
    before: Standing | None,
) -> dict[str, GateDecision]:
    """The decision on each candidate, in their order."""
    if aligned is None:
        return {}
    ds = context.ds
    decided = decide(
        aligned.scored,
        champion_family=None if before is None else before.scorer,
        gate=context.settings.gate,
        ds=ds,
    )
    examples = context.lake.read(EXAMPLES, [ds], ["example_id"]).num_rows
    names = [candidate.scorer for candidate in candidates]
    return {name: decided.get(name) or not_evaluated(name, ds, examples) for name in names}


def _register(
    context: StepContext,
    registry: Registry,
    before: Standing | None,
    candidates: Sequence[TrainedCandidate],
    decisions: dict[str, GateDecision],
) -> tuple[dict[str, int], dict[str, GateDecision]]:
    """The versions of those that passed, by scorer, and the decisions.

    Without a retriever nothing can be served: then all are rejected.
    """
    trained = {candidate.scorer: candidate for candidate in candidates}
    passed = {name: c for name, c in trained.items() if decisions[name].outcome != "rejected"}
    versions: dict[str, int] = {}
    if passed:
        recalls = context.settings.training.scorers[0]
        retriever = find_retriever(
            registry,
            before,
            trained=trained.get(recalls),
            scorer=recalls,
            may_lead=recalls in passed or context.dataset.labels.kind == "sampled",
        )
        if retriever is None:
            decisions = _without_retriever(decisions, recalls)
        else:
            assembly = Assembly(context, registry, retriever)
            versions = {name: assembly.register(c) for name, c in passed.items()}
    runs = {name: candidate.run_id for name, candidate in trained.items()}
    log_gates(registry, context.ds, runs, decisions, context.settings.gate)
    return versions, decisions


def _without_retriever(
    decisions: Mapping[str, GateDecision], recalls: str
) -> dict[str, GateDecision]:
    reason = f"rejected: there is no {recalls} that could recall for it"
    return {
        name: decision
        if decision.outcome == "rejected"
        else replace(decision, outcome="rejected", reason=reason)
        for name, decision in decisions.items()
    }


def _outcome(
    lake: Lake,
    ds: str,
    before: Standing | None,
    decisions: Mapping[str, GateDecision],
    versions: Mapping[str, int],
) -> Outcome:
    heads = {**({} if before is None else before.heads), **versions}
    for scorer, decision in decisions.items():
        if decision.outcome == "champion":
            after = Standing(versions[scorer], scorer, heads)
            return Outcome(before, after, f"{scorer}: {decision.reason}")
    reasons = [f"{scorer} {decision.reason}" for scorer, decision in decisions.items()]
    reason = "; ".join(reasons) or _no_candidate(lake, ds)
    return Outcome(before, None if before is None else replace(before, heads=heads), reason)


def _no_candidate(lake: Lake, ds: str) -> str:
    """Why nothing was trained."""
    for row in lake.read(DRIFT, [ds]).to_pylist():
        if not row["train"]:
            return f"not trained, {row['decision']}: {row['reason']}"
        return "no scorer could be trained; see its task's log"
    return "nothing was trained"


# ---- aliases -----------------------------------------------------------------------------------


def _move_aliases(
    lake: Lake, registry: Registry, ds: str, outcome: Outcome, versions: Mapping[str, int]
) -> None:
    """Make the aliases say what the day's standing says, unless a later day has moved them.

    Also where the day promotes nothing: an earlier run of it, or of the days before, may have.
    """
    after, by_hand = outcome.after, last_by_hand(lake, "9999-12-31")
    if after is None or (by_hand is not None and by_hand.ds >= ds):
        return  # a rollback that was made since has set them
    aliases = registry.aliases()

    def may_move(alias: str) -> bool:
        return alias not in aliases or registry.version_tags(aliases[alias])["ds"] <= ds

    for scorer, version in after.heads.items():
        if may_move(f"head-{scorer}"):
            registry.set_head(scorer, version)
    if versions and may_move("challenger"):
        registry.set_challenger(versions.get(after.scorer, max(versions.values())))
    if may_move("champion"):
        replaced = replaced_before(lake, ds)
        if outcome.promoted:
            replaced = 0 if outcome.before is None else outcome.before.version
        registry.set_champion(after.version, replaced)


# ---- rows --------------------------------------------------------------------------------------


def _write_promotion(lake: Lake, ds: str, outcome: Outcome, state: str) -> None:
    _replace(lake, PROMOTIONS, ds, [_promotion(ds, outcome, state)])


def _is_done(lake: Lake, ds: str, outcome: Outcome) -> bool:
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


def _write_gates(
    lake: Lake, ds: str, decisions: Mapping[str, GateDecision], versions: Mapping[str, int]
) -> None:
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


def _write_score_map(context: StepContext, outcome: Outcome, aligned: Aligned | None) -> None:
    """The map from the replaced champion's scores to the new one's, on the rows of the day."""
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
    _replace(context.lake, SCORE_MAPS, ds, rows)


def _replace(lake: Lake, table: Table, ds: str, rows: list[dict[str, object]]) -> None:
    content = pa.Table.from_pylist(rows, lake.schema(table))
    lake.replace(table, {"ds": ds}, content, {"step": "promote", "ds": ds})


def _result(outcome: Outcome) -> StepResult:
    after = outcome.after
    version = 0 if after is None else after.version
    what = f"version {version} ({after.scorer})" if after else "no champion"
    verb = "promoted" if outcome.promoted else "kept"
    summary = f"{verb} {what}: {outcome.reason}" if after else f"{what}: {outcome.reason}"
    scorer = after.scorer if after else ""
    return StepResult(summary, {"promoted": outcome.promoted, "version": version, "scorer": scorer})
