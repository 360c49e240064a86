"""Samples a second of training `mlp`: within Lightning, in a bare loop, and by deepctr-torch.

    dayfold bench training
    dayfold bench training --steps 6 --pairs 2 --large 200000 --peer none

One thread, batches of 4096 rows of a made-up log (`benchmarks.training_rows`), the widths of the
default settings (embeddings of 16, hidden layers 128 and 64). Every turn measures, one after the
other: the product's own fit (`BatchStream`, `ScorerModule`, Trainer), the same model, batches and
optimizer in a bare loop, the fit with tables of a million rows for users and items, and
deepctr-torch's WDL (its deep part alone) on the same rows, fields and widths with Adam. Ratios are
medians over the turns of CPU seconds a sample, after three steps that warm up; wall seconds stand
in the rows. Beside them: the layers' matrix products alone, tables of several sizes with AdamW
and row by row, and where the time goes, by torch's profiler.

deepctr-torch is no dependency of Dayfold. Put it into a folder of the benchmark's own:
`uv pip install --no-deps --target .dayfold/bench/deepctr deepctr-torch`; without it its ratio is
left out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.result import write_result
from benchmarks.training_peer import peer_pass
from benchmarks.training_rows import Log, made_up
from benchmarks.training_runs import (
    BATCH,
    WARM_UP,
    Rate,
    bare_pass,
    fitted_pass,
    products_alone,
    shares_of_time,
)

SMALL, LARGE = 14_000, 1_000_000
SIZES = (14_000, 30_000, 100_000)
PEER = Path(".dayfold/bench/deepctr")


def _turns(runs: dict[str, Callable[[], Rate]], pairs: int) -> list[dict[str, Any]]:
    """Every run in each turn, in an order that alternates."""
    rows: list[dict[str, Any]] = []
    for turn in range(1, pairs + 1):
        for name in runs if turn % 2 else reversed(runs):
            rate = runs[name]()
            rows.append({"what": name, "turn": turn, **vars(rate), "samples_per_s": rate.cpu})
            print(turn, name, round(rate.cpu), flush=True)
    return rows


def _paired(rows: list[dict[str, Any]], one: str, other: str) -> float:
    """The median over the turns of `one`'s samples a second over `other`'s."""
    by_turn = {(row["what"], row["turn"]): row["samples_per_s"] for row in rows}
    turns = sorted({row["turn"] for row in rows})
    return statistics.median(by_turn[one, turn] / by_turn[other, turn] for turn in turns)


def summarised(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Ratios and medians."""
    names = list(dict.fromkeys(row["what"] for row in rows))
    summary = {
        "ratio_lightning_to_bare_loop": _paired(rows, "lightning", "bare_loop"),
        "ratio_1m_rows_to_14k": _paired(rows, "large_tables", "lightning"),
    }
    if "deepctr_torch" in names:
        summary["ratio_to_deepctr_torch"] = _paired(rows, "lightning", "deepctr_torch")
    for name in names:
        found = [row["samples_per_s"] for row in rows if row["what"] == name]
        summary[f"samples_per_s_{name}"] = statistics.median(found)
    return summary


def benchmark(steps: int, pairs: int, large: int, peer: Path | None) -> Path:
    """Everything in turn, `pairs` times; the result file."""
    torch.set_num_threads(1)
    rows = steps * BATCH
    logs: dict[int, Log] = {size: made_up(rows, size, size) for size in {SMALL, large, *SIZES}}
    small = logs[SMALL]
    runs: dict[str, Callable[[], Rate]] = {
        "lightning": lambda: fitted_pass(small),
        "bare_loop": lambda: bare_pass(small),
        "large_tables": lambda: fitted_pass(logs[large]),
    }
    if peer is not None:
        sys.path.insert(0, str(peer.absolute()))
        runs["deepctr_torch"] = lambda: peer_pass(small)
    for size in SIZES:
        runs[f"adamw_{size}"] = lambda size=size: bare_pass(logs[size], sparse_rows=None)
        runs[f"by_rows_{size}"] = lambda size=size: bare_pass(logs[size], sparse_rows=1)
    results = _turns(runs, pairs)
    summary = summarised(results) | {"samples_per_s_products_alone": products_alone(small, steps)}
    results += [
        {"what": "time", "of": name, **shares_of_time(log)}
        for name, log in (("14k", small), ("1m", logs[large]))
    ]
    about = {"batch_size": BATCH, "steps": steps, "large_rows": large}
    return write_result("training", about | summary, results)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=20, help="batches a run (default 20)")
    parser.add_argument("--pairs", type=int, default=5, help="turns (default 5)")
    parser.add_argument("--large", type=int, default=LARGE, help="rows of large tables (1 M)")
    parser.add_argument("--peer", default=str(PEER), help=f"folder of deepctr-torch ({PEER}); none")
    arguments = parser.parse_args()
    if arguments.steps < WARM_UP + 2:
        parser.error(f"--steps {arguments.steps}: expected {WARM_UP + 2} or more")
    peer = Path(arguments.peer)
    there = arguments.peer != "none" and (peer / "deepctr_torch").is_dir()
    if not there:
        print("deepctr-torch is left out:", arguments.peer, flush=True)
    print(benchmark(arguments.steps, arguments.pairs, arguments.large, peer if there else None))


if __name__ == "__main__":
    main()
