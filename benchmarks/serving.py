"""What an answer costs: the light client and the full bundle, each in an environment of its own.

    dayfold bench serving
    dayfold bench serving --seconds 3 --items 2000 --no-full

A version of 20,000 items with drawn weights (default sizes; speed asks no more) is saved as a
promotion saves it. Two fresh environments are made from its own requirement files: the light
client's (NumPy) and the full bundle's (MLflow). Measured are their sizes, the time from the start
of a process to its first answer, CPU time per request in one process, and, by `wrk` on loopback,
requests a second and latencies of `python -m dayfold_light` and of `mlflow models serve`: 100
candidates, and recall over the whole catalogue. Beside them the matrix products alone that such a
request needs, in NumPy. At last the release is changed under load. Needs `wrk` (Debian's package)
and a package index.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.result import write_result
from benchmarks.serving_environment import Environment, made_environment, measured
from benchmarks.serving_load import full_server, light_server, load_of, reload_under_load
from benchmarks.serving_version import Size, made_version

CANDIDATES = 100
_CONNECTIONS = (1, 4)


def requests() -> dict[str, dict[str, Any]]:
    """What is asked, by name."""
    ids = [f"item-{number}" for number in range(CANDIDATES)]
    return {
        "100_candidates": {"user_id": "user-7", "candidates": ids},
        "full_recall": {"user_id": "user-7"},
    }


def rows_of(
    kind: str, environment: Environment, model: Path, seconds: float
) -> list[dict[str, Any]]:
    """One kind of server: a row of load per request and number of connections."""
    start = light_server if kind == "light" else full_server
    rows: list[dict[str, Any]] = []
    with start(environment, model) as server:
        rows.append({"what": "cold_start", "kind": kind, "seconds": server.cold_start_seconds})
        for name, request in requests().items():
            body = request if kind == "light" else {"dataframe_records": [request]}
            for connections in _CONNECTIONS:
                found = load_of(server.url, body, connections, seconds)
                row = {"what": "load", "kind": kind, "request": name, "connections": connections}
                rows.append({**row, **found})
                print(rows[-1], flush=True)
    return rows


def summary_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The figures by name; latencies are the light client's, 100 candidates, one connection."""

    def one(**wanted: Any) -> dict[str, Any]:
        return next(row for row in rows if all(row.get(k) == v for k, v in wanted.items()))

    cpu = one(what="cpu", scorer="mlp", engine="numpy")
    alone = one(what="load", kind="light", request="100_candidates", connections=1)
    many = one(what="load", kind="light", request="100_candidates", connections=4)
    reload = one(what="reload")
    summary = {
        "light_client_cpu_ms_100_candidates": cpu["100_candidates_ms"],
        "light_client_cpu_ms_full_recall": cpu["full_recall_ms"],
        "matmul_bound_cpu_ms_100_candidates": cpu["matmul_100_candidates_ms"],
        "light_client_environment_mb": one(what="environment", kind="light")["mb"],
        "light_client_cold_start_s": one(what="cold_start", kind="light")["seconds"],
        "p50_ms": alone["p50_ms"],
        "p99_ms": alone["p99_ms"],
        "requests_per_s": many["requests_per_s"],
        "reload_failed_requests": reload["failed"],
        "reload_version_changes": reload["changes"],
    }
    if any(row.get("kind") == "full" for row in rows):
        full = one(what="load", kind="full", request="100_candidates", connections=1)
        summary |= {
            "full_environment_mb": one(what="environment", kind="full")["mb"],
            "full_cold_start_s": one(what="cold_start", kind="full")["seconds"],
            "full_p50_ms": full["p50_ms"],
            "full_p99_ms": full["p99_ms"],
            "p50_light_to_full": alone["p50_ms"] / full["p50_ms"],
        }
    return summary


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="dayfold bench serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=20_000, help="in the catalogue [20000]")
    parser.add_argument("--users", type=int, default=5_000, help="whom the version knows [5000]")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load [10]")
    parser.add_argument(
        "--full", action=argparse.BooleanOptionalAction, default=True, help="the full bundle too"
    )
    given = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("expected the load generator wrk on the PATH. Next: apt-get install wrk")
    size = Size(given.users, given.items)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="dayfold-serving-") as scratch:
        folder = Path(scratch)
        models = {"mlp": folder / "mlp", "bert": folder / "bert"}
        made_version(models["mlp"], "mlp", size)
        # its texts pass the language model first: a smaller catalogue will do
        made_version(models["bert"], "bert", Size(given.users, min(given.items, 1_000)))
        light = made_environment(folder / "light", models["mlp"] / "data/composite/light")
        rows.append({"what": "environment", "kind": "light", "mb": light.megabytes})
        for scorer, model in models.items():
            rows.append({"what": "cpu", "scorer": scorer, "engine": "numpy"})
            rows[-1] |= measured(light, model / "data/composite/light", requests())
            print(rows[-1], flush=True)
        rows += rows_of("light", light, models["mlp"], given.seconds)
        rows.append({"what": "reload", **reload_under_load(light, models["mlp"], folder)})
        if given.full:
            full = made_environment(folder / "full", models["mlp"])
            rows.append({"what": "environment", "kind": "full", "mb": full.megabytes})
            rows += rows_of("full", full, models["mlp"], given.seconds)
    summary = summary_of(rows)
    for name, value in summary.items():
        print(f"{name}: {value:.3f}", flush=True)
    print(write_result("serving", summary, rows))


if __name__ == "__main__":
    main()
