"""Rows a second and core that the loader makes into ready batches.

    dayfold bench loader
    dayfold bench loader --rows 200000 --turns 3

A made-up log (`benchmarks.training_rows`): slates of ten rows, 100,000 users and 20,000 items
over seven days, 18 label-encoded fields, 11 and 19 numbers, a history of 50 items. What is measured
is the product's own `BatchStream` over its `LabelledSource`, one thread: the order of a pass, the
gathers of users, items and histories by position from their wide tables, context, label, weight,
and the hiding of ids (`training.unknown_masking`). The gathers alone stand beside it. Parquet and
point-in-time features are read once per training, before the first batch, and are not part of it.
`loader_rows_per_s` is by CPU time, the median of the turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.result import write_result
from benchmarks.training_rows import made_up, source_of
from training.fitting.loader import BatchStream, LabelledSource

BATCH = 4096
MASKING = 0.02
_DAYS = (0, 6)


def streamed(source: LabelledSource, turn: int) -> int:
    """One pass of the product's stream; rows given."""
    stream = BatchStream(source, BATCH, 1, turn, _DAYS, MASKING)
    return sum(len(batch.label) for batch in stream)


def gathered(source: LabelledSource, turn: int) -> int:
    """The gathers alone, in a random order; rows given."""
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(turn))
    for rows in order.split(BATCH):
        source.users.take(source.user.index_select(0, rows))
        source.items.take(source.item.index_select(0, rows))
        source.context.index_select(0, rows)
    return len(order)


def measured(
    what: Callable[[LabelledSource, int], int], source: LabelledSource, turn: int
) -> dict[str, Any]:
    """Rows, wall and CPU seconds of one pass."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = what(source, turn)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "what": what.__name__,
        "turn": turn,
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "rows_per_s": rows / cpu_seconds,
    }


def benchmark(rows: int, turns: int) -> Path:
    """Both measures in turn, `turns` times; the result file."""
    torch.set_num_threads(1)
    source = source_of(made_up(rows, min(100_000, rows), min(20_000, rows)))
    streamed(source, 0)  # warm-up
    results = [
        measured(what, source, turn)
        for turn in range(1, turns + 1)
        for what in (streamed, gathered)
    ]

    def median(what: str, key: str) -> float:
        return statistics.median(row[key] for row in results if row["what"] == what)

    wide = sum(
        tensor.nbytes
        for side in (source.users, source.items)
        for tensor in (side.ids, side.history, side.numeric)
    )
    narrow = sum(
        t.nbytes for t in (source.user, source.item, source.context, source.label, source.weight)
    )
    summary = {
        "rows": rows,
        "batch_size": BATCH,
        "loader_rows_per_s": median("streamed", "rows_per_s"),
        "loader_rows_per_wall_s": rows / median("streamed", "seconds"),
        "gathers_rows_per_s": median("gathered", "rows_per_s"),
        "bytes_per_row_held": (wide + narrow) / rows,
        "distinct_users_by_day": len(source.users),
        "distinct_items_by_day": len(source.items),
    }
    return write_result("loader", summary, results)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench loader",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the log (default 1 M)")
    parser.add_argument("--turns", type=int, default=7, help="passes measured (default 7)")
    arguments = parser.parse_args()
    print(benchmark(arguments.rows, arguments.turns))


if __name__ == "__main__":
    main()
