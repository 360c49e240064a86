"""Does a day's cost grow with history? Every Spark step on days 54 to 60 and on days 114 to 120.

    python -m benchmarks.features
    python -m benchmarks.features --users 10000 --runs 3

Two lakes whose logs begin 60 days apart end on the same date: so the measured week is the same
distance from the last full base of the state in both, and only the history before it differs. The
simulated shop gains neither users nor items, so that both weeks are of one volume. The days before
are built in bulk, three more run uncounted, then a whole week runs day by day, each lake in
processes of its own, in turn. Seconds and CPU-seconds are means over the week of what each step
recorded of itself (`reports.step_runs`), the JVM's included; memory is the peak of the processes
that ran the week. `ratio_day120_to_day60` is that of the step and resource that grew most.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.pseudonym import make_key
from conf.settings import Settings, SparkSettings
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.ledger import close_day
from feature_store.tables import INTAKE, STEP_RUNS
from pipelines.sources.simulator import SimulationSettings, simulate

LAST = "2026-04-27"
HORIZONS = (60, 120)
"""Days of each log, LAST included."""
MEASURED_DAYS = 7
WARM_UP_DAYS = 3
STEPS = ("clean_events", "encode_profiles", "build_features", "build_examples")
RESOURCES = ("seconds", "cpu_seconds")


def first_day(horizon: int) -> str:
    """The day on which the log of `horizon` days begins."""
    return shift(LAST, 1 - horizon)


def build_in_bulk(home: Path, horizon: int) -> None:
    """The lake of `horizon`, up to the day before its warm-up."""
    place = _workplace(home, horizon, large_days=True)
    days = list(days_between(first_day(horizon), shift(LAST, -MEASURED_DAYS - WARM_UP_DAYS)))
    for name in STEPS:
        print(horizon, name, run_step(place, name, days).summary, flush=True)
    for ds in days:
        close_day(place.lake(), ds, "history", "built in bulk", {"step": "benchmark"})


def run_week(home: Path, horizon: int) -> None:
    """Warm-up and measured days of `horizon`, one by one."""
    place = _workplace(home, horizon, large_days=False)
    for ds in days_between(shift(LAST, 1 - MEASURED_DAYS - WARM_UP_DAYS), LAST):
        for name in ("open_day", *STEPS):
            run_step(place, name, [ds])
        close_day(place.lake(), ds, "published", "no model", {"step": "benchmark"})
        print(horizon, ds, flush=True)


def _workplace(home: Path, horizon: int, *, large_days: bool) -> Workplace:
    spark = SparkSettings(large_days=large_days, driver_memory="4g")
    raw, lake = (str(home / f"{what}-{horizon}") for what in ("raw", "lake"))
    settings = Settings(home=str(home), raw=raw, lake=lake, spark=spark)
    return Workplace(settings, load_dataset("simulated"))


def costs(home: Path, horizon: int, turn: int) -> list[dict[str, Any]]:
    """What the steps of the measured week recorded, and the raw rows of its days."""
    lake = Lake(home / f"lake-{horizon}", load_dataset("simulated"))
    days = list(days_between(shift(LAST, 1 - MEASURED_DAYS), LAST))
    intake = lake.read(INTAKE, days).to_pylist()
    rows_in = sum(row["rows"] for row in intake if row["outcome"] == "read") / MEASURED_DAYS
    rows = lake.read(STEP_RUNS, days).to_pylist()
    kept = ("ds", "step", "seconds", "cpu_seconds", "peak_memory_mb")
    return [
        {"turn": turn, "horizon": horizon, "raw_rows_per_day": round(rows_in)}
        | {name: row[name] for name in kept}
        for row in rows
        if row["step"] in STEPS
    ]


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means per step and horizon, and their ratios."""
    early, late = HORIZONS
    summary: dict[str, float] = {}
    for horizon in HORIZONS:
        mine = [row for row in rows if row["horizon"] == horizon]
        summary[f"raw_rows_per_day_{horizon}"] = mine[0]["raw_rows_per_day"]
        summary[f"peak_memory_mb_{horizon}"] = statistics.median(
            max(row["peak_memory_mb"] for row in mine if row["turn"] == turn)
            for turn in {row["turn"] for row in mine}
        )
        for step in STEPS:
            for what in RESOURCES:
                found = [row[what] for row in mine if row["step"] == step]
                summary[f"{step}_{what}_{horizon}"] = statistics.mean(found)
    ratios = {
        f"ratio_{step}_{what}": summary[f"{step}_{what}_{late}"] / summary[f"{step}_{what}_{early}"]
        for step in STEPS
        for what in RESOURCES
    }
    ratios["ratio_peak_memory"] = (
        summary[f"peak_memory_mb_{late}"] / summary[f"peak_memory_mb_{early}"]
    )
    for what in RESOURCES:
        totals = [sum(summary[f"{step}_{what}_{h}"] for step in STEPS) for h in HORIZONS]
        ratios[f"ratio_all_steps_{what}"] = totals[1] / totals[0]
    return summary | ratios | {"ratio_day120_to_day60": max(ratios.values())}


def benchmark(home: Path, users: int, items: int, runs: int) -> Path:
    """Build both lakes, run each week `runs` times in turn; the result file."""
    home.mkdir(parents=True, exist_ok=True)
    make_key(home / "pseudonym.key")
    shop = SimulationSettings(
        users=users, items=items, seed=5, new_users_per_day=0, new_items_per_day=0
    )
    for horizon in HORIZONS:
        print(simulate(home / f"raw-{horizon}", first_day(horizon), LAST, shop), flush=True)
        built = home / f"built-{horizon}"
        if not built.exists():
            shutil.rmtree(home / f"lake-{horizon}", ignore_errors=True)
            _in_a_process(home, "build", horizon)
            (home / f"lake-{horizon}").rename(built)
    rows: list[dict[str, Any]] = []
    for turn in range(1, runs + 1):
        for horizon in HORIZONS if turn % 2 else reversed(HORIZONS):
            lake = home / f"lake-{horizon}"
            shutil.rmtree(lake, ignore_errors=True)
            shutil.copytree(home / f"built-{horizon}", lake)
            _in_a_process(home, "week", horizon)
            rows += costs(home, horizon, turn)
    return write_result("features", {"users": users, **summarised(rows)}, rows)


def _in_a_process(home: Path, part: str, horizon: int) -> None:
    command = [sys.executable, "-m", "benchmarks.features", "--home", str(home)]
    subprocess.run([*command, "--part", part, "--horizon", str(horizon)], check=True)  # noqa: S603


def main() -> None:
    """Run the benchmark, or the part of it that needs a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/features"))
    parser.add_argument("--part", choices=("all", "build", "week"), default="all")
    parser.add_argument("--horizon", type=int, choices=HORIZONS, default=HORIZONS[0])
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    os.environ["DAYFOLD__HOME"] = str(home)
    if arguments.part == "build":
        build_in_bulk(home, arguments.horizon)
    elif arguments.part == "week":
        run_week(home, arguments.horizon)
    else:
        print(benchmark(home, arguments.users, arguments.items, arguments.runs))


if __name__ == "__main__":
    main()
