"""A scorer that reads titles beside one that reads ids, on MovieLens 100k: AUC and what it costs.

    dayfold bench text --source DIR
    dayfold bench text --source DIR --quick

The lake is built once with Spark, in bulk; a rating of 4 or 5 is a positive. Each scorer is trained
once per seed on all days before the first tested one and then asked about the days after it, each
day's rows with what was known when that day began. A new item is one that had no id when training
ended. The frozen language model reads each text once, before any training: that cost is apart.
`bert` then stands there once more in 8 bits, and distilled to an `mlp`, as `dayfold compress` makes
them; the cost of training these two is what it takes once there is a trained `bert`. Their latency
and gate are in `dayfold bench compression`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ratings import LAST, TESTED_FROM, build
from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.settings import Settings
from conf.training import TrainingSettings
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.compression.variants import Score, variants_of
from training.features.reader import FeatureReader
from training.features.words import Words, number_of
from training.fitting.candidate import train_candidate
from training.scorers.schema import Schema
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
    lake: Lake, settings: Settings, scorer: str, days: Sequence[str], variants: bool
) -> list[dict[str, Any]]:
    """Train `scorer` on the days before `days` and test it on them, with its variants or alone."""
    started = time.process_time()
    made = train_candidate(lake, settings.training, scorer, days[0]).checkpoint
    training = time.process_time() - started
    trained = TrainedScorer(scorer, made.net.eval())
    schema = trained.schema
    size = sum(t.numel() * t.element_size() for t in made.net.state_dict().values())

    def row(name: str, score: Score, reads_text: bool, seconds: float, size: int) -> dict[str, Any]:
        found = tested(lake, score, reads_text, schema, days)
        cost = {
            "rows": made.training.rows,
            "cpu_seconds_training": round(seconds, 3),
            "bytes": size,
        }
        return {"scorer": name, "seed": settings.training.seed} | found | cost

    rows = [row(scorer, trained.logits, trained.reads_text, training, size)]
    if variants:
        with tempfile.TemporaryDirectory() as folder:
            made_of_it = variants_of(
                trained, lake, settings, days, ["int8", "distilled"], Path(folder), scorer
            ).made
        for one in made_of_it:
            name, size = f"{scorer}_{one.measured.name}", one.measured.size
            found = row(name, one.score, one.reads_text, one.cpu_seconds, size)
            agreement = round(one.measured.agreement, 6)
            rows.append(found | {"agreement": agreement, "passed": one.verdict.passed})
    return rows


def tested(
    lake: Lake, score: Score, reads_text: bool, schema: Schema, days: Sequence[str]
) -> dict[str, Any]:
    """What `score` says of the examples of `days`, none of which was seen; `schema` was known."""
    started = time.process_time()
    parts = []
    for ds in days:
        reader = FeatureReader(lake, ds, ds, with_text=reads_text)
        parts.append(score(reader.rows(lake.read(EXAMPLES, [ds]))))
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
    for name, rows in new_and_seen(examples, schema).items():
        found |= {f"rows_{name}": int(rows.sum()), f"auc_{name}": auc(logits[rows], label[rows])}
    return {name: round(value, 6) for name, value in found.items()}


def measure(
    lake: Lake, settings: Settings, days: Sequence[str], seeds: Sequence[int]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The summary, means over the seeds, and one row per scorer or variant and seed."""
    summary: dict[str, float] = encoded(lake, settings.training, days[-1])
    rows: list[dict[str, Any]] = []
    for scorer in ("mlp", "bert"):
        for seed in seeds:
            seeded = settings.training.model_copy(update={"seed": seed})
            chosen = settings.model_copy(update={"training": seeded})
            rows += trial(lake, chosen, scorer, days, variants=scorer == "bert")
            print(rows[-1], flush=True)
    for name in dict.fromkeys(row["scorer"] for row in rows):
        mine = [row for row in rows if row["scorer"] == name]
        summary |= {f"{f}_{name}": statistics.mean(row[f] for row in mine) for f in FIGURES}
        if "agreement" in mine[0]:
            summary[f"agreement_{name}"] = statistics.mean(row["agreement"] for row in mine)
    summary |= {name: rows[0][name] for name in ("rows", "tested_rows", "rows_new_items")}
    return summary, rows


def tested_days(lake: Lake, quick: bool) -> list[str]:
    """The days with examples on which scorers are tested; the first three of them if `quick`."""
    known = set(lake.days(EXAMPLES))
    days = [ds for ds in days_between(TESTED_FROM, LAST) if ds in known]
    return days[:3] if quick else days


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
    days = tested_days(lake, arguments.quick)
    seeds = SEEDS[:1] if arguments.quick else SEEDS
    summary, rows = measure(lake, Settings(home=str(home)), days, seeds)
    print(write_result("text-quick" if arguments.quick else "text", summary, rows))


if __name__ == "__main__":
    main()
