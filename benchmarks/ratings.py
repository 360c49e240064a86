"""Predicted ratings day by day on MovieLens 100k: RMSE beside the mean of the item and biases.

    python -m benchmarks.ratings --source DIR

The lake is built once with Spark, in bulk, with labels of kind `rating`. Each scorer is trained on
the days before the first measured one and then goes on from its own candidate of the day before;
each day is predicted by what knows the days before it alone. So do the baselines: they are counted
anew from all ratings of earlier days.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.replay import KEY
from benchmarks.result import write_result
from conf.dataset import DatasetConfig, Labels, load_dataset
from conf.pseudonym import KEY_VARIABLE
from conf.settings import Settings, SparkSettings
from conf.training import TrainingSettings
from dayfold.step import run_step
from dayfold.workplace import Workplace
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from pipelines.sources.movielens_100k import import_movielens_100k
from training.features.reader import FeatureReader
from training.fitting.candidate import train_candidate
from training.fitting.checkpoint import load_scorer, save_scorer
from training.scoring.metrics import sigmoid

FIRST, TESTED_FROM, LAST = "1997-09-20", "1998-03-24", "1998-04-22"
STEPS = ("clean_events", "encode_profiles", "build_features", "build_examples")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def rated_dataset() -> DatasetConfig:
    """MovieLens 100k whose labels are its ratings."""
    labels = Labels(kind="rating", threshold=4.0, scale=(1.0, 5.0))
    return load_dataset("movielens-100k").model_copy(update={"labels": labels})


def build(home: Path, source: Path, dataset: DatasetConfig) -> Lake:
    """The lake of MovieLens 100k as `dataset` reads it, made once."""
    home.mkdir(parents=True, exist_ok=True)
    os.environ[KEY_VARIABLE] = KEY  # the users are public
    done = home / "lake.built"
    if not done.exists():
        print(import_movielens_100k(source, home / "raw", FIRST, LAST), flush=True)
        settings = Settings(
            home=str(home),
            raw=str(home / "raw"),
            lake=str(home / "lake"),
            spark=SparkSettings(large_days=True, driver_memory="3g"),
        )
        place, days = Workplace(settings, dataset), list(days_between(FIRST, LAST))
        for name in STEPS:
            print(name, run_step(place, name, days).summary, flush=True)
        done.touch()
    return Lake(home / "lake", dataset)


def means_before(item: Ints, rating: Floats, asked: Ints) -> Floats:
    """The mean rating of each asked item, or of everything where it has none.

    Args:
        item: (n,) of the ratings known.
        rating: (n,).
        asked: (m,) items.
    """
    size = int(max(item.max(), asked.max())) + 1
    count = np.bincount(item, minlength=size)
    total = np.bincount(item, rating, size)
    return np.where(count > 0, total / np.maximum(count, 1), rating.mean())[asked]


def biases_before(user: Ints, item: Ints, rating: Floats, asked: tuple[Ints, Ints]) -> Floats:
    """Mean + item's bias + user's bias, damped (Koren 2010, section 2.1: 25 and 10 ratings).

    Args:
        user: (n,) of the ratings known.
        item: (n,).
        rating: (n,).
        asked: (m,) users and (m,) items.
    """
    mean = rating.mean()
    of_items = _damped(item, rating - mean, 25.0, int(max(item.max(), asked[1].max())) + 1)
    rest = rating - mean - of_items[item]
    of_users = _damped(user, rest, 10.0, int(max(user.max(), asked[0].max())) + 1)
    return np.asarray(mean + of_users[asked[0]] + of_items[asked[1]])


def _damped(of: Ints, values: Floats, damping: float, size: int) -> Floats:
    return np.bincount(of, values, size) / (np.bincount(of, minlength=size) + damping)


def predictions(lake: Lake, home: Path, scorer: str, days: list[str]) -> dict[str, Floats]:
    """Predicted ratings of each day's examples, 1 to 5, and what training took."""
    settings, parent, said = TrainingSettings(), None, {}
    for number, ds in enumerate(days):
        kept = home / scorer / ds
        if not kept.exists():
            candidate = train_candidate(lake, settings, scorer, ds, parent, min(number, 1))
            save_scorer(kept, candidate.checkpoint)
        parent = kept
        rows = FeatureReader(lake, ds, ds).rows(lake.read(EXAMPLES, [ds]))
        said[ds] = load_scorer(kept).logits(rows)
    return said


def benchmark(home: Path, source: Path, scorers: list[str]) -> Path:
    """Predict every day of the window by every scorer and baseline; the result file."""
    lake = build(home, source, rated_dataset())
    scale = lake.dataset.labels.rating_scale
    tested = list(days_between(TESTED_FROM, LAST))
    days = [ds for ds in tested if lake.read(EXAMPLES, [ds]).num_rows]
    earlier = lake.read(EXAMPLES, [d for d in lake.days(EXAMPLES) if d <= LAST])
    ds_of = np.asarray(earlier.column("ds").to_pylist())
    user, item = (earlier.column(f"{side}_index").to_numpy() for side in ("user", "item"))
    rating = earlier.column("value").to_numpy()
    rows: list[dict[str, Any]] = []
    said: dict[str, list[Floats]] = {"item_mean": [], "biases": []}
    for ds in days:
        now, before = ds_of == ds, ds_of < ds
        said["item_mean"].append(means_before(item[before], rating[before], item[now]))
        asked = (user[now], item[now])
        said["biases"].append(biases_before(user[before], item[before], rating[before], asked))
    given = np.concatenate([rating[ds_of == ds] for ds in days])
    seconds: dict[str, float] = {}
    for scorer in scorers:
        started = time.process_time()
        logits = predictions(lake, home, scorer, days)
        seconds[f"cpu_seconds_{scorer}"] = time.process_time() - started
        said[scorer] = [scale[0] + (scale[1] - scale[0]) * sigmoid(logits[ds]) for ds in days]
    for name, parts in said.items():
        for ds, part in zip(days, parts, strict=True):
            errors = part - rating[ds_of == ds]
            row = {"ds": ds, "subject": name, "ratings": len(part)}
            rows.append(row | {"rmse": round(float(np.sqrt((errors**2).mean())), 6)})
    summary: dict[str, float] = {"ratings": len(given), "days": len(days)}
    for name, parts in said.items():
        errors = np.concatenate(parts) - given
        summary[f"rmse_{name}"] = float(np.sqrt((errors**2).mean()))
        summary[f"mae_{name}"] = float(np.abs(errors).mean())
    return write_result("ratings", summary | seconds, rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with u.data and so on")
    parser.add_argument("--scorers", default="ncf,mlp,two_tower")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/ratings"))
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    os.environ["DAYFOLD__HOME"] = str(home)
    print(benchmark(home, arguments.source.absolute(), arguments.scorers.split(",")))


if __name__ == "__main__":
    main()
