"""Rejected rows: what they look like."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from conf.cleaning import REASONS
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

    if reason is not None and reason not in REASONS:
        raise ConfigError(f"--reason {reason!r} is not known: expected one of {REASONS}.")
    lake = workplace.lake()
    if not lake.read(INTAKE, [ds]).num_rows:
        raise MissingPartition(
            f"{ds} was not cleaned. Next: dayfold status, or `dayfold run --from {ds} --to {ds}`."
        )
    rows = lake.read(QUARANTINE, [ds]).sort_by(
        [("stream", "ascending"), ("file", "ascending"), ("line", "ascending")]
    )
    return [
        row
        for row in rows.to_pylist()
        if reason in (None, row["reason"]) and stream in (None, row["stream"])
    ]


def rejected_table(ds: str, rows: list[dict[str, Any]], limit: int) -> RichTable:
    """The first `limit` rows as a table."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[f"{row['stream']} {row['reason']}"] += 1
    title = ", ".join(f"{what} {n:,}" for what, n in sorted(counts.items())) or "nothing rejected"
    table = RichTable(title=f"{ds}: {title}", title_justify="left")
    for heading in ("stream", "file", "line", "reason", "row, masked"):
        # Folded, not cut: on a narrow terminal the end of a row is what matters.
        table.add_column(heading, justify="right" if heading == "line" else "left", overflow="fold")
    for row in rows[:limit]:
        cells = (row["stream"], row["file"], f"{row['line']}", row["reason"], row["masked_line"])
        table.add_row(*(escape(cell or "") for cell in cells))
    return table


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows for programs."""
    return json.dumps({"rows": rows})
