"""A/B by version as people read it: in the terminal, and in the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.lake import Lake
from feature_store.ledger import closed_days

if TYPE_CHECKING:
    from training.measures.arms import Arm
    from training.registry.registry import Registry

HEADINGS = ("version", "users", "hits per user and day", "active", "difference", "95 % interval")


def arms_of_days(lake: Lake, last: int) -> list[Arm]:
    """The arms of the lists over the `last` published days; none without a pool."""
    from training.measures.arms import arms_of_lists

    days, champion = _published(lake)
    return [] if champion is None else arms_of_lists(lake, days[-last:], champion)


def arms_of_answers(
    lake: Lake, registry: Registry, last: int, log: Path
) -> tuple[list[Arm], list[str]]:
    """The arms of a server's log over the `last` published days; and what there is to warn of.

    Raises:
        ConfigError: the log cannot be read.
        RegistryError: the registry does not hold the champion.
    """
    from training.measures.answer_log import shown_by_log
    from training.measures.arms import arms_of_log
    from training.registry.release import name_in_answers

    days, champion = _published(lake)
    answered, damaged = shown_by_log(log)
    # a log knows versions by the name that they answer with, not by their number
    reference = None if champion is None else name_in_answers(registry, champion)
    found = arms_of_log(lake, answered, reference, days[-last:])
    warnings = []
    if damaged:
        warnings.append(f"{damaged} lines of {log} are no answers, and were skipped")
    if found.unknown:
        warnings.append(
            f"{len(found.unknown)} day(s) of {log} are not among the last {last} published ones, "
            f"and were left out, the first is {found.unknown[0]}"
        )
    if found.moved:
        warnings.append(
            f"{found.moved} users were answered by several versions, and were left out: the "
            "interval needs separate users. A sticky pool with the same weights moves nobody"
        )
    return found.arms, warnings


def _published(lake: Lake) -> tuple[list[str], int | None]:
    """The published days, and the champion after the last one."""
    from feature_store.champion import standing_after

    days = [ds for ds, row in sorted(closed_days(lake).items()) if row.state == "published"]
    standing = standing_after(lake, days[-1]) if days else None
    return days, standing.version if standing else None


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
