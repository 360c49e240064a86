"""A/B by version as people read it: in the terminal, and in the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.lake import Lake
from feature_store.ledger import closed_days

if TYPE_CHECKING:
    from training.measures.arms import Arm

HEADINGS = ("version", "users", "hits per user and day", "active", "difference", "95 % interval")


def arms_of_days(lake: Lake, last: int, log: Path | None = None) -> list[Arm]:
    """The arms over the `last` published days, or over a server's log; none without a pool."""
    from training.measures.arms import arms_of_lists, arms_of_log
    from training.registry.champion import standing_after

    days = [ds for ds, row in sorted(closed_days(lake).items()) if row.state == "published"]
    if log is not None:
        return arms_of_log(lake, log, "")
    standing = standing_after(lake, days[-1]) if days else None
    return arms_of_lists(lake, days[-last:], standing.version) if standing else []


def arm_cells(arms: Sequence[Arm]) -> list[tuple[str, ...]]:
    """One row of text per arm, under `HEADINGS`."""
    rows: list[tuple[str, ...]] = []
    for arm in arms:
        difference = interval = "-"
        if arm.difference is not None:
            difference = f"{arm.difference:+.4f}"
            if arm.low is not None:
                interval = f"[{arm.low:+.4f}, {arm.high:+.4f}]"
        name = f"v{arm.version}" if arm.version.isdecimal() else arm.version
        cells = (name, f"{arm.users:,}", f"{arm.hits:.4f}", f"{arm.active:.1%}")
        rows.append((*cells, difference, interval))
    return rows
