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


def arms_of_days(lake: Lake, last: int, log: Path | None = None) -> tuple[list[Arm], list[str]]:
    """The arms over the `last` published days, none without a pool; and what there is to warn of.

    Of what was published, or of what a server's log says was answered.

    Raises:
        ConfigError: the log cannot be read.
    """
    from feature_store.champion import standing_after
    from training.measures.answer_log import shown_by_log
    from training.measures.arms import arms_of_lists, arms_of_log

    days = [ds for ds, row in sorted(closed_days(lake).items()) if row.state == "published"]
    standing = standing_after(lake, days[-1]) if days else None
    champion = standing.version if standing else 0
    if log is None:
        return (arms_of_lists(lake, days[-last:], champion) if standing else []), []
    answered, damaged = shown_by_log(log)
    arms, unknown = arms_of_log(lake, answered, str(champion), days[-last:])
    warnings = []
    if damaged:
        warnings.append(f"{damaged} lines of {log} are no answers, and were skipped")
    if unknown:
        warnings.append(
            f"{len(unknown)} days of {log} are not among the last {last} published ones, and were "
            f"left out: {unknown[0]} to {unknown[-1]}"
        )
    return arms, warnings


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
