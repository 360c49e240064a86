"""How a day's promotion ends: what serves after it, what waits for a human, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from feature_store.champion import Standing
from feature_store.lake import Lake
from feature_store.tables import DRIFT
from training.promotion.gate import GateDecision


@dataclass(frozen=True)
class Outcome:
    """How the day's promotion ends."""

    before: Standing | None
    after: Standing | None
    reason: str
    proposed: Standing | None = None
    """What the gate would have made champion, and a human has to approve."""

    @property
    def promoted(self) -> bool:
        """Whether the day changes the champion."""
        old = 0 if self.before is None else self.before.version
        return self.after is not None and self.after.version != old

    def challenger(self, versions: Mapping[str, int]) -> int:
        """Of the day's `versions`, by scorer, the one to be told apart; 0 = none.

        The one that waits; else the champion's family's, or the newest.
        """
        if self.proposed is not None:
            return self.proposed.version
        if self.after is None or not versions:
            return 0
        return versions.get(self.after.scorer, max(versions.values()))


def waiting_for(version: int) -> str:
    """How the reason of a proposal ends."""
    return f"; version {version} waits: dayfold approve {version} --reason WHY"


def outcome_of(
    lake: Lake,
    ds: str,
    before: Standing | None,
    decisions: Mapping[str, GateDecision],
    versions: Mapping[str, int],
    *,
    approval: bool,
) -> Outcome:
    """What the day's gates make of the standing with which it begins.

    Heads move as the gates say, whether or not the winner has to wait for `approval`: the next
    training must not wait for a human. Before the first champion there are none to move.
    """
    heads = {**({} if before is None else before.heads), **versions}
    kept = None if before is None else replace(before, heads=heads)
    for scorer, decision in decisions.items():
        if decision.outcome == "champion":
            winner = Standing(versions[scorer], scorer, heads)
            reason = f"{scorer}: {decision.reason}"
            if not approval:
                return Outcome(before, winner, reason)
            if before is None or winner.version != before.version:
                return Outcome(before, kept, reason + waiting_for(winner.version), proposed=winner)
    reasons = [f"{scorer} {decision.reason}" for scorer, decision in decisions.items()]
    return Outcome(before, kept, "; ".join(reasons) or _no_candidate(lake, ds))


def _no_candidate(lake: Lake, ds: str) -> str:
    """Why nothing was trained."""
    for row in lake.read(DRIFT, [ds]).to_pylist():
        if not row["train"]:
            return f"not trained, {row['decision']}: {row['reason']}"
        return "no scorer could be trained; see its task's log"
    return "nothing was trained"
