"""Two processes that train `mlp` together beside one alone: wall time, and equal losses.

    dayfold bench scaleout
    dayfold bench scaleout --steps 10 --turns 1

Batches of 4096 rows of a made-up log (`benchmarks.training_rows`), one thread a process, gloo on
loopback, without Dropout. Each turn starts one process and then two by torchrun; a process measures
the wall time of its fit, without start and reading. `ratio_two_to_one` is how many samples a second
two processes train for each that one does (2 = perfect), `loss_difference` the largest relative
difference of the batches' losses. Two processes need two idle cores: `load` is the machine's load
before the first turn.
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


def process(steps: int, out: Path) -> None:
    """One process's part of one training; the first one writes what it saw to `out`."""
    together = started_together()
    log = made_up(steps * BATCH, ROWS_OF_TABLES, ROWS_OF_TABLES)
    source = source_of(log)
    with reproducible(7):
        net = build("mlp", log.schema, Architecture(SETTINGS.embedding_dim, SETTINGS.hidden, 0.0))
        stream = BatchStream(source, BATCH, 1, 7, (0, 6), rank=together.rank, world=together.world)
        nothing = BatchStream(source.part(slice(0, 0)), BATCH, 1, 7, (0, 6))
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


def trained_by(processes: int, steps: int) -> dict[str, Any]:
    """What one training by so many processes took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command = [sys.executable, *(launcher if processes > 1 else []), "-m"]
        command += ["benchmarks.scaleout", "--steps", str(steps), "--out", str(out)]
        started = time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        subprocess.run(command, check=True, env=environment, timeout=1800)  # noqa: S603
        found = json.loads(out.read_text())
    return {"processes": processes, "wall_seconds": time.perf_counter() - started, **found}


def benchmark(steps: int, turns: int) -> Path:
    """One and two processes in turn, `turns` times; the result file."""
    load = os.getloadavg()[0]
    rows = []
    for turn in range(1, turns + 1):
        for processes in (1, 2):
            rows.append({"turn": turn, **trained_by(processes, steps)})
            print(turn, processes, round(rows[-1]["samples_per_s"]), flush=True)
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    apart = [
        abs(one - two) / one
        for first, second in pairs
        for one, two in zip(first["losses"], second["losses"], strict=True)
    ]
    summary = {
        "batch_size": BATCH,
        "steps": steps,
        "load": load,
        "samples_per_s_one": statistics.median(one["samples_per_s"] for one, _ in pairs),
        "samples_per_s_two": statistics.median(two["samples_per_s"] for _, two in pairs),
        "ratio_two_to_one": statistics.median(
            two["samples_per_s"] / one["samples_per_s"] for one, two in pairs
        ),
        "loss_difference": max(apart),
    }
    return write_result("scaleout", summary, rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench scaleout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=60, help="batches of a training (default 60)")
    parser.add_argument("--turns", type=int, default=3, help="pairs of trainings (default 3)")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.out:
        process(arguments.steps, arguments.out)
    else:
        print(benchmark(arguments.steps, arguments.turns))


if __name__ == "__main__":
    main()
