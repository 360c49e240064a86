"""Rejected rows: what they look like."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from conf.cleaning import Cleaning
from conf.errors import ConfigError, MissingPartition
from dayfold.workplace import Workplace


def rejected_rows(
    workplace: Workplace, ds: str, reason: str | None, stream: str | None = None
) -> list[dict[str, Any]]:
    """The rows that the cleaning of `ds` rejected, in the order of the raw files.

    Raises:
        ConfigError: there is no such reason.
        MissingPartition: the day was not cleaned.
    """
    from feature_store.tables import INTAKE, QUARANTINE

    lake = workplace.lake()
    if not lake.read(INTAKE, [ds]).num_rows:
        _require_known(workplace.dataset.cleaning, reason, set())
        raise MissingPartition(
            f"{ds} was not cleaned. Next: dayfold status, or `dayfold run --from {ds} --to {ds}`."
        )
    rows = lake.read(QUARANTINE, [ds]).sort_by(
        [("stream", "ascending"), ("file", "ascending"), ("line", "ascending")]
    )
    # A rule may have been changed or taken out since it rejected these rows.
    found = set(rows.column("reason").unique().to_pylist())
    _require_known(workplace.dataset.cleaning, reason, found)
    return [
        row
        for row in rows.to_pylist()
        if reason in (None, row["reason"]) and stream in (None, row["stream"])
    ]


def _require_known(cleaning: Cleaning, reason: str | None, found: Collection[str]) -> None:
    """Pass if `reason` is one that is declared, or among those `found` in the quarantine."""
    if reason is None or reason in found:
        return
    if reason in cleaning.own_rules and cleaning.severity(reason) == "warn":
        raise ConfigError(
            f"--reason {reason}: this rule has severity `warn`, its rows are kept and none is in "
            "the quarantine. Next: `dayfold status` shows three of them for each day."
        )
    known = cleaning.reasons
    if reason not in known:
        raise ConfigError(
            f"--reason {reason!r} is not known: expected one of {', '.join(known)}. "
            "Next: `dayfold quarantine rules` says what each of them means."
        )


def rejected_lines(
    ds: str, rows: list[dict[str, Any]], reason: str | None, limit: int
) -> Iterator[str]:
    """The first `limit` rows, two lines each: where it stands and why; the row, masked."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[f"{row['stream']} {row['reason']}"] += 1
    nothing = "nothing rejected" + (f" as {reason}" if reason else "")
    yield f"{ds}: " + (", ".join(f"{what} {n:,}" for what, n in sorted(counts.items())) or nothing)
    for row in rows[:limit]:
        yield f"{row['stream']}/{row['file']}:{row['line']}  {row['reason']}"
        yield f"  {row['masked_line'] or '(nothing to show)'}"
    if len(rows) > limit:
        yield f"{limit:,} of {len(rows):,} rows; all of them: --limit {len(rows)}, or --json"


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows for programs."""
    return json.dumps({"rows": rows})
