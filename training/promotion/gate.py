"""The gate: may a candidate replace what serves? Pure functions on arrays.

A family's update must be no worse than its own head. The champion's own family then takes the
place with fresh weights; another family takes it only when it is superior. The guardrails (finite
scores, calibration) hold for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from conf.settings import GateSettings
from feature_store.days import ordinal
from training.promotion.comparison import Comparison, Floats, Integers, compare
from training.scoring.metrics import sigmoid

Outcome = Literal["champion", "head", "rejected"]


@dataclass(frozen=True)
class Scored:
    """What the gate sees of one candidate: aligned arrays, (n,), one entry per example."""

    scorer: str
    user: Integers
    loss: Floats
    baseline_loss: Floats
    """Of what needs no model: the best constant probability or rating, or decayed popularity."""
    head_loss: Floats | None = None
    """Of its warm-start parent; None = it has none."""
    champion_loss: Floats | None = None
    """None = there is no champion."""
    logits: Floats | None = None
    """Log-odds, also of a rating's place on the scale; None where negatives are drawn, which sets
    the rate."""
    labels: Floats | None = None
    reference_logits: Floats | None = None
    """Log-odds of the head, else of the champion."""


@dataclass(frozen=True)
class GateDecision:
    """What becomes of one candidate."""

    scorer: str
    outcome: Outcome
    reason: str
    """One sentence: which bar, and by how much."""
    evidence: dict[str, Any]


@dataclass(frozen=True)
class _Judged:
    """One candidate against its own references, before the candidates are compared."""

    scored: Scored
    own: Comparison | None
    champion: Comparison | None
    guardrails: dict[str, Any]
    broken: str
    """The broken guardrail in words; empty = none."""

    @property
    def passes(self) -> bool:
        return not self.broken and self.own is not None and _no_worse(self.own)

    @property
    def mean_loss(self) -> float:
        return float(self.scored.loss.mean())


_BASELINE = "the baseline"


def decide(
    candidates: Sequence[Scored], *, champion_family: str | None, gate: GateSettings, ds: str
) -> dict[str, GateDecision]:
    """The outcome of every candidate of `ds`, by scorer; at most one becomes champion.

    Args:
        candidates: on the same examples, in the same order.
        champion_family: scorer of the champion; None = there is none, and the best candidate
            that beats the baseline becomes champion.
        gate: margin, confidence, guardrails.
        ds: the day; it seeds the resampling.
    """
    seed = ordinal(ds)
    judged = {scored.scorer: _judge(scored, gate, seed, len(candidates)) for scored in candidates}
    winner, why = _winner(judged, champion_family, gate, seed)
    return {
        name: _decision(one, f"champion ({why})" if name == winner else None)
        for name, one in judged.items()
    }


def not_evaluated(scorer: str, ds: str, examples: int) -> GateDecision:
    """The rejection of a candidate without scores, on a day of `examples` rows."""
    why = "the day has no rows to test it on"
    if examples:
        why = (
            f"it was not evaluated, there are no scores of the day's {examples} examples. "
            f"Next: dayfold step evaluate --ds {ds} --scorer {scorer}"
        )
    return GateDecision(scorer, "rejected", f"rejected: {why}", {})


def calibration_error(logits: Floats, clicks: float) -> tuple[float, float]:
    """log(observed/expected clicks) of log-odds (n,), and twice its standard error by chance."""
    probability = sigmoid(logits)
    expected = float(probability.sum())
    spread = float((probability * (1 - probability)).sum())
    error = float(np.log((clicks + 0.5) / (expected + 0.5)))
    return error, 2 * float(np.sqrt(spread)) / max(expected, 0.5)


def _judge(scored: Scored, gate: GateSettings, seed: int, candidates: int) -> _Judged:
    if not len(scored.loss):
        return _Judged(scored, None, None, {}, "the day has no rows to test it on")
    guardrails, broken = _guardrails(scored, gate)
    if not np.isfinite(scored.loss).all():
        return _Judged(scored, None, None, guardrails, broken)
    name, reference = _BASELINE, scored.baseline_loss
    if scored.head_loss is not None:
        name, reference = f"head-{scored.scorer}", scored.head_loss
    own = compare(
        name, user=scored.user, loss=scored.loss, reference_loss=reference, gate=gate, seed=seed
    )
    champion = None
    if scored.champion_loss is not None:
        champion = _against("the champion", scored, scored.champion_loss, gate, seed, candidates)
    return _Judged(scored, own, champion, guardrails, broken)


def _against(
    name: str, scored: Scored, loss: Floats, gate: GateSettings, seed: int, candidates: int
) -> Comparison:
    return compare(
        name,
        user=scored.user,
        loss=scored.loss,
        reference_loss=loss,
        gate=gate,
        seed=seed,
        candidates=candidates,
    )


def _no_worse(comparison: Comparison) -> bool:
    if comparison.verdict == "inconclusive":
        return comparison.difference <= 0
    if comparison.reference == _BASELINE and comparison.difference >= 0:
        return False
    return comparison.verdict in ("superior", "non_inferior")


def _guardrails(scored: Scored, gate: GateSettings) -> tuple[dict[str, Any], str]:
    """What was checked, and the broken guardrail in words (or nothing)."""
    bad = int((~np.isfinite(scored.loss)).sum())
    checked: dict[str, Any] = {"rows_not_finite": bad}
    if bad:
        return checked, f"{bad} of {len(scored.loss)} scores are not finite"
    if scored.logits is None or scored.labels is None:
        return checked, ""
    clicks = float(scored.labels.sum())
    error, noise = calibration_error(scored.logits, clicks)
    allowed = gate.max_calibration_error + noise
    if scored.reference_logits is not None:
        # Right after a change every model trained before it is off; the one that is less off than
        # what serves is still the better one to serve.
        allowed = max(allowed, abs(calibration_error(scored.reference_logits, clicks)[0]))
    checked |= {"log_observed_expected": error, "allowed": allowed}
    if abs(error) > allowed:
        return checked, f"|log observed/expected| is {abs(error):.3f}, at most {allowed:.3f} passes"
    return checked, ""


def _winner(
    judged: Mapping[str, _Judged], champion_family: str | None, gate: GateSettings, seed: int
) -> tuple[str | None, str]:
    passing = {name: one for name, one in judged.items() if one.passes}
    if champion_family is None:
        best = min(passing, key=lambda name: passing[name].mean_loss, default=None)
        return best, "the first one: best of those that beat the baseline"
    update = passing.get(champion_family)
    superior = [
        name
        for name, one in passing.items()
        if name != champion_family
        and one.champion is not None
        and one.champion.verdict == "superior"
        and (update is None or _beats(one, update, gate, seed, len(judged)))
    ]
    best = min(superior, key=lambda name: passing[name].mean_loss, default=None)
    if best is not None:
        return best, f"superior to {champion_family}"
    return (champion_family, "fresh weights of the champion's family") if update else (None, "")


def _beats(one: _Judged, update: _Judged, gate: GateSettings, seed: int, candidates: int) -> bool:
    against = _against("update", one.scored, update.scored.loss, gate, seed, candidates)
    return against.verdict == "superior"


def _decision(one: _Judged, champion: str | None) -> GateDecision:
    evidence: dict[str, Any] = {"guardrails": one.guardrails}
    if one.own is not None:
        evidence["own"] = asdict(one.own)
    if one.champion is not None:
        evidence["champion"] = asdict(one.champion)
    scorer = one.scored.scorer
    bar = one.own.sentence() if one.own else ""
    if not one.passes:
        return GateDecision(scorer, "rejected", f"rejected: {one.broken or bar}", evidence)
    if champion is not None:
        return GateDecision(scorer, "champion", f"{champion}: {bar}", evidence)
    place = one.champion.sentence() if one.champion else bar
    return GateDecision(scorer, "head", f"head of its family, not champion: {place}", evidence)
