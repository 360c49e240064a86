"""Fresh environments from a version's own requirement files, and what an answer costs in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_MEASURE = """
import json, sys, time
from dayfold_light import load
recommender = load(sys.argv[1], sys.argv[2])
rounds, found = int(sys.argv[3]), {}
for name, request in json.load(sys.stdin).items():
    for _ in range(50):
        recommender.recommend(request)
    begun = time.process_time()
    for _ in range(rounds):
        recommender.recommend(request)
    found[f"{name}_ms"] = (time.process_time() - begun) / rounds * 1e3
print(json.dumps(found))
"""
_ROUNDS = 1_000
_MATRIX = 2


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    python: Path
    megabytes: float
    """Of its installed packages, compiled files included, 2^20 bytes each."""

    @property
    def variables(self) -> dict[str, str]:
        """What its processes get: one thread, nothing of this process's packages."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        return {**kept, **threads, "MLFLOW_DISABLE_TELEMETRY": "true"}


def made_environment(folder: Path, needs: Path) -> Environment:
    """A fresh environment in `folder` with `needs`/requirements.txt."""
    installer = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    python = folder / "bin" / "python"
    file = str(needs / "requirements.txt")
    if installer:
        variables = dict(os.environ)
        if links := os.environ.get("PIP_FIND_LINKS"):
            variables["UV_FIND_LINKS"] = links
        begin = [installer, "venv", "-q", "--python", sys.executable, str(folder)]
        install = [installer, "pip", "install", "-q", "--compile-bytecode", "--python", str(python)]
        subprocess.run(begin, check=True)  # noqa: S603
        subprocess.run([*install, "-r", file], check=True, env=variables)  # noqa: S603
    else:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)  # noqa: S603
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", file], check=True)  # noqa: S603
    packages = next((folder / "lib").glob("python3*/site-packages"))
    files = [path for path in packages.rglob("*") if path.is_file()]
    ours = [
        path for path in files if path.relative_to(packages).parts[0] not in {"pip", "setuptools"}
    ]
    return Environment(python, sum(path.stat().st_size for path in ours) / 2**20)


def measured(
    environment: Environment, light: Path, requests: dict[str, dict[str, Any]]
) -> dict[str, float]:
    """CPU milliseconds of each of `requests` in one process, and of the products alone."""
    variables = {**environment.variables, "PYTHONPATH": str(light)}
    command = [str(environment.python), "-c", _MEASURE, str(light), "numpy", str(_ROUNDS)]
    run = subprocess.run(  # noqa: S603
        command,
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
        env=variables,
    )
    products = subprocess.run(  # noqa: S603
        [str(environment.python), "-c", _PRODUCTS, json.dumps(_shapes(light)), str(_ROUNDS)],
        capture_output=True,
        text=True,
        check=True,
        env=environment.variables,
    )
    return {**json.loads(run.stdout), "matmul_100_candidates_ms": float(products.stdout)}


_PRODUCTS = """
import json, sys, time
import numpy as np
pairs = [[np.ones(s, dtype=np.float32) for s in both] for both in json.loads(sys.argv[1])]
rounds = int(sys.argv[2])
for _ in range(50):
    for x, y in pairs: x @ y
begun = time.process_time()
for _ in range(rounds):
    for x, y in pairs: x @ y
print((time.process_time() - begun) / rounds * 1e3)
"""


def _shapes(light: Path) -> list[list[list[int]]]:
    """Shapes of the ranker's products for 100 candidates of one user, whatever carries them.

    Each weight matrix of the ranker meets the rows of a user (1) or of the items (100).
    """
    graph = json.loads((light / "data" / "ranker.json").read_text())
    with np.load(light / "data" / "ranker.npz") as held:
        matrices = {name: held[name].shape for name in held.files if held[name].ndim == _MATRIX}
    shapes = []
    for step in graph["steps"]:
        if step["operator"] not in {"Gemm", "MatMul"}:
            continue
        for name in step["inputs"][1:]:
            if name in matrices:
                width, out = matrices[name]
                if step["attributes"].get("transB"):
                    width, out = out, width
                rows = 1 if "user" in name or "context" in name else 100
                shapes.append([[rows, width], [width, out]])
    return shapes
