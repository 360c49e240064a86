"""How many rows a rule may reject: a larger share is said, or fails the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from conf.cleaning import RuleSettings
from conf.errors import CheckFailed

EXAMPLES = 3


@dataclass(frozen=True)
class Excess:
    """A reason that rejected more of a stream's rows than it should."""

    stream: str
    reason: str
    rows: int
    of: int
    limit: float
    fails: bool

    def __str__(self) -> str:
        """What is too much, and the limit that says so."""
        key = "fail_above" if self.fails else "warn_above"
        return (
            f"{self.rows:,} of {self.of:,} rows of {self.stream} ({self.rows / self.of:.1%}) are "
            f"{self.reason}, more than cleaning.rules.{self.reason}.{key} allows ({self.limit:.1%})"
        )


def excesses(
    outcomes: Mapping[str, Mapping[str, int]], rules: Mapping[str, RuleSettings]
) -> list[Excess]:
    """The excesses of one day; of a reason that breaks both limits, the one that fails it.

    Args:
        outcomes: rows by stream and outcome (clean, or a reason).
        rules: by reason.
    """
    found = []
    for stream, counts in outcomes.items():
        of = sum(counts.values())
        for reason, rule in rules.items():
            rows = counts.get(reason, 0)
            for limit, fails in ((rule.fail_above, True), (rule.warn_above, False)):
                if limit is not None and of and rows / of > limit:
                    found.append(Excess(stream, reason, rows, of, limit, fails))
                    break
    return found


def refuse(found: Sequence[Excess], quarantine: pa.Table, ds: str) -> None:
    """Pass if none of the excesses fails the day.

    Raises:
        CheckFailed: one does; the message shows a few of the rows.
    """
    failing = [excess for excess in found if excess.fails]
    if not failing:
        return
    first = failing[0]
    mine = pc.and_(
        pc.equal(quarantine.column("stream"), first.stream),
        pc.equal(quarantine.column("reason"), first.reason),
    )
    rows = quarantine.filter(mine).sort_by([("file", "ascending"), ("line", "ascending")])
    shown = "; ".join(
        f"{row['file']} line {row['line']}: {row['masked_line'] or '(empty)'}"
        for row in rows.slice(0, EXAMPLES).to_pylist()
    )
    raise CheckFailed(
        f"{ds}: {'; '.join(map(str, failing))}. For example {shown}. Nothing was written. Next: "
        f"mend the raw files and run the day again, or raise the limit in conf/datasets/."
    )
