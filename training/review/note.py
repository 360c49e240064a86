"""What a run says of itself at the top of its page: what was decided, and why, with figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from feature_store.promotion_ledger import Blocked
from training.review.day_tags import Serving, waited

Row = Mapping[str, object]
_NOTHING_BLOCKED = Blocked()

_SHOWN = {
    "champion.auc": "AUC",
    "champion.log_loss": "log loss",
    "champion.rmse": "RMSE",
    "champion.mean_percentile_rank": "mean percentile rank",
}


def day_note(
    published: str,
    promotion: Row | None,
    serving: Serving,
    drift: Row | None,
    gates: Sequence[Row],
    metrics: Mapping[str, float],
    examples: int,
) -> str:
    """Markdown: the decision and why, and below it one line per candidate that lost.

    Args:
        published: what went out, as a clause.
        promotion: the day's row of table `promotions`.
        serving: who serves after the day.
        drift: its row of `drift`.
        gates: its rows of `gates`.
        metrics: the day's metrics, `subject.metric`.
        examples: rows that got their final label on the day.
    """
    won = [gate for gate in gates if gate["outcome"] == "champion"]
    why = _because(won, gates, promotion, "waited" if serving.by_hand else "waits")
    said = [*_serves(promotion, serving, why), _day(drift, bool(gates), published)]
    scored = [f"{name} {metrics[key]:.4f}" for key, name in _SHOWN.items() if key in metrics]
    if scored:
        said.append(f"On {examples:,} new examples the champion had {', '.join(scored)}.")
    lines = [f"- `{gate['scorer']}` {gate['reason']}" for gate in gates if gate not in won]
    return "\n".join([" ".join(said), *(["", *lines] if lines else [])])


def candidate_note(
    gate: Row, candidate: Row | None, *, waits: bool = False, blocked: Blocked = _NOTHING_BLOCKED
) -> str:
    """Markdown, two sentences: what became of the candidate and why; from what it was trained.

    Args:
        gate: its row of table `gates`.
        candidate: its row of `candidates`.
        waits: whether it won and a human has to approve it.
        blocked: what was blocked when its day began.
    """
    version = f", version {gate['version']}" if gate["version"] else ""
    outcome = str(gate["outcome"])
    reason = str(gate["reason"]).removeprefix(f"{outcome}: ")
    said = f"**{outcome.capitalize()}{version}**: {reason}."
    if waits:
        said = f"**Passed{version} waited for a human's word** (dayfold history): {reason}."
    if candidate is None:
        return said
    parent = candidate["parent_version"]
    start = f"from version {parent} on" if parent else "without a parent"
    days = blocked.span(str(candidate["first_day"]), str(candidate["last_day"]))
    return (
        f"{said} Trained {start}, on {_count(candidate['rows'])} rows of {days} and "
        f"{_count(candidate['replay_rows'])} replayed ones."
    )


def _serves(promotion: Row | None, serving: Serving, why: str) -> list[str]:
    """What was decided; where it was changed by hand, who serves since, and before it the rest."""
    own = _champion(promotion)
    if promotion is None or not serving.by_hand:
        return [f"**{own}**{why}."]
    now = f"version {serving.version} ({serving.scorer})" if serving.version else "no version"
    before = promotion["champion_version"]
    instead = f" in place of version {before}" if before else ""
    return [
        f"**Changed by hand ({serving.by_hand}): {now} serves{instead}**.",
        f"The day itself had decided: {own[:1].lower()}{own[1:]}{why}.",
    ]


def _champion(promotion: Row | None) -> str:
    if promotion is None or not promotion["champion_version"]:
        return "There is no champion yet"
    now = f"version {promotion['champion_version']} ({promotion['champion_scorer']})"
    if not promotion["promoted"]:
        return f"Champion kept: {now}"
    before = promotion["previous_version"]
    return f"Champion promoted: {now}" + (f" in place of version {before}" if before else "")


def _because(won: Sequence[Row], gates: Sequence[Row], promotion: Row | None, waits: str) -> str:
    """The bar that the winner took; those of the others stand in their own lines."""
    if won and waited(won[0], promotion):
        winner = f"version {won[0]['version']} ({won[0]['scorer']})"
        reason = str(won[0]["reason"]).removeprefix("champion: ")
        return f"; {winner} passed and {waits} for a human's word (dayfold history): {reason}"
    if won:
        return f": {won[0]['reason']}"
    return f", no candidate of {len(gates)} took its place" if gates else ""


def _day(drift: Row | None, tested: bool, published: str) -> str:
    """Whether it trained and why; and what went out."""
    out = f"{published[:1].upper()}{published[1:]}."
    if drift is None:
        return out
    if drift["train"]:
        trained = "It trained" if tested else "It was to train, and no candidate was tested"
    else:
        trained = "It trained all the same" if tested else "It did not train"
    return f"{trained} ({drift['decision']}: {drift['reason']}). {out}"


def _count(rows: object) -> str:
    return f"{int(str(rows)):,}"
