"""Replay of a public log day by day: recall@10 of the published lists beside popularity.

    python -m benchmarks.replay movietweetings --source DIR
    python -m benchmarks.replay online-retail --source DIR
    python -m benchmarks.replay movielens-100k --source DIR

Runs `dayfold import` and `dayfold run` as a user would, then averages `reports.daily_metrics`:
micro = all hits over all pairs of the window, days = the mean of the days' values. A home in which
days were run is refused, because what is closed is not run again: its figures would be those of
the code that ran it. `--fresh` deletes such a home first, if a replay made it.

The logs are public, so their users' pseudonyms are made with a key that is the same in every replay
(unless DAYFOLD_KEY is set): pseudonyms decide the order of the vocabulary, that the weights that a
training begins with, and these some of the promotions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.result import write_result
from conf.dataset import load_dataset
from conf.errors import ConfigError
from conf.lineage import code_version
from conf.pseudonym import KEY_BYTES, KEY_VARIABLE
from dayfold.status import collect_status
from feature_store.days import days_between
from feature_store.lake import Lake
from feature_store.ledger import closed_days
from feature_store.tables import DAILY_METRICS


@dataclass(frozen=True)
class Window:
    """The days of a replay."""

    history_from: str
    first: str
    last: str


WINDOWS = {
    "movietweetings": Window("2013-02-28", "2013-08-02", "2013-08-31"),
    "online-retail": Window("2011-09-01", "2011-11-01", "2011-11-30"),
    "movielens-100k": Window("1997-09-20", "1998-03-24", "1998-04-22"),
}


KEY = "5e" * KEY_BYTES
"""Of the pseudonyms of public users."""
MARK = "replay.txt"
"""The file that tells a home that a replay made, and may delete, from other homes."""


def prepare(home: Path, name: str, *, fresh: bool) -> None:
    """Make `home` one in which no day of dataset `name` was run.

    Raises:
        ConfigError: days were run there, or it is to be deleted and no replay made it.
    """
    if fresh and home.exists():
        if not (home / MARK).exists():
            raise ConfigError(
                f"{home} was not made by a replay: expected {MARK} in it. Nothing was deleted. "
                f"Next: the same command with --home <another folder>."
            )
        shutil.rmtree(home)
    root = home / "lake" / name
    closed = sorted(closed_days(Lake(root, load_dataset(name)))) if root.exists() else []
    if closed:
        raise ConfigError(
            f"{root} has {len(closed)} closed days ({closed[0]} to {closed[-1]}), expected none: "
            f"they would not be run again, and their figures would be taken for those of "
            f"{code_version()}. Next: the same command with --fresh, or --home <another folder>."
        )
    home.mkdir(parents=True, exist_ok=True)
    if not any(home.iterdir()):  # else somebody else's may be in it
        (home / MARK).write_text("Made by `python -m benchmarks.replay`; --fresh deletes it.\n")


def replay(name: str, source: Path, home: Path) -> Path:
    """Import and run the window of dataset `name`; write and give the result file."""
    window = WINDOWS[name]
    raw = home / "raw" / name
    environment = {KEY_VARIABLE: KEY, **os.environ, "DAYFOLD__HOME": str(home)}
    started = time.perf_counter()
    for command in (
        ["import", name, "--source", str(source), "--raw", str(raw),
         "--from", window.history_from, "--to", window.last],
        ["run", "--dataset", name, "--history-from", window.history_from,
         "--from", window.first, "--to", window.last],
    ):  # fmt: skip
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "dayfold", *command], env=environment, check=False
        )
        if done.returncode:
            sys.exit(done.returncode)
    lake = Lake(home / "lake" / name, load_dataset(name))
    days = list(days_between(window.first, window.last))
    rows = lake.read(DAILY_METRICS, days).to_pylist()
    summary = _averages(rows)
    status = collect_status(lake, len(days))
    summary["seconds_per_day"] = sum(sum(day["seconds"].values()) for day in status) / len(status)
    summary["seconds_in_all"] = time.perf_counter() - started
    for decision in ("skip", "watch", "retrain", "not_enough_data"):
        summary[f"days_{decision}"] = sum(day["decision"] == decision for day in status)
    summary["days_trained"] = sum(bool(day["trained"]) for day in status)
    summary["days_promoted"] = sum(day["promoted_version"] is not None for day in status)
    return write_result(name, summary, [{**row, "value": round(row["value"], 6)} for row in rows])


def _averages(rows: list[dict[str, Any]]) -> dict[str, float]:
    series: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for row in rows:
        if row["n"] and "recall_at_10" in row["metric"]:
            series[f"{row['metric']}_{row['subject']}"].append((row["value"], row["n"]))
    summary: dict[str, float] = {}
    for name, points in sorted(series.items()):
        pairs = sum(n for _, n in points)
        summary[f"{name}_micro"] = sum(value * n for value, n in points) / pairs
        summary[f"{name}_days"] = sum(value for value, _ in points) / len(points)
        summary[f"{name}_pairs"] = pairs
    return summary


def main() -> None:
    """Run one replay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=sorted(WINDOWS))
    parser.add_argument(
        "--source", type=Path, required=True, help="folder with the dataset's files"
    )
    parser.add_argument("--home", type=Path, default=Path(".dayfold/replay"))
    parser.add_argument("--fresh", action="store_true", help="delete the replay that is there")
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    try:
        prepare(home, arguments.dataset, fresh=arguments.fresh)
    except ConfigError as error:
        sys.exit(str(error))
    print(replay(arguments.dataset, arguments.source.absolute(), home))


if __name__ == "__main__":
    main()
