"""Point look-ups in the online store: SQLite, and Redis where a server is named.

    python -m benchmarks.online --redis redis://127.0.0.1:6379/0

Writes a day of made-up lists and vectors (attributes, numeric features, up to 50 last items) twice,
then looks up users and items at random, one after the other, from one client. Redis keeps nothing
of it afterwards.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.result import write_result
from conf.settings import Settings
from feature_store.online import OnlineDay, OnlineStore, open_online_store
from feature_store.online_vectors import Section, Vectors
from training.features.neighbours import AFFINITIES, NEIGHBOURS
from training.features.reader import ITEM_NUMERIC, USER_NUMERIC

DATASET = "benchmark"
TOP_N, RECALLED, HISTORY = 10, 100, 50


def made_up_day(ds: str, users: int, items: int, *, neighbours: bool) -> OnlineDay:
    """A day of `users` lists and vectors, and `items` vectors."""
    generator = np.random.default_rng(7)
    names = [f"{number:032x}" for number in range(users)]
    shown = generator.integers(0, items, users * TOP_N)
    lists = pa.table(
        {
            "user_id": np.repeat(names, TOP_N),
            "rank": np.tile(np.arange(1, TOP_N + 1, dtype=np.int32), users),
            "item_id": [f"i{number}" for number in shown],
            "score": generator.random(users * TOP_N),
            "source": ["model"] * (users * TOP_N),
            "reason": ["because it is popular"] * (users * TOP_N),
            "model_version": np.ones(users * TOP_N, np.int32),
        }
    )
    people = vectors(generator, names, USER_NUMERIC, history=True, neighbours=neighbours)
    things = [f"i{number}" for number in range(items)]
    wares = vectors(generator, things, ITEM_NUMERIC, history=False, neighbours=False)
    return OnlineDay(ds, lists, people, wares)


def vectors(
    generator: np.random.Generator,
    names: list[str],
    numeric: tuple[str, ...],
    *,
    history: bool,
    neighbours: bool,
) -> Vectors:
    """Vectors with three attributes and random values."""
    n = len(names)

    def ids(width: int) -> np.ndarray:
        return generator.integers(2, 10_000, (n, width), dtype=np.int32)

    def all_of(width: int) -> np.ndarray:
        return np.full(n, width, np.int64)

    parts = [
        (Section("index", "int32"), ids(1), all_of(1)),
        (Section("categorical", "int32", ("age", "city")), ids(2), all_of(2)),
        (Section("multi.interests", "int32"), ids(6), generator.integers(0, 7, n)),
        (
            Section("numeric", "float32", numeric),
            generator.random((n, len(numeric)), np.float32),
            all_of(len(numeric)),
        ),
    ]
    if history:
        parts.append((Section("history", "int32"), ids(HISTORY), generator.integers(0, 51, n)))
    if neighbours:
        width = NEIGHBOURS * len(AFFINITIES)
        affinity = generator.random((n, width), np.float32)
        parts.append((Section("neighbours", "int32"), ids(NEIGHBOURS), all_of(NEIGHBOURS)))
        parts.append((Section("affinity", "float32", AFFINITIES), affinity, all_of(width)))
    sections, values, lengths = zip(*parts, strict=True)
    return Vectors(names, sections, values, lengths)


def milliseconds(look_up: Callable[[int], object], times: int) -> dict[str, float]:
    """p50, p99 and mean of `times` calls, after a few that do not count."""
    taken = []
    for number in range(-100, times):
        started = time.perf_counter()
        found = look_up(number)
        taken.append((time.perf_counter() - started) * 1e3)
        assert found  # noqa: S101
    taken = taken[100:]
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98], "mean_ms": statistics.fmean(taken)}


def measure(kind: str, store: OnlineStore, users: int, items: int, look_ups: int) -> list[Any]:
    """Rows of results for one store."""
    rows: list[dict[str, Any]] = []
    for neighbours in (False, True):
        for what, ds in (("write", "2026-01-01"), ("replace", "2026-01-02")):
            day = made_up_day(ds, users, items, neighbours=neighbours)
            if what == "write":
                sizes = [len(packed) for _, packed in day.users.packed(ds)]
                store.clear()
            started = time.perf_counter()
            store.write(day)
            seconds = time.perf_counter() - started
            rows.append({"store": kind, "neighbours": neighbours, "what": what, "seconds": seconds})
        rows.append(
            {"store": kind, "neighbours": neighbours, "what": "vector of a user"}
            | {"bytes": statistics.fmean(sizes)}
        )
        generator = np.random.default_rng(8)
        people = [f"{number:032x}" for number in generator.integers(0, users, look_ups)]
        things = generator.integers(0, items, (look_ups, RECALLED))
        calls: dict[str, Callable[[int], object]] = {
            "read_list": lambda n, people=people: store.read_list(people[n]),  # type: ignore[misc]
            "read_user": lambda n, people=people: store.read_user(people[n]),  # type: ignore[misc]
            f"read_items of {RECALLED}": lambda n, things=things: store.read_items(  # type: ignore[misc]
                [f"i{number}" for number in things[n]]
            ),
        }
        for what, call in calls.items():
            found = milliseconds(call, look_ups)
            rows.append({"store": kind, "neighbours": neighbours, "what": what, **found})
    store.clear()
    return rows


def main() -> None:
    """Measure the stores and write `results/online.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redis", help="URI of a server; without it only SQLite is measured")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--look-ups", type=int, default=2_000)
    arguments = parser.parse_args()
    sizes = (arguments.users, arguments.items, arguments.look_ups)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "online.db"
        stores = {"sqlite": Settings(dataset=DATASET, online_store=str(path))}
        if arguments.redis:
            stores["redis"] = Settings(dataset=DATASET, online_store=arguments.redis)
        rows = [
            row
            for kind, settings in stores.items()
            for row in measure(kind, open_online_store(settings), *sizes)
        ]
    summary: dict[str, float] = dict(zip(("users", "items", "look_ups"), sizes, strict=True))
    for row in rows:
        if not row["neighbours"]:
            name = f"{row['store']}_{row['what'].replace(' ', '_')}"
            summary |= {f"{name}_{k}": row[k] for k in ("seconds", "p50_ms", "p99_ms") if k in row}
        if row["what"] == "vector of a user":
            with_them = "_with_neighbours" if row["neighbours"] else ""
            summary[f"bytes_per_user{with_them}"] = row["bytes"]
    print(write_result("online", summary, rows))


if __name__ == "__main__":
    main()
