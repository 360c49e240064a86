"""The benchmarks of training and its loader run, on little data: figures mean nothing then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_RUN = """
import runpy, sys
from pathlib import Path
import benchmarks.result
benchmarks.result.RESULTS = Path(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_module(f"benchmarks.{sys.argv[0]}", run_name="__main__", alter_sys=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (
            "training --steps 5 --pairs 1 --large 60000 --peer none",
            {"ratio_lightning_to_bare_loop", "ratio_1m_rows_to_14k"},
        ),
        ("loader --rows 20000 --turns 1", {"loader_rows_per_s", "gathers_rows_per_s"}),
    ],
    ids=["training", "loader"],
)
def test_a_benchmark_writes_its_figures(tmp_path: Path, command: str, keys: set[str]) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path), *command.split()],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    assert made.returncode == 0, made.stderr[-2000:]
    written = json.loads((tmp_path / f"{command.split(maxsplit=1)[0]}.json").read_text())
    assert keys <= written["summary"].keys()
    assert written["rows"]
