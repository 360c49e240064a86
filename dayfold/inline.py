"""The inline launcher's other end: runs a step in the calling process.

It is resolved by name, so that the DAG file and `dayfold.launch` import no engine.
"""

from __future__ import annotations

from dayfold.step import run_step
from dayfold.workplace import open_workplace


def run(name: str, ds: str, scorer: str | None) -> dict[str, object]:
    """Run one step of `ds`; give its facts and its summary."""
    result = run_step(open_workplace(), name, [ds], scorer)
    return {**result.facts, "summary": result.summary}
