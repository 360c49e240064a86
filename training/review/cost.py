"""What a day has cost, step by step: CPU-seconds, wall seconds, memory, and seconds of a GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping

from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import CANDIDATES, STEP_RUNS
from training.registry.pages import cost_on_timeline, log_table
from training.registry.registry import Registry

COST = "cost.json"
MEASURES = ("cpu_seconds", "wall_seconds", "peak_memory_mb", "gpu_seconds")


def log_cost(context: StepContext) -> StepResult:
    """Log the cost of all steps of the day to its run, and the totals to the timeline.

    It runs after the last step is recorded, since no step can tell its own cost; what this logging
    itself takes is in no figure.
    """
    lake, ds = context.lake, context.ds
    costs = costs_of(lake, ds)
    total = total_of(costs)
    registry = Registry(context.settings, lake.id)
    run_id = registry.day_run(ds)
    by_name = {
        f"cost.{step}.{measure}": value
        for step, cost in {**costs, "total": total}.items()
        for measure, value in cost.items()
    }
    registry.log(run_id, metrics=by_name)
    rows = [
        [step, *(cost.get(measure) for measure in MEASURES)]
        for step, cost in {**costs, "total": total}.items()
    ]
    log_table(registry, run_id, COST, ["step", *MEASURES], rows)
    totals = {f"cost.total.{measure}": value for measure, value in total.items()}
    cost_on_timeline(registry, ds, totals)
    return StepResult(f"{total['cpu_seconds']:.1f} CPU-seconds in {len(costs)} steps")


def costs_of(lake: Lake, ds: str) -> dict[str, dict[str, float]]:
    """The cost of each finished step of `ds` by measure, in the order in which they ended.

    Seconds of a GPU are there for a training that held one (or several: their sum).
    """
    rows = lake.read(STEP_RUNS, [ds]).sort_by("finished_at").to_pylist()
    costs = {
        str(row["step"]): {
            "cpu_seconds": float(row["cpu_seconds"]),
            "wall_seconds": float(row["seconds"]),
            "peak_memory_mb": float(row["peak_memory_mb"]),
        }
        for row in rows
    }
    for row in lake.read(CANDIDATES, [ds], ["scorer", "evidence"]).to_pylist():
        seconds = json.loads(row["evidence"]).get("gpu_seconds")
        step = f"train.{row['scorer']}"
        if seconds is not None and step in costs:
            costs[step]["gpu_seconds"] = float(seconds)
    return costs


def total_of(costs: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Sums over the steps; of memory the highest peak, since steps need not run at once."""
    total = {
        measure: sum(cost[measure] for cost in costs.values() if measure in cost)
        for measure in MEASURES
        if any(measure in cost for cost in costs.values())
    }
    if "peak_memory_mb" in total:
        total["peak_memory_mb"] = max(cost["peak_memory_mb"] for cost in costs.values())
    return total
