"""The day as a graph: every step, and the edges that follow from what steps read and write."""

from __future__ import annotations

import pipelines.steps
import training.steps
from conf.errors import ConfigError
from feature_store.step import Step
from feature_store.tables import Table

STEPS: tuple[Step, ...] = (*pipelines.steps.STEPS, *training.steps.STEPS)
OPENING = pipelines.steps.OPEN_DAY
BRANCH_AFTER = training.steps.CHECK_DRIFT
"""The step whose decision says whether the day trains."""


def step_named(name: str) -> Step:
    """The step called `name`.

    Raises:
        ConfigError: there is none.
    """
    for step in STEPS:
        if step.name == name:
            return step
    raise ConfigError(f"There is no step {name!r}: expected one of {[s.name for s in STEPS]}.")


def writer_of(table: Table) -> Step | None:
    """The one step that writes `table`; None for tables that steps do not write."""
    writers = [step for step in STEPS if table in step.writes]
    return writers[0] if writers else None


def edges() -> frozenset[tuple[str, str]]:
    """(earlier, later) for each pair in which `later` reads what `earlier` writes on the same day.

    The opening step comes before every step that reads the raw zone. A mapped step, which a day may
    do without, is waited for by the first step that reads it; those after it wait for that one.
    """
    by_tables = {
        (earlier.name, later.name)
        for later in STEPS
        for earlier in STEPS
        if set(earlier.writes) & set(later.reads)
    }
    by_raw_zone = {(OPENING.name, s.name) for s in STEPS if s.reads_raw and s is not OPENING}
    through = {
        (mapped.name, later)
        for mapped in STEPS
        if mapped.mapped
        for first, later in by_tables
        if (mapped.name, first) in by_tables and not step_named(first).mapped
    }
    return frozenset((by_tables | by_raw_zone) - through)


def upstream_of(step: Step) -> tuple[Step, ...]:
    """The steps whose tables `step` reads on the same day, in the order of the day."""
    pairs = edges()
    return tuple(earlier for earlier in STEPS if (earlier.name, step.name) in pairs)
