"""The gate: may a candidate replace what serves? Pure functions on arrays.

A family's update must be no worse than its own head; where the champion's family has none (a human
has blocked it), than the champion. The champion's own family then takes the place with fresh
weights; another family takes it only when it is superior. The update must besides
be no worse than an anchor, what headed its family four weeks ago: day by day a loss within the
margin would pass, and four weeks of them would not be noticed. The guardrails hold for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from conf.settings import GateSettings
from feature_store.days import ordinal
from training.promotion.comparison import Comparison, Floats, Integers, compare
from training.promotion.guardrails import (
    Bools,
    Guardrail,
    broken,
    calibrated,
    finite,
    no_worse_log_loss,
    no_worse_on_new,
    not_comparable,
)
from training.promotion.served_bars import Served, served_well

Outcome = Literal["champion", "head", "inconclusive", "rejected"]


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
    anchor_loss: Floats | None = None
    """Of what headed its family `gate.anchor_days` ago; None = that is the head, or nothing."""
    new_user: Bools | None = None
    """Rows of users of whom nothing was known the evening before."""
    new_item: Bools | None = None
    served: Served = field(default_factory=Served)


@dataclass(frozen=True)
class GateDecision:
    """What becomes of one candidate.

    `champion`: it serves; `head`: the next candidate of its family starts from it. `inconclusive`:
    the day has too few rows to tell whether it is worse, and nothing else speaks against it;
    `rejected`: a bar is broken. Neither of both is registered: what it started from stays.
    """

    scorer: str
    outcome: Outcome
    reason: str
    """One sentence: which bar, and by how much."""
    evidence: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether it becomes a version."""
        return self.outcome in ("champion", "head")


@dataclass(frozen=True)
class _Judged:
    """One candidate against its own references, before the candidates are compared."""

    scored: Scored
    own: Comparison | None
    champion: Comparison | None
    anchor: Comparison | None
    guardrails: list[Guardrail]

    @property
    def broken(self) -> list[str]:
        """Every bar that it breaks, in words."""
        if self.own is None and not self.guardrails:
            return [_NO_ROWS]
        bars = [broken(self.guardrails)]
        if self.own is not None and not _no_worse(self.own):
            bars.append(self.own.sentence())
        if self.anchor is not None and self._below_anchor(self.anchor):
            bars.append(f"{self.anchor.sentence()}, beyond the margin")
        return [bar for bar in bars if bar]

    def _below_anchor(self, anchor: Comparison) -> bool:
        """By the point estimate: over the days it stops a decay as surely as an interval would.

        The chance of a harmful update is what the comparison with the head keeps small. One that
        is shown to be better than its head passes all the same: the worse one would serve on.
        """
        better = self.own is not None and self.own.verdict == "superior"
        return anchor.difference > anchor.margin and not better

    @property
    def passes(self) -> bool:
        return not self.broken

    @property
    def undecided(self) -> bool:
        """Whether too few rows are all that speaks against it."""
        only = len(self.broken) == 1 and self.own is not None and not _no_worse(self.own)
        return only and self.own is not None and self.own.verdict == "inconclusive"

    @property
    def mean_loss(self) -> float:
        return float(self.scored.loss.mean())


_BASELINE = "the baseline"
_CHAMPION = "the champion"
_NO_ROWS = "the day has no rows to test it on"


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
    judged = {
        scored.scorer: _judge(scored, champion_family, gate, seed, len(candidates))
        for scored in candidates
    }
    winner, why = _winner(judged, champion_family, gate, seed)
    return {
        name: _decision(one, champion_family, f"champion ({why})" if name == winner else None)
        for name, one in judged.items()
    }


def not_evaluated(scorer: str, ds: str, examples: int) -> GateDecision:
    """The rejection of a candidate without scores, on a day of `examples` rows."""
    why = _NO_ROWS
    if examples:
        why = (
            f"it was not evaluated, there are no scores of the day's {examples} examples. "
            f"Next: dayfold step evaluate --ds {ds} --scorer {scorer}"
        )
    return GateDecision(scorer, "rejected", f"rejected: {why}", {})


def _judge(
    scored: Scored, champion_family: str | None, gate: GateSettings, seed: int, candidates: int
) -> _Judged:
    if not len(scored.loss):
        return _Judged(scored, None, None, None, [])
    sound = finite(scored.loss)
    if not sound.passed:
        return _Judged(scored, None, None, None, [sound])
    name, reference = _own_reference(scored, champion_family)
    own = compare(
        name, user=scored.user, loss=scored.loss, reference_loss=reference, gate=gate, seed=seed
    )
    champion = anchor = None
    if scored.champion_loss is not None:
        champion = _against(_CHAMPION, scored, scored.champion_loss, gate, seed, candidates)
    lost = not_comparable("anchor", scored.anchor_loss)
    if scored.anchor_loss is not None and not lost:
        name = f"{scored.scorer} of {gate.anchor_days} days ago"
        anchor = _against(name, scored, scored.anchor_loss, gate, seed, 1)
    return _Judged(scored, own, champion, anchor, [sound, *lost, *_guardrails(scored, gate, seed)])


def _own_reference(scored: Scored, champion_family: str | None) -> tuple[str, Floats]:
    """What an update has to be no worse than, and its losses.

    Without a head, the champion's own family is held to the champion: beating the baseline would
    make a head, and so the next day a champion, of what is worse than what serves.
    """
    if scored.head_loss is not None:
        return f"head-{scored.scorer}", scored.head_loss
    if scored.scorer == champion_family and scored.champion_loss is not None:
        return _CHAMPION, scored.champion_loss
    return _BASELINE, scored.baseline_loss


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
    if comparison.reference == _BASELINE and comparison.difference >= 0:
        return False
    return comparison.no_worse


def _guardrails(scored: Scored, gate: GateSettings, seed: int) -> list[Guardrail]:
    """Against the head, else against the champion."""
    logits, labels, before = scored.logits, scored.labels, scored.reference_logits
    loss, reference = scored.loss, scored.head_loss
    if reference is None:
        reference = scored.champion_loss
    slices = (
        ("loss on new users", scored.new_user, gate.max_new_user_increase),
        ("loss on new items", scored.new_item, gate.max_new_item_increase),
    )
    return [
        *calibrated(logits, labels, before, gate),
        no_worse_log_loss(scored.user, logits, labels, before, gate, seed),
        *(
            no_worse_on_new(
                name, rows, scored.user, loss, reference, share=share, gate=gate, seed=seed
            )
            for name, rows, share in slices
        ),
        *served_well(scored.served, gate),
    ]


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


def _decision(one: _Judged, champion_family: str | None, won: str | None) -> GateDecision:
    scorer = one.scored.scorer
    bar = one.own.sentence() if one.own else ""
    evidence: dict[str, Any] = {
        "guardrails": [asdict(guardrail) for guardrail in one.guardrails],
        "broken": one.broken,
    }
    compared = {"own": one.own, "champion": one.champion, "anchor": one.anchor}
    evidence |= {name: asdict(against) for name, against in compared.items() if against}
    if one.undecided and one.own is not None:
        more = f"about {one.own.rows_to_decide:,} rows like these would decide"
        said = f"inconclusive: {one.own.sentence()}; {more}"
        return GateDecision(scorer, "inconclusive", said, evidence)
    if not one.passes:
        return GateDecision(scorer, "rejected", f"rejected: {'; '.join(one.broken)}", evidence)
    if won is not None:
        # what takes another family's place did so by the champion, not by its own head
        by = one.champion if one.champion and scorer != champion_family else one.own
        return GateDecision(scorer, "champion", f"{won}: {by.sentence() if by else bar}", evidence)
    place = one.champion.sentence() if one.champion else bar
    return GateDecision(scorer, "head", f"head of its family, not champion: {place}", evidence)
