"""What the drift check costs a day: as the days before it grow in number, and as days grow in rows.

    dayfold bench drift_cost

Lakes of simulated days (benchmarks/drift_days.py), with a promotion every week, twenty slices a
sketch, the counts of twenty input fields and a row of the ledger, are written through the lake as
the day's steps do.
The step `check_drift` is then run several times on the day after them, in a process of its own.
What it reads are sketches and metrics, 56 days of them at most, so a day of a million rows costs
what a day of ten thousand does; `sketch_1m_rows_cpu_s` is what the day's own rows cost, once, when
it is scored. `ratio_960_to_60_days` is that of the medians of the CPU-seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.drift_days import World, days_of, steady
from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.promotion_ledger import PromotionEvent, write_event
from feature_store.step import StepContext
from feature_store.tables import (
    DRIFT,
    INPUT_COUNTS,
    LEDGER,
    PROMOTIONS,
    SCORE_MAPS,
    SKETCHES,
    TABLES,
)
from training import check_drift
from training.drift.day_counts import DayCounts
from training.drift.score_map import CENTRES
from training.measures.sketch import sketch_rows

CELLS = ((60, 10_000), (240, 10_000), (960, 10_000), (60, 1_000_000))
"""Days before, and rows a day."""
SLICES, FIELDS, VALUES, PROMOTED_EVERY = 20, 20, 40, 7
RATE = 0.1
LINEAGE = {"step": "benchmark", "ds": ""}


def write_lake(root: Path, days: int, rows: int) -> str:
    """A lake with `days` days before the day that is measured; gives that day."""
    lake = Lake(root, load_dataset("simulated"))
    random = np.random.default_rng(days)
    world = days_of(World("cost", steady(rows)), random)
    for number, day in zip(range(days + 1), world, strict=False):
        version = 1 + number // PROMOTED_EVERY
        for table, found in _rows_of(day, version, random):
            lake.replace(table, {"ds": day.ds}, found, LINEAGE)
        if number == days:
            return day.ds
        promoted = (number + 1) % PROMOTED_EVERY == 0
        champion = version + promoted
        _put(lake, PROMOTIONS, day.ds, _promotion(version, champion, promoted=promoted))
        if promoted:
            _put(lake, SCORE_MAPS, day.ds, *_map(version, champion))
            write_event(lake, _event(day.ds, version, champion), "done")
        evidence = json.dumps({"labels_drifted": False, "extent": None})
        said = {"decision": "skip", "train": False, "reason": "as usual", "evidence": evidence}
        _put(lake, DRIFT, day.ds, said)
        _put(lake, LEDGER, day.ds, _closed(3 * number))
    raise AssertionError("days_of never ends")


def _rows_of(
    day: DayCounts, version: int, random: np.random.Generator
) -> Iterator[tuple[Any, pa.Table]]:
    filled = np.flatnonzero(day.rows)
    parts = []
    for name in ("all", *(f"ctx_place={value}" for value in range(2, 2 + SLICES))):
        share = 1.0 if name == "all" else 1 / SLICES
        parts.append(
            pa.table(
                {
                    "model_version": pa.array([version] * len(filled), pa.int32()),
                    "slice": [name] * len(filled),
                    "bin": pa.array(filled, pa.int32()),
                    "n": pa.array(np.ceil(day.rows[filled] * share), pa.int64()),
                    "clicks": day.clicks[filled] * share,
                    "expected": day.expected[filled] * share,
                }
            )
        )
    yield SKETCHES, pa.concat_tables(parts)
    counts = random.integers(1, 1000, FIELDS * VALUES)
    yield (
        INPUT_COUNTS,
        pa.table(
            {
                "field": np.repeat([f"user.field_{number}" for number in range(FIELDS)], VALUES),
                "value": pa.array(np.tile(np.arange(VALUES), FIELDS), pa.int32()),
                "rows": pa.array(counts, pa.int64()),
                "new": pa.array(np.zeros(len(counts)), pa.int64()),
            }
        ),
    )


def _promotion(version: int, champion: int, *, promoted: bool) -> dict[str, Any]:
    return {
        "champion_version": champion,
        "champion_scorer": "mlp",
        "previous_version": version if promoted else 0,
        "promoted": promoted,
        "state": "done",
        "heads": json.dumps({"mlp": champion}),
        "reason": "benchmark",
    }


def _closed(version: int) -> dict[str, Any]:
    """As `close_day` writes it, which reads all days before: that costs the square of the days."""
    return {
        "state": "published",
        "closed_at": datetime.now(UTC),
        "reason": "benchmark",
        "table_versions": json.dumps({table.key: version for table in TABLES}),
        "code_version": "",
        "config_hash": "",
    }


def _event(ds: str, version: int, champion: int) -> PromotionEvent:
    heads = {"mlp": champion}
    done = PromotionEvent(ds, "promotion", champion, "mlp", version, heads, "benchmark", "nobody")
    return replace(done, number=version, at=datetime.now(UTC))


def _map(version: int, champion: int) -> list[dict[str, Any]]:
    return [
        {"from_version": version, "to_version": champion, "bin": place, "mapped_logit": float(to)}
        for place, to in enumerate(CENTRES + 0.01)
    ]


def _put(lake: Lake, table: Any, ds: str, *rows: dict[str, Any]) -> None:
    schema = pa.schema([field for field in lake.schema(table) if field.name != "ds"])
    lake.replace(table, {"ds": ds}, pa.Table.from_pylist(list(rows), schema), LINEAGE)


def costs(root: Path, ds: str, times: int) -> list[dict[str, float]]:
    """CPU-seconds and seconds of the step, after one run that is not counted."""
    dataset = load_dataset("simulated")
    found = []
    for turn in range(times + 1):
        # a lake of its own each time: nothing is kept from the run before
        context = StepContext((ds,), Lake(root, dataset), dataset, Settings())
        cpu, wall = time.process_time(), time.perf_counter()
        summary = check_drift.run(context).summary
        if turn:
            spent = {"cpu_seconds": time.process_time() - cpu}
            found.append(spent | {"seconds": time.perf_counter() - wall, "said": summary})
    return found


def sketch_cost(rows: int) -> float:
    """CPU-seconds to sketch so many rows with SLICES slices."""
    random = np.random.default_rng(0)
    logits, labels = random.normal(-2.4, 1.0, rows), (random.random(rows) < RATE).astype(float)
    place = random.integers(0, SLICES, rows)
    slices = {f"ctx_place={value}": place == value for value in range(SLICES)}
    begun = time.process_time()
    sketch_rows(1, logits, labels, slices)
    return time.process_time() - begun


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=7, help="runs of each cell [7]")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/drift_cost"))
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.cell:
        print(json.dumps(costs(Path(asked.cell[0]), asked.cell[1], asked.times)))
        return
    shutil.rmtree(asked.home, ignore_errors=True)
    rows = []
    for days, of_a_day in CELLS:
        root = asked.home.absolute() / f"{days}-{of_a_day}"
        ds = write_lake(root, days, of_a_day)
        command = [sys.executable, "-m", "benchmarks.drift_cost", "--cell", str(root), ds]
        said = subprocess.run(  # noqa: S603
            [*command, "--times", str(asked.times)], check=True, capture_output=True, text=True
        )
        for run in json.loads(said.stdout.splitlines()[-1]):
            rows.append({"days_before": days, "rows_a_day": of_a_day} | run)
        print(rows[-1], flush=True)
    summary = _summary(rows)
    for name, value in summary.items():
        print(f"{name:40} {value:.3f}")
    print(write_result("drift-cost", summary, rows))


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    def median(days: int, of_a_day: int) -> float:
        cell = {"days_before": days, "rows_a_day": of_a_day}
        return statistics.median(r["cpu_seconds"] for r in rows if cell.items() <= r.items())

    usual = median(60, 10_000)
    return {
        **{f"check_drift_cpu_s_{d}_days_{n}_rows": median(d, n) for d, n in CELLS},
        "ratio_960_to_60_days": median(960, 10_000) / usual,
        "ratio_1m_to_10k_rows": median(60, 1_000_000) / usual,
        "sketch_1m_rows_cpu_s": sketch_cost(1_000_000),
    }


if __name__ == "__main__":
    main()
