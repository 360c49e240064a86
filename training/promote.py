"""Step promote: gate the candidates, register those that pass, move the champion.

The order of the writes makes a kill at any point harmless, because each is found again:
    1. a version per candidate that passed (found by tag `promote_key`, or created with its tags)
    2. the intent, in the ledger of promotions
    3. aliases `head-*`, `challenger`, `previous`
    4. alias `champion`: the commit
    5. gates and score map, then the row `done`: steps read that row, never an alias
    6. the event, in the ledger of all changes
An alias that a later day, or a change by hand since, has set is left alone. Where a human has to
approve, the winner waits as `challenger`, and the event is a proposal: see `training.approval`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from feature_store.champion import Standing, standing_before, succession_to_champion
from feature_store.lake import Lake
from feature_store.locks import changing_what_serves
from feature_store.promotion_ledger import last_by_hand
from feature_store.step import StepContext, StepResult
from feature_store.tables import EXAMPLES
from training.promotion.assemble import Assembly
from training.promotion.candidates import (
    Aligned,
    TrainedCandidate,
    aligned_scores,
    candidates_of,
)
from training.promotion.gate import GateDecision, decide, not_evaluated
from training.promotion.gate_record import log_gates
from training.promotion.noted import note_day
from training.promotion.outcome import Outcome, outcome_of, waiting_for
from training.promotion.overtaken import require_not_overtaken
from training.promotion.retriever import find_retriever
from training.promotion.rows import is_done, write_gates, write_promotion, write_score_map
from training.registry.registry import Registry


def run(context: StepContext) -> StepResult:
    """Write gates, score_maps and promotions of the day; register versions and move aliases.

    Raises:
        ConcurrentWrite: somebody else changes what serves.
        OrderError: what serves was changed by hand after the day was scored, or trained.
    """
    with changing_what_serves(context.lake.root):
        return _promote(context)


def _promote(context: StepContext) -> StepResult:
    lake, ds = context.lake, context.ds
    registry = Registry(context.settings, lake.id)
    before = standing_before(lake, ds)
    candidates = candidates_of(lake, context.settings, ds)
    require_not_overtaken(lake, ds, before, candidates)
    aligned = _aligned(context, candidates, before)
    decisions = _gated(context, candidates, aligned, before)
    versions, decisions = _register(context, registry, before, candidates, decisions)
    approval = context.settings.promotion.approval == "required"
    outcome = outcome_of(lake, ds, before, decisions, versions, approval=approval)
    if outcome.promoted and not is_done(lake, ds, outcome):
        write_promotion(lake, ds, outcome, "intent")
    _move_aliases(lake, registry, ds, outcome, versions)
    write_gates(lake, ds, decisions, versions)
    write_score_map(context, outcome, aligned)
    write_promotion(lake, ds, outcome, "done")
    waits = note_day(lake, registry, ds, outcome)
    return _result(outcome, waits)


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
    passed = {name: c for name, c in trained.items() if decisions[name].passed}
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
        name: replace(decision, outcome="rejected", reason=reason) if decision.passed else decision
        for name, decision in decisions.items()
    }


# ---- aliases -----------------------------------------------------------------------------------


def _move_aliases(
    lake: Lake, registry: Registry, ds: str, outcome: Outcome, versions: Mapping[str, int]
) -> None:
    """Make the aliases say what the day's standing says, unless a later day has moved them.

    Also where the day promotes nothing: an earlier run of it, or of the days before, may have.
    """
    after, by_hand = outcome.after, last_by_hand(lake, "9999-12-31")
    if by_hand is not None and by_hand.ds >= ds:
        return  # what was done by hand since has set them
    aliases = registry.aliases()

    def may_move(alias: str) -> bool:
        return alias not in aliases or registry.version_tags(aliases[alias])["ds"] <= ds

    challenger = outcome.challenger(versions)
    if challenger and may_move("challenger"):
        registry.set_challenger(challenger)
    if after is None:
        return
    for scorer, version in after.heads.items():
        if may_move(f"head-{scorer}"):
            registry.set_head(scorer, version)
    if may_move("champion"):
        if outcome.promoted:
            replaced = 0 if outcome.before is None else outcome.before.version
        else:
            came = succession_to_champion(lake, ds)
            replaced = came.replaced if came else 0
        registry.set_champion(after.version, replaced)


def _result(outcome: Outcome, waits: int) -> StepResult:
    after = outcome.after
    version = 0 if after is None else after.version
    what = f"version {version} ({after.scorer})" if after else "no champion"
    verb = "promoted" if outcome.promoted else "kept"
    reason = outcome.reason
    if outcome.proposed is not None and not waits:
        own = outcome.proposed.version
        reason = (
            f"{reason.removesuffix(waiting_for(own))}; a human answered for version {own} before"
        )
    summary = f"{verb} {what}: {reason}" if after else f"{what}: {reason}"
    scorer = after.scorer if after else ""
    facts = {"promoted": outcome.promoted, "version": version, "scorer": scorer, "waits": waits}
    return StepResult(summary, facts)
