"""What holds by hand, in lines: what is blocked, what waits for a human, what has not ended."""

from __future__ import annotations

from collections.abc import Collection

from dayfold.by_hand import go_on_command
from feature_store.champion import waiting_now
from feature_store.lake import Lake
from feature_store.promotion_ledger import blocked_now, unfinished


def standing_lines(lake: Lake) -> list[str]:
    """One line, with the next command, for each thing that somebody may want to change."""
    blocked, proposal, begun = blocked_now(lake), waiting_now(lake), unfinished(lake)
    lines = [
        f"{day} is blocked. Next: dayfold release --day {day} --reason WHY"
        for day in sorted(blocked.days)
    ]
    if blocked.versions:
        named = ", ".join(map(str, sorted(blocked.versions)))
        lines.append(f"blocked versions: {named}. Next: dayfold release --version V --reason WHY")
    if proposal is not None:
        version = proposal.version
        lines.append(
            f"version {version} ({proposal.scorer}) of {proposal.ds} waits for approval. Next: "
            f"dayfold approve {version} --reason WHY, or dayfold reject {version} --reason WHY"
        )
    if begun is not None:
        lines.append(f"The {begun.kind} has not ended. Next: {go_on_command(begun)}")
    return lines


def waits_with_a_share(lake: Lake, versions: Collection[int]) -> list[str]:
    """That one of `versions`, which have a share of the requests, still waits for a human."""
    proposal = waiting_now(lake)
    if proposal is None or proposal.version not in versions:
        return []
    version = proposal.version
    return [
        f"version {version} waits for approval, and answers its share meanwhile. Next: dayfold "
        f"approve {version} --reason WHY, or dayfold reject {version} --reason WHY, which takes it "
        "out"
    ]
