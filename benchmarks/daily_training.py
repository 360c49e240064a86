"""A scorer trained day after day: from its parent, and on all days anew. AUC of the next day.

    python -m benchmarks.daily_training
    python -m benchmarks.daily_training --methods finetune,recent,replay_distil --part tune
    python -m benchmarks.daily_training --quick

A simulated shop with new users and items every day and planted drifts of taste and click rate is
built once with Spark, in bulk. Each method then trains with `train_candidate`, as the daily step
does, on the days before each tested day: its own candidate of the day before is its parent,
whatever a gate would have said, so that what is forgotten adds up. All begin with one training on
the first HISTORY_DAYS days. Settings may be chosen on the days up to `tuned_until` (`--part tune`);
what is reported is of the days after it. Every day's result is kept in the home: the same command
goes on where it was stopped, and a method whose settings are others begins anew.

CPU-seconds are the process's own, of reading features and of training. `cost_share` is what
`incremental` took over the reported days as a share of what `full` took, `cost_growth_over_30_days`
what it took on the last third of them over what it took on the first third; `rows_growth_` the same
of the rows it trained on, for the shop grows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.pseudonym import make_key
from conf.settings import Settings, SparkSettings
from conf.training import TrainingSettings
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.days import days_between, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from pipelines.sources.simulator import PlantedDrift, SimulationSettings, simulate
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import load_scorer, save_scorer
from training.scoring.metrics import auc, log_loss

HISTORY_DAYS = 20
STEPS = ("clean_events", "encode_profiles", "build_features", "build_examples")
METHODS: dict[str, dict[str, Any]] = {
    "incremental": {},
    "finetune": {"replay": "none"},
    "uniform": {"replay": "uniform"},
    "recent": {"replay": "recent"},
    "exemplars": {"replay": "exemplars"},
    "replay_distil": {"distillation": 1.0},
    "full": {"start": "afresh"},
}
"""What each method changes in the default settings."""


@dataclass(frozen=True)
class Window:
    """The days of a log."""

    first: str
    tuned_until: str
    last: str


LONG = Window("2026-01-01", "2026-02-05", "2026-03-08")
SHORT = Window("2026-01-01", "2026-01-22", "2026-01-25")
SHOP = SimulationSettings(
    users=600,
    items=400,
    seed=11,
    new_users_per_day=4,
    new_items_per_day=5,
    drift=(
        PlantedDrift(day=date(2026, 1, 25), kind="taste", size=0.3),
        PlantedDrift(day=date(2026, 2, 10), kind="taste", size=0.3),
        PlantedDrift(day=date(2026, 2, 24), kind="ctr", size=0.3),
    ),
)


def build(home: Path, window: Window, shop: SimulationSettings) -> Lake:
    """The simulated shop's lake, made once."""
    home.mkdir(parents=True, exist_ok=True)
    make_key(home / "pseudonym.key")
    dataset, done = load_dataset("simulated"), home / "lake.built"
    if not done.exists():
        print(simulate(home / "raw", window.first, window.last, shop), flush=True)
        settings = Settings(
            home=str(home),
            raw=str(home / "raw"),
            lake=str(home / "lake"),
            spark=SparkSettings(large_days=True, driver_memory="3g"),
        )
        place, days = Workplace(settings, dataset), list(days_between(window.first, window.last))
        for name in STEPS:
            print(name, run_step(place, name, days).summary, flush=True)
        done.touch()
    return Lake(home / "lake", dataset)


@dataclass(frozen=True)
class Trial:
    """One scorer trained by one method, day after day, in a folder of its own."""

    lake: Lake
    home: Path
    scorer: str
    method: str
    settings: TrainingSettings

    @property
    def folder(self) -> Path:
        """Where its candidates and results are kept."""
        chosen = sha256(self.settings.model_dump_json().encode()).hexdigest()[:8]
        return self.home / f"{self.scorer}-{self.method}-{chosen}"

    def run(self, first: Path, days: Sequence[str]) -> list[dict[str, Any]]:
        """One row per day of `days`; what depends on no parent is not trained on other days.

        `first`: the candidate with which all methods begin, in a folder named by its day.
        """
        if self.settings.start == "afresh":
            return [self.day(ds, None) for ds in days]
        parent, rows = first, []
        for ds in days_between(shift(first.name, 1), days[-1]):
            row = self.day(ds, parent)
            parent = self.folder / ds
            rows += [row] if ds >= days[0] else []
        return rows

    def day(self, ds: str, parent: Path | None) -> dict[str, Any]:
        """Train for `ds` and test on it, unless that was done."""
        kept = self.folder / f"{ds}.json"
        if kept.exists():
            return dict(json.loads(kept.read_text()))
        cpu, clock = time.process_time(), time.perf_counter()
        version = 0 if parent is None else 1
        candidate = train_candidate(self.lake, self.settings, self.scorer, ds, parent, version)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        save_scorer(self.folder / ds, candidate.checkpoint)
        examples = self.lake.read(EXAMPLES, [ds])
        label = examples.column("label").to_numpy()
        rows = FeatureReader(self.lake, ds, ds).rows(examples)
        logits = load_scorer(self.folder / ds).logits(rows)
        trained = candidate.checkpoint.training
        row = {
            "method": self.method,
            "ds": ds,
            "auc": round(auc(logits, label), 6),
            "log_loss": round(log_loss(logits, label), 6),
            "cpu_seconds": round(cpu, 3),
            "seconds": round(clock, 3),
            "new_rows": trained.rows,
            "replay_rows": trained.replay_rows,
            "best_pass": candidate.best_pass,
        }
        kept.write_text(json.dumps(row))
        print(row, flush=True)
        return row


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over the days of each method, and the incremental one beside the full retrain."""
    summary: dict[str, float] = {}
    of = {name: [r for r in rows if r["method"] == name] for name in {r["method"] for r in rows}}
    for name, mine in sorted(of.items()):
        summary[f"days_{name}"] = len(mine)
        for what in ("auc", "log_loss", "cpu_seconds"):
            summary[f"{what}_{name}"] = statistics.mean(row[what] for row in mine)
    if "incremental" in of:
        third = max(1, len(of["incremental"]) // 3)
        early, late = of["incremental"][:third], of["incremental"][-third:]
        for what, key in (("cost", ("cpu_seconds",)), ("rows", ("new_rows", "replay_rows"))):
            first, last = (sum(row[k] for row in part for k in key) for part in (early, late))
            summary[f"{what}_growth_over_30_days"] = last / first
    if "incremental" in of and "full" in of:
        apart = [a["auc"] - b["auc"] for a, b in zip(of["incremental"], of["full"], strict=True)]
        summary["auc_difference"] = statistics.mean(apart)
        summary["auc_difference_worst_day"] = min(apart)
        summary["cost_share"] = summary["cpu_seconds_incremental"] / summary["cpu_seconds_full"]
    return summary


def measure(
    lake: Lake,
    home: Path,
    scorer: str,
    methods: Sequence[str],
    begin: str,
    days: Sequence[str],
    settings: TrainingSettings,
) -> list[dict[str, Any]]:
    """One row per method and day of `days`, of chains of trainings that begin for `begin`."""
    rows: list[dict[str, Any]] = []
    first = Trial(lake, home, scorer, "begin", settings)
    first.day(begin, None)
    for method in methods:
        chosen = TrainingSettings.model_validate(settings.model_dump() | METHODS[method])
        rows += Trial(lake, home, scorer, method, chosen).run(first.folder / begin, days)
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scorer", default="mlp")
    parser.add_argument("--methods", default="incremental,finetune,replay_distil,full")
    parser.add_argument("--part", choices=("report", "tune"), default="report")
    parser.add_argument("--days", type=int, help="only the first so many days")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON")
    parser.add_argument("--quick", action="store_true", help="four days of a small shop")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/daily-training"))
    arguments = parser.parse_args()
    home = arguments.home.absolute() / ("quick" if arguments.quick else "long")
    os.environ["DAYFOLD__HOME"] = str(home)
    window, shop = (
        (SHORT, SHOP.model_copy(update={"users": 60})) if arguments.quick else (LONG, SHOP)
    )
    lake = build(home, window, shop)
    begin = shift(window.first, HISTORY_DAYS)
    days = list(days_between(shift(window.tuned_until, 1), window.last))
    if arguments.part == "tune":
        days = list(days_between(shift(begin, 1), window.tuned_until))
    days = days[: arguments.days]
    changes = {name: json.loads(value) for name, value in (s.split("=", 1) for s in arguments.set)}
    settings = TrainingSettings.model_validate(changes)
    methods = arguments.methods.split(",")
    rows = measure(lake, home, arguments.scorer, methods, begin, days, settings)
    name = "daily-training" + ("" if arguments.part == "report" else "-tuning")
    print(write_result(name + ("-quick" if arguments.quick else ""), summarised(rows), rows))


if __name__ == "__main__":
    main()
