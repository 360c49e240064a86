"""Running one step of one day: inputs checked, work done, cost and completion recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from conf.errors import ConfigError, MissingPartition
from conf.processes import started_together
from conf.training import SCORER_NAMES
from dayfold.day import step_named, upstream_of
from dayfold.process_cost import cpu_seconds, peak_memory_mb
from dayfold.step_checks import recorded_checks, warnings_said
from dayfold.workplace import Workplace
from feature_store.locks import stepping
from feature_store.step import Step, StepContext, StepResult, resolve

if TYPE_CHECKING:
    from feature_store.lake import Lake

OPTIONAL_UPSTREAM = frozenset({"train", "evaluate"})
"""Steps that a day may do without: it did not retrain, or a scorer failed."""


def task_name(step: Step, scorer: str | None) -> str:
    """The step's name as recorded: `clean_events`, `train.mlp`."""
    return f"{step.name}.{scorer}" if scorer else step.name


def run_step(
    workplace: Workplace, name: str, days: Sequence[str], scorer: str | None = None
) -> StepResult:
    """Run the step `name` for `days` (one day, or consecutive days of history in bulk).

    Raises:
        ConfigError: there is no such step, or a scorer is missing or superfluous.
        MissingPartition: a step that writes one of its inputs has not finished for the day.
        ConcurrentWrite: `dayfold forget` is at work.
        DayfoldError: whatever the step itself refuses.
    """
    step = step_named(name)
    if step.mapped != (scorer is not None):
        enabled = ", ".join(workplace.settings.training.scorers)
        rule = f"needs --scorer, one of {enabled}" if step.mapped else "takes no --scorer"
        raise ConfigError(f"Step {name} {rule}.")
    if scorer is not None and scorer not in SCORER_NAMES:
        raise ConfigError(f"--scorer {scorer!r} is not known: expected one of {SCORER_NAMES}.")
    lake = workplace.lake()
    context = StepContext(tuple(days), lake, workplace.dataset, workplace.settings, scorer)
    with stepping(lake.root):
        # Within the lock: a day that is opened again takes back that its steps have finished.
        if len(days) == 1:
            _require_upstream(lake, step, days[0], scorer)
        return _run(step, context)


def _run(step: Step, context: StepContext) -> StepResult:
    """Run `step` and record that it has finished, what it cost and what its checks said."""
    lake, days, scorer = context.lake, context.days, context.scorer
    if not started_together().first:
        return resolve(step.entry)(context)  # the first process writes, and records for all
    _begin(lake, step, days, scorer)
    before = {table.key: lake.version(table) for table in step.writes}
    started = time.perf_counter()
    cpu_started = cpu_seconds()
    with recorded_checks(lake, step, task_name(step, scorer), days):
        result = resolve(step.entry)(context)
    result = replace(result, summary=result.said + warnings_said(lake.check_results))
    versions = {table.key: lake.version(table) for table in step.writes}
    written = {key: version for key, version in versions.items() if version != before[key]}
    cost = {
        "seconds": (time.perf_counter() - started) / len(days),
        "cpu_seconds": (cpu_seconds() - cpu_started) / len(days),
        "peak_memory_mb": peak_memory_mb(),
    }
    _record(lake, task_name(step, scorer), days, result, written, cost)
    if step.recorded:
        resolve(step.recorded)(context)
    return result


def _begin(lake: Lake, step: Step, days: Sequence[str], scorer: str | None) -> None:
    """Take back that the step has finished, before it changes its tables."""
    from feature_store.tables import CHECKS, STEP_RUNS

    task = task_name(step, scorer)
    lineage = {"step": task, "ds": days[-1]}
    for table in (STEP_RUNS, CHECKS):
        lake.clear(table, days, lineage, step=task)
    if scorer is not None:
        # What it left on another try must not be taken for this one's.
        for table in step.writes:
            lake.clear(table, days, lineage, scorer=scorer)


def finished_steps(lake: Lake, ds: str) -> dict[str, dict[str, Any]]:
    """The recorded runs of `ds`, by task name."""
    from feature_store.tables import STEP_RUNS

    return {row["step"]: row for row in lake.read(STEP_RUNS, [ds]).to_pylist()}


def _require_upstream(lake: Lake, step: Step, ds: str, scorer: str | None) -> None:
    finished = finished_steps(lake, ds)
    for earlier in upstream_of(step):
        if earlier.name in OPTIONAL_UPSTREAM and not step.mapped:
            continue
        wanted = task_name(earlier, scorer if earlier.mapped else None)
        if wanted not in finished:
            flag = f" --scorer {scorer}" if earlier.mapped else ""
            raise MissingPartition(
                f"Step {step.name} of {ds} reads what {wanted} writes, and {wanted} has not "
                f"finished for that day. Next: `dayfold step {earlier.name} --ds {ds}{flag}`"
            )


def _record(
    lake: Lake,
    task: str,
    days: Sequence[str],
    result: StepResult,
    written: dict[str, int],
    cost: dict[str, float],
) -> None:
    import pyarrow as pa

    from feature_store.tables import STEP_RUNS

    row = {
        "step": task,
        "finished_at": datetime.now(UTC),
        "summary": result.summary,
        "table_versions": json.dumps(written),
        **cost,
    }
    schema = lake.schema(STEP_RUNS)
    by_day = {
        ds: pa.Table.from_pylist(
            [{"ds": ds, **row, "warnings": [text for day, text in result.warnings if day == ds]}],
            schema,
        )
        for ds in days
    }
    lake.replace_days(STEP_RUNS, by_day, {"step": task, "ds": days[-1]}, step=task)
