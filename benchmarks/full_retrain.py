"""What it gives, and costs, to teach a net all periods anew: what the other methods are held to.

It needs nothing of the chains, so that it can be run for more periods afterwards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.next_item import Predictions
from benchmarks.periods import Run, metrics_of, tests_of
from benchmarks.sequence_network import FIRST_PASSES, FIRST_RATE, Lesson, fresh, taught
from benchmarks.sessions import Sessions
from benchmarks.teaching import FULL, full_places


def with_full_retrains(
    rows: list[dict[str, Any]],
    periods: list[Sessions],
    items: int,
    run: Run,
    retrains: int,
    folder: Path,
) -> Iterator[dict[str, Any]]:
    """The first `retrains` of the `rows`, each with the figures of a full retrain beside.

    Those that `folder` holds are not run again.
    """
    for row in rows[:retrains]:
        if FULL not in row["cpu_seconds"]:
            kept = folder / f"full-{row['period']}.json"
            if not kept.exists():
                found = _retrained(periods[: row["period"] + 1], items, run)
                fresh_file = kept.with_suffix(".tmp")
                fresh_file.write_text(json.dumps(found))
                fresh_file.replace(kept)
            for part, figures in json.loads(kept.read_text()).items():
                row[part][FULL] = figures
        yield row


def _retrained(periods: list[Sessions], items: int, run: Run) -> dict[str, Any]:
    """Figures of the last of `periods`, by a net that was taught all before it."""
    number, known = len(periods) - 1, np.zeros(items, dtype=np.bool_)
    for sessions in periods[:-1]:
        known[sessions.items] = True
    past = [Predictions.of(sessions, known).drawn(run.taught, 0) for sessions in periods[:-1]]
    started = time.process_time()
    new = fresh(int(np.flatnonzero(known).max()) + 1, 0)
    net = taught(new, Lesson(Predictions.joined(past)), FIRST_PASSES, FIRST_RATE, 0)
    found: dict[str, Any] = {"cpu_seconds": time.process_time() - started}
    for name, test in tests_of(periods[-1], known, number, run).items():
        found[name] = metrics_of(full_places(net, test.drawn(run.network_predictions, number)))
    return found
