"""Steps that are on record as finished, and trees as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
from rich.console import Console
from rich.tree import Tree

from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.tables import STEP_RUNS


def ran(lake: Lake, ds: str, step: str, versions: Mapping[str, int] | None = None) -> None:
    """Record that `step` of `ds` left tables (by key) at `versions`; close the day."""
    row = {
        "ds": ds,
        "step": step,
        "finished_at": datetime.now(UTC),
        "summary": "",
        "table_versions": json.dumps(dict(versions or {})),
        "seconds": 0.0,
        "cpu_seconds": 0.0,
        "peak_memory_mb": 0.0,
    }
    rows = pa.Table.from_pylist([row], lake.schema(STEP_RUNS))
    lake.replace(STEP_RUNS, {"ds": ds, "step": step}, rows, {})
    close_day(lake, ds, "published", "published", {})


def text_of(tree: Tree) -> str:
    """What a wide terminal shows of `tree`."""
    console = Console(width=300, color_system=None)
    with console.capture() as capture:
        console.print(tree)
    return capture.get()
