"""The incremental protocol of ADER: each period is predicted before anything learns from it.

    python -m benchmarks.incremental --source DIR
    python -m benchmarks.incremental --source DIR --full-retrains 16
    python -m benchmarks.incremental --source DIR --quick

After the first item of a session each further one is to be predicted from those before it, among
all items seen in earlier periods; the figures are means over the periods of Recall@20 and MRR@20.
Clicks on items that were never seen are taken out of the test, as published figures do; beside
them the same of a sample of the test as it is (`_whole`), where such a click is a miss. Ties go to
the item that was seen first.

Methods: popularity and counts of what follows what (the two floors); session-kNN (`neighbours`) and
an interpolation of counted evidence, of which nothing is trained; the scorer `sequence` taught each
new period (`finetune`), with earlier predictions among the new ones (`replay`), held to its own
earlier opinion besides (`replay_distil`), or taught everything anew (`full_retrain`, for the first
periods, after all others); and `best`: the likeliest 100 by counted evidence, ordered by a small
net that sees all the evidence and what `replay` says, learned on the period before. Costs are
CPU-seconds to take a period in, as shares of the full retrain's over the periods that it was run
for, the first one left out (its lesson is a tenth of a period).

Progress is kept period by period under --home; the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.full_retrain import with_full_retrains
from benchmarks.periods import METHODS, Run, run_periods
from benchmarks.result import write_result
from benchmarks.sessions import load_periods
from benchmarks.teaching import CHAINS, FULL

QUICK = Run(
    periods=3,
    predictions=1_000,
    network_predictions=1_000,
    taught=10_000,
    learned=2_000,
)
WHOLE = Run()
FULL_RETRAINS = 6
_CODE = (
    "evidence",
    "incremental",
    "next_item",
    "periods",
    "reranker",
    "sequence_network",
    "session_memory",
    "sessions",
    "teaching",
)


def summary_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the periods, and costs as shares of the full retrain's."""
    summary = {"periods": float(len(rows))}
    for test, ending in (("known", ""), ("whole", "_whole")):
        for name in METHODS:
            for metric in ("recall20", "mrr20"):
                values = [row[test][name][metric] for row in rows if name in row[test]]
                if values:
                    summary[f"{metric}_{name}{ending}"] = float(np.mean(values))
    retrained = [row for row in rows if FULL in row["cpu_seconds"] and row["period"] > 1]
    if not retrained:
        return summary
    summary["periods_full_retrain"] = float(len([row for row in rows if FULL in row["known"]]))
    for name in METHODS:
        for metric in ("recall20", "mrr20"):
            values = [row["known"][name][metric] for row in rows if FULL in row["known"]]
            summary[f"{metric}_{name}_of_those"] = float(np.mean(values))
    whole = sum(row["cpu_seconds"][FULL] for row in retrained)
    for name in (*CHAINS, "neighbours", "interpolated", "best"):
        spent = sum(row["cpu_seconds"][name] for row in retrained)
        summary[f"cost_ratio_{name}"] = spent / whole
    return summary


def main() -> None:
    """Run the protocol over the folder's periods."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="\n".join(__doc__.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, required=True, help="folder with period_0.txt.gz ..")
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench"))
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 periods, 1,000 predictions each, nets taught 10,000 a period",
    )
    parser.add_argument(
        "--full-retrains",
        type=int,
        help=f"periods that a full retrain takes, too, each longer than the one before "
        f"({FULL_RETRAINS}; --quick: 2); more can be asked for later",
    )
    arguments = parser.parse_args()
    periods, items = load_periods(arguments.source)
    if len(periods) <= 1:
        sys.exit(f"{arguments.source} has one period, expected at least two: one to learn from.")
    run = QUICK if arguments.quick else WHOLE
    periods = periods[: 1 + run.periods]
    code = b"".join(Path(__file__).with_name(f"{n}.py").read_bytes() for n in _CODE)
    digest = hashlib.sha256(code + str((arguments.source.absolute(), run)).encode())
    folder = arguments.home / "incremental" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    name = "incremental-quick" if arguments.quick else "incremental"
    rows: list[dict[str, Any]] = []
    torch.set_num_threads(1)
    for row in run_periods(periods, items, run, folder):
        rows.append(row)
        best, before = row["known"]["best"], row["known"]["interpolated"]
        print(
            f"period {row['period']} of {len(periods) - 1}: {row['predictions']} predictions, "
            f"interpolated {before['recall20']:.2f} / {before['mrr20']:.2f}, "
            f"best {best['recall20']:.2f} / {best['mrr20']:.2f}",
            flush=True,
        )
        written = write_result(name, summary_of(rows), rows)
    retrains = arguments.full_retrains or (2 if arguments.quick else FULL_RETRAINS)
    for row in with_full_retrains(rows, periods, items, run, retrains, folder):
        full = row["known"][FULL]
        print(
            f"period {row['period']}: taught anew {full['recall20']:.2f} / {full['mrr20']:.2f}, "
            f"{row['cpu_seconds'][FULL]:.0f} CPU-s",
            flush=True,
        )
        written = write_result(name, summary_of(rows), rows)
    print(written)


if __name__ == "__main__":
    main()
