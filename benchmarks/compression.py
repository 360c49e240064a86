"""Smaller variants beside what they are made of, on MovieLens 100k: quality, size, latency, gate.

    dayfold bench compression --source DIR
    dayfold bench compression --source DIR --quick

The lake and the split are those of `dayfold bench text`. Each scorer is trained once on the days
before the first tested one; `dayfold compress`'s own code makes its variants and judges them on the
days after it. CPU-seconds of a variant are what it takes once the scorer is trained. A request has
100 items; latencies are of one thread, by the clock, so that other work on the machine shows in
them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.ratings import build
from benchmarks.result import write_result
from benchmarks.text import encoded, tested_days
from conf.dataset import load_dataset
from conf.settings import Settings
from conf.training import TEXT_SCORERS
from feature_store.lake import Lake
from training.compression.variants import VARIANTS, variants_of
from training.fitting.candidate import train_candidate
from training.scorers.trained import TrainedScorer

FIGURES = (
    *("auc", "log_loss", "agreement", "apart", "size", "deflated", "p50", "p99"),
    "cpu_seconds",
)


def trial(
    lake: Lake, settings: Settings, scorer: str, days: Sequence[str], folder: Path
) -> list[dict[str, Any]]:
    """Train `scorer` on the days before `days`; one row of it and one of each variant."""
    started = time.process_time()
    net = train_candidate(lake, settings.training, scorer, days[0]).checkpoint.net
    seconds = time.process_time() - started
    trained = TrainedScorer(scorer, net)
    found = variants_of(trained, lake, settings, days, VARIANTS, folder / scorer, scorer)
    rows = [{"subject": scorer, **_rounded(asdict(found.original), seconds)}]
    for one in found.made:
        figures = _rounded(asdict(one.measured), one.cpu_seconds)
        verdict = {"passed": one.verdict.passed, "reasons": list(one.verdict.reasons)}
        rows.append({"subject": f"{scorer}_{one.measured.name}", **figures, **verdict})
    left_out = [{"subject": f"{scorer}_{n}", "left_out": why} for n, why in found.left_out.items()]
    return [*rows, *left_out]


def _rounded(figures: dict[str, Any], seconds: float) -> dict[str, Any]:
    given = figures | {"cpu_seconds": seconds}
    return {name: round(given[name], 6) for name in FIGURES}


def measure(
    lake: Lake, settings: Settings, scorers: Sequence[str], days: Sequence[str], folder: Path
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The summary and the rows."""
    summary: dict[str, float] = {"days": len(days)}
    if TEXT_SCORERS & set(scorers):
        summary |= encoded(lake, settings.training, days[-1])
    rows: list[dict[str, Any]] = []
    for scorer in scorers:
        rows += trial(lake, settings, scorer, days, folder)
        print(rows[-1], flush=True)
    for row in rows:
        shown = [name for name in (*FIGURES, "passed") if name in row]
        summary |= {f"{name}_{row['subject']}": float(row[name]) for name in shown}
    return summary, rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with u.data and so on")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench/text"))
    parser.add_argument("--scorers", default="mlp,bert")
    parser.add_argument("--quick", action="store_true", help="three days")
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    os.environ["DAYFOLD__HOME"] = str(home)
    torch.set_num_threads(1)
    lake = build(home, arguments.source.absolute(), load_dataset("movielens-100k"))
    days = tested_days(lake, arguments.quick)
    settings, scorers = Settings(home=str(home)), arguments.scorers.split(",")
    summary, rows = measure(lake, settings, scorers, days, home / "variants")
    print(write_result("compression-quick" if arguments.quick else "compression", summary, rows))


if __name__ == "__main__":
    main()
