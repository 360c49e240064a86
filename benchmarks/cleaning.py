"""Cleaning of one simulated day: Dayfold's step on Spark beside DuckDB and Polars.

    python -m benchmarks.cleaning --events 1000000
    python -m benchmarks.cleaning --events 10000000
    python -m benchmarks.cleaning --events 1000000 --workers 2

All three read the same packed JSON lines, apply the same rules, replace user ids by a keyed HMAC,
drop repeats and bots, and write clean events and quarantine as Parquet. Each reason's count must be
the one that the simulator planted. Dayfold also compares what it wrote with what it read, checks
the tables' rules and commits. Sessions are warm: another day runs first. CPU seconds are those of
this process and of its children (the JVM); decompression is in all of them. With `--workers`
Dayfold runs on a standalone Spark cluster of so many workers of one core on this machine. Polars
is an extra: without it the command says how to install it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.cleaning_duckdb import clean_with_duckdb
from benchmarks.result import write_result
from benchmarks.standalone_cluster import standalone_cluster
from conf.dataset import load_dataset
from conf.pseudonym import load_key, make_key
from conf.settings import Settings, SparkSettings
from dayfold.process_cost import cpu_seconds
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import INTAKE

DAY = "2026-01-05"
ENGINES = ("dayfold", "duckdb", "polars")
WARM_UP_EVENTS = 1_000_000
EVENTS_PER_USER = 8.2
"""Of a simulated Monday, on average."""
EXECUTOR_MEMORY = "5g"
MALFORMED = "malformed_"
_OWN_REASONS = {"malformed_blank": "blank_line", "malformed_bad_utf8": "invalid_utf8"}


def simulated_day(folder: Path, events: int) -> Path:
    """A raw zone with about `events` events of one day, dirt included, and nothing else."""
    from dayfold.simulation import simulate_days

    raw = folder / f"raw-{events}"
    if not (raw / "events" / f"ds={DAY}" / "_SUCCESS").exists():
        users = max(200, round(events / EVENTS_PER_USER))
        simulate_days(raw, DAY, DAY, users=users, items=5000, seed=5, drift=())
        for stream in ("profiles", "items"):
            for path in (raw / stream / f"ds={DAY}").glob("part-*"):
                path.unlink()
    return raw


def planted(raw: Path) -> Counter[str]:
    """Lines by outcome, as the simulator made them."""
    truth = json.loads((raw / "_truth" / f"ds={DAY}.json").read_text())
    counts: Counter[str] = Counter(clean=sum(truth["clean"].values()))
    for kind, lines in truth["dirt"].items():
        reason = _OWN_REASONS.get(kind, "malformed" if kind.startswith(MALFORMED) else kind)
        counts[reason] += lines
    return counts


def clean_with_dayfold(raw: Path, folder: Path, master: str) -> Counter[str]:
    """Rows by outcome of step clean_events on a fresh lake."""
    from pipelines import clean_events

    spark = SparkSettings(
        master=master, large_days=True, driver_memory="8g", executor_memory=EXECUTOR_MEMORY
    )
    settings = Settings(home=str(folder), raw=str(raw), lake=str(folder / "lake"), spark=spark)
    shutil.rmtree(folder / "lake", ignore_errors=True)
    dataset = load_dataset("simulated")
    lake = Lake(folder / "lake", dataset)
    clean_events.run(StepContext((DAY,), lake, dataset, settings))
    rows = [row for row in lake.read(INTAKE, [DAY]).to_pylist() if row["stream"] == "events"]
    return Counter({r["outcome"]: r["rows"] for r in rows if r["outcome"] != "read"})


def measured(
    name: str, job: Callable[[], Counter[str]], truth: Counter[str]
) -> dict[str, float | str]:
    """Seconds of `job`, whose counts must be `truth`."""
    started, cpu_started = time.perf_counter(), cpu_seconds()
    found = job()
    row: dict[str, float | str] = {
        "engine": name,
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(cpu_seconds() - cpu_started, 2),
    }
    found = +found
    if found != truth:
        reasons = sorted(found.keys() | truth.keys())
        wrong = {r: (found[r], truth[r]) for r in reasons if found[r] != truth[r]}
        row["wrong_counts"] = json.dumps(wrong)
    print(row, flush=True)
    return row


def compared(
    engines: dict[str, Callable[[Path], Counter[str]]],
    home: Path,
    events: int,
    runs: int,
    size: str,
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Each engine on the day of `events`, `runs` times in turn: summary and raw rows.

    Raises:
        SystemExit: an engine's counts are not those that the simulator planted.
    """
    warm_up, raw = (simulated_day(home, n) for n in (min(WARM_UP_EVENTS, events), events))
    for job in engines.values():
        job(warm_up)
    rows = [
        measured(name, lambda job=job: job(raw), planted(raw))  # type: ignore[misc]
        for _ in range(runs)
        for name, job in engines.items()
    ]
    if any("wrong_counts" in row for row in rows):
        sys.exit("Counts differ from what the simulator planted: see wrong_counts above.")
    cpu = {n: min(float(r["cpu_seconds"]) for r in rows if r["engine"] == n) for n in engines}
    seconds = {n: min(float(r["seconds"]) for r in rows if r["engine"] == n) for n in engines}
    summary: dict[str, float] = {"events": sum(planted(raw).values())}
    summary |= {f"cpu_seconds_{name}": value for name, value in cpu.items()}
    summary |= {f"seconds_{name}": value for name, value in seconds.items()}
    summary |= {
        f"ratio_cpu_to_{name}_{size}": cpu["dayfold"] / cpu[name]
        for name in engines
        if name != "dayfold" and "dayfold" in engines
    }
    return summary, rows


def _size(events: int) -> str:
    return f"{round(events / 1e6)}m"


def _refuse(names: list[str]) -> None:
    """Pass if all these engines can run; else say which cannot, and what helps."""
    unknown = sorted(set(names) - set(ENGINES))
    if unknown:
        sys.exit(f"--engines: {unknown} are not known, expected some of {list(ENGINES)}")
    if "polars" in names and find_spec("polars") is None:
        sys.exit(
            "Polars is not installed. Next: .venv/bin/uv pip install --python .venv/bin/python -e "
            "'.[dev,bench]' -c constraints.txt, or leave it out: --engines dayfold,duckdb"
        )


def _polars(folder: Path, key: bytes) -> Callable[[Path], Counter[str]]:
    from benchmarks.cleaning_polars import clean_with_polars

    return lambda day: clean_with_polars(day, DAY, folder, key)


def main() -> None:
    """Run the engines one after the other, `--runs` times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--home", type=Path, default=Path(".dayfold/bench"))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--workers", type=int, default=0, help="0 = one process, local[2]")
    arguments = parser.parse_args()
    names = arguments.engines.split(",")
    _refuse(names)
    home = arguments.home.absolute() / "cleaning"
    home.mkdir(parents=True, exist_ok=True)
    make_key(home / "pseudonym.key")
    os.environ["DAYFOLD__HOME"] = str(home)
    key = load_key(home / "pseudonym.key")
    workers = arguments.workers
    size = _size(arguments.events) + (f"_{workers}_workers" if workers else "")
    with ExitStack() as stack:
        master = "local[2]"
        if workers:
            folder = home / "cluster"
            master = stack.enter_context(standalone_cluster(folder, workers, EXECUTOR_MEMORY))
        engines: dict[str, Callable[[Path], Counter[str]]] = {
            "dayfold": lambda day: clean_with_dayfold(day, home, master),
            "duckdb": lambda day: clean_with_duckdb(day, DAY, home / "duckdb", key),
        }
        if "polars" in names:
            engines["polars"] = _polars(home / "polars", key)
        chosen = {name: engines[name] for name in names}
        summary, rows = compared(chosen, home, arguments.events, arguments.runs, size)
    print(write_result(f"cleaning-{size.replace('_', '-')}", summary, rows))


if __name__ == "__main__":
    main()
