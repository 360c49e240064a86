"""How many rows a rule may reject, or note: a larger share is said, or fails the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from conf.cleaning import RuleSettings
from conf.errors import CheckFailed
from pipelines.noted_rows import EXAMPLES, Noted


@dataclass(frozen=True)
class Excess:
    """A rule that rejected or noted more of a stream's rows than it should."""

    stream: str
    rule: str
    says: str
    """What is the matter with the rows: `are bad_value`, `break price_is_sane, and were kept`."""
    rows: int
    of: int
    limit: float | None
    """The share that it may have; none = a rule of severity `warn` says each."""
    fails: bool
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """What is too much, and the limit that says so."""
        key = f"cleaning.rules.{self.rule}"
        each = f"as {key} warns of each"
        why = (
            each if self.limit is None else f"more than {key}.{self._key} allows ({self.limit:.4g})"
        )
        return (
            f"{self.rows:,} of {self.of:,} rows of {self.stream} ({self.rows / self.of:.1%}) "
            f"{self.says}, {why}"
        )

    @property
    def example(self) -> str:
        """A few of the rows, with file and line."""
        return "; ".join(self.examples)

    @property
    def _key(self) -> str:
        return "fail_above" if self.fails else "warn_above"


def excesses(
    outcomes: Mapping[str, Mapping[str, int]],
    quarantine: pa.Table,
    noted: Sequence[Noted],
    rules: Mapping[str, RuleSettings],
) -> list[Excess]:
    """The excesses of one day; of a rule that breaks both limits, the one that fails the day.

    Args:
        outcomes: rows by stream and outcome (clean, or a reason).
        quarantine: the day's rejected rows.
        noted: what rules of severity `warn` noted of the day's rows.
        rules: by name, as declared.
    """
    totals = {stream: sum(counts.values()) for stream, counts in outcomes.items()}
    return [*_rejected(outcomes, totals, quarantine, rules), *_noted(noted, totals, rules)]


def refuse(found: Sequence[Excess], ds: str, dataset: str) -> None:
    """Pass if none of the excesses fails the day.

    Raises:
        CheckFailed: one does; the message shows a few of the rows.
    """
    failing = [excess for excess in found if excess.fails]
    if not failing:
        return
    raise CheckFailed(
        f"{ds}: {'; '.join(map(str, failing))}. For example {failing[0].example}. Nothing was "
        "written. Next: mend the raw files and run the day again, or raise the limit in "
        f"conf/datasets/{dataset}.yaml."
    )


def _rejected(
    outcomes: Mapping[str, Mapping[str, int]],
    totals: Mapping[str, int],
    quarantine: pa.Table,
    rules: Mapping[str, RuleSettings],
) -> Iterator[Excess]:
    for stream, counts in outcomes.items():
        for name, rule in rules.items():
            reason = rule.reason or name
            rows = counts.get(reason, 0)
            exceeded = _exceeded(rule, rows, totals[stream])
            if rule.severity == "reject" and exceeded:
                shown = _examples(quarantine, stream, reason)
                yield Excess(stream, name, f"are {reason}", rows, totals[stream], *exceeded, shown)


def _noted(
    noted: Sequence[Noted], totals: Mapping[str, int], rules: Mapping[str, RuleSettings]
) -> Iterator[Excess]:
    for note in noted:
        rule, of = rules[note.rule], totals[note.stream]
        exceeded: tuple[float | None, bool] | None = _exceeded(rule, note.rows, of)
        if exceeded is None and rule.warn_above is None:
            exceeded = None, False
        if exceeded:
            kept = "" if exceeded[1] else " and were kept"
            says = f"break {note.rule}{kept}"
            yield Excess(note.stream, note.rule, says, note.rows, of, *exceeded, note.examples)


def _exceeded(rule: RuleSettings, rows: int, of: int) -> tuple[float, bool] | None:
    """The limit that is exceeded and whether it fails the day; the failing one first."""
    for limit, fails in ((rule.fail_above, True), (rule.warn_above, False)):
        if limit is not None and of and rows / of > limit:
            return limit, fails
    return None


def _examples(quarantine: pa.Table, stream: str, reason: str) -> tuple[str, ...]:
    mine = pc.and_(
        pc.equal(quarantine.column("stream"), stream), pc.equal(quarantine.column("reason"), reason)
    )
    rows = quarantine.filter(mine).sort_by([("file", "ascending"), ("line", "ascending")])
    return tuple(
        f"{row['file']} line {row['line']}: {row['masked_line'] or '(empty)'}"
        for row in rows.slice(0, EXAMPLES).to_pylist()
    )
