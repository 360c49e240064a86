"""A scorer that reads titles beside one that reads ids, on MovieLens 100k: AUC and what it costs.

    dayfold bench text --source DIR
    dayfold bench text --source DIR --quick

The lake is built once with Spark, in bulk; a rating of 4 or 5 is a positive. Each scorer is trained
once per seed on all days before the first tested one and then asked about the days after it, each
day's rows with what was known when that day began. A new item is one that had no id when training
ended. The frozen language model reads each text once, before any training: that cost is apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ratings import LAST, TESTED_FROM, build
from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.training import TEXT_SCORERS, TrainingSettings
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.features.reader import FeatureReader
from training.features.words import Words, number_of
from training.fitting.candidate import train_candidate
from training.scorers.trained import TrainedScorer
from training.scoring.metrics import auc, grouped_auc, log_loss
from training.scoring.slices import new_and_seen
from training.text.architecture import text_architecture
from training.text.base import load_base
from training.text.encoder import FrozenEncoder

SEEDS = (7, 8, 9)
FIGURES = (
    "auc",
    "gauc",
    "log_loss",
    "auc_new_items",
    "auc_seen_items",
    "cpu_seconds_training",
    "cpu_seconds_scoring",
    "bytes",
)


def encoded(lake: Lake, settings: TrainingSettings, last: str) -> dict[str, float]:
    """Read every text known by `last` once, as the first training would; what that takes."""
    architecture = text_architecture("bert", settings.text)
    base, _ = load_base(architecture.base, architecture.digest)
    reader = FeatureReader(lake, last, last, with_text=True)
    words = reader.texts.words if reader.texts else Words()
    numbers = [number_of(text) for text in words.texts()]
    started = time.process_time()
    FrozenEncoder(architecture).encode(numbers, words)
    return {
        "texts": len(words),
        "cpu_seconds_encoding": time.process_time() - started,
        "bytes_language_model": sum(p.numel() * p.element_size() for p in base.parameters()),
    }


def trial(
    lake: Lake, settings: TrainingSettings, scorer: str, days: Sequence[str]
) -> dict[str, Any]:
    """Train `scorer` on the days before `days` and test it on them."""
    started = time.process_time()
    made = train_candidate(lake, settings, scorer, days[0]).checkpoint
    training = time.process_time() - started
    trained = TrainedScorer(scorer, made.net.eval())
    cost = {
        "rows": made.training.rows,
        "cpu_seconds_training": round(training, 3),
        "bytes": sum(t.numel() * t.element_size() for t in made.net.state_dict().values()),
    }
    return {"scorer": scorer, "seed": settings.seed} | tested(lake, trained, days) | cost


def tested(lake: Lake, scorer: TrainedScorer, days: Sequence[str]) -> dict[str, Any]:
    """What `scorer` says of the examples of `days`, none of which it has seen."""
    started = time.process_time()
    parts = []
    for ds in days:
        examples = lake.read(EXAMPLES, [ds])
        reader = FeatureReader(lake, ds, ds, with_text=scorer.name in TEXT_SCORERS)
        parts.append(scorer.logits(reader.rows(examples)))
    seconds = time.process_time() - started
    examples, logits = lake.read(EXAMPLES, list(days)), np.concatenate(parts)
    label, user = (examples.column(name).to_numpy() for name in ("label", "user_index"))
    found = {
        "tested_rows": len(label),
        "auc": auc(logits, label),
        "gauc": grouped_auc(logits, label, user),
        "log_loss": log_loss(logits, label),
        "cpu_seconds_scoring": seconds,
    }
    for name, rows in new_and_seen(examples, scorer.schema).items():
        found |= {f"rows_{name}": int(rows.sum()), f"auc_{name}": auc(logits[rows], label[rows])}
    return {name: round(value, 6) for name, value in found.items()}


def measure(
    lake: Lake, settings: TrainingSettings, days: Sequence[str], seeds: Sequence[int]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The summary, means over the seeds, and one row per scorer and seed."""
    summary, rows = encoded(lake, settings, days[-1]), []
    for scorer in ("mlp", "bert"):
        for seed in seeds:
            chosen = TrainingSettings.model_validate(settings.model_dump() | {"seed": seed})
            rows.append(trial(lake, chosen, scorer, days))
            print(rows[-1], flush=True)
        mine = [row for row in rows if row["scorer"] == scorer]
        summary |= {f"{f}_{scorer}": statistics.mean(row[f] for row in mine) for f in FIGURES}
    summary |= {name: rows[0][name] for name in ("rows", "tested_rows", "rows_new_items")}
    return summary, rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with u.data and so on")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/text"))
    parser.add_argument("--quick", action="store_true", help="one seed, three days")
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    os.environ["DAYFOLD__HOME"] = str(home)
    torch.set_num_threads(1)
    lake = build(home, arguments.source.absolute(), load_dataset("movielens-100k"))
    known = set(lake.days(EXAMPLES))
    days = [ds for ds in days_between(TESTED_FROM, LAST) if ds in known]
    if arguments.quick:
        days = days[:3]
    seeds = SEEDS[:1] if arguments.quick else SEEDS
    summary, rows = measure(lake, TrainingSettings(), days, seeds)
    print(write_result("text-quick" if arguments.quick else "text", summary, rows))


if __name__ == "__main__":
    main()
