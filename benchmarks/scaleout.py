"""Two processes that train `mlp` together beside one alone: wall time, and equal losses.

    dayfold bench scaleout
    dayfold bench scaleout --steps 10 --turns 1

Batches of 4096 rows, and of 16384, of a made-up log (`benchmarks.training_rows`), one thread a
process, gloo on loopback, without Dropout. Each turn starts one process and then two by torchrun; a
process measures the wall time of its fit, without start and reading. `ratio_two_to_one` is how many
samples a second two processes train for each that one does (2 = perfect) at 4096, and
`loss_difference` the largest relative difference of the batches' losses; the same at 16384 ends in
`_batch_16384`. Two processes need two idle cores: `load` is the machine's load before the first
turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.result import write_result
from benchmarks.training_rows import made_up, source_of
from benchmarks.training_runs import BATCH, SETTINGS
from conf.processes import started_together
from training.fitting.fit import fit
from training.fitting.hardware import trainer_options
from training.fitting.loader import BatchStream
from training.fitting.losses import click_loss
from training.fitting.module import ScorerModule
from training.fitting.report import unwatched
from training.fitting.reproducible import reproducible
from training.scorers import Architecture, build

ROWS_OF_TABLES = 14_000
BATCHES = (BATCH, 4 * BATCH)


def process(steps: int, out: Path, batch: int = BATCH) -> None:
    """One process's part of one training; the first one writes what it saw to `out`."""
    together = started_together()
    log = made_up(steps * batch, ROWS_OF_TABLES, ROWS_OF_TABLES)
    source = source_of(log)
    with reproducible(7):
        net = build("mlp", log.schema, Architecture(SETTINGS.embedding_dim, SETTINGS.hidden, 0.0))
        stream = BatchStream(source, batch, 1, 7, (0, 6), rank=together.rank, world=together.world)
        nothing = BatchStream(source.part(slice(0, 0)), batch, 1, 7, (0, 6))
        module = ScorerModule(
            net,
            loss=click_loss,
            learning_rate=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            steps=len(stream),
            seed=7,
        )
        options = trainer_options("32-true", 1, together) | {"accelerator": "cpu"}
        fitted = fit(module, stream, nothing, None, lambda _: None, 1e9, options, unwatched)
    if together.first:
        found = {"samples_per_s": fitted.samples_per_second, "losses": fitted.training_losses}
        out.write_text(json.dumps(found))


def trained_by(processes: int, steps: int, batch: int) -> dict[str, Any]:
    """What one training by so many processes took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command = [sys.executable, *(launcher if processes > 1 else []), "-m"]
        command += ["benchmarks.scaleout", "--steps", str(steps), "--out", str(out)]
        command += ["--batch", str(batch)]
        started = time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        subprocess.run(command, check=True, env=environment, timeout=1800)  # noqa: S603
        found = json.loads(out.read_text())
    return {
        "processes": processes,
        "batch_size": batch,
        "wall_seconds": time.perf_counter() - started,
        **found,
    }


def benchmark(steps: int, turns: int) -> Path:
    """One and two processes in turn, `turns` times at each batch size; the result file."""
    summary: dict[str, float] = {"steps": steps, "load": os.getloadavg()[0]}
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        pairs = []
        for turn in range(1, turns + 1):
            one, two = (trained_by(n, steps * BATCH // batch, batch) for n in (1, 2))
            pairs.append((one, two))
            rows += [{"turn": turn, **one}, {"turn": turn, **two}]
            print(turn, batch, *(round(r["samples_per_s"]) for r in (one, two)), flush=True)
        summary |= _summary(pairs, "" if batch == BATCH else f"_batch_{batch}")
    return write_result("scaleout", summary, rows)


def _summary(pairs: list[tuple[dict[str, Any], dict[str, Any]]], ending: str) -> dict[str, float]:
    apart = [
        abs(one - two) / one
        for first, second in pairs
        for one, two in zip(first["losses"], second["losses"], strict=True)
    ]
    one, two = ([pair[n]["samples_per_s"] for pair in pairs] for n in (0, 1))
    ratios = [both / alone for alone, both in zip(one, two, strict=True)]
    return {
        f"samples_per_s_one{ending}": statistics.median(one),
        f"samples_per_s_two{ending}": statistics.median(two),
        f"ratio_two_to_one{ending}": statistics.median(ratios),
        f"loss_difference{ending}": max(apart),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench scaleout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=60, help="batches of a training (default 60)")
    parser.add_argument("--turns", type=int, default=3, help="pairs of trainings (default 3)")
    parser.add_argument("--batch", type=int, default=BATCH, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.out:
        process(arguments.steps, arguments.out, arguments.batch)
    else:
        print(benchmark(arguments.steps, arguments.turns))


if __name__ == "__main__":
    main()
