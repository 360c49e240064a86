"""Each benchmark runs, on little data: its figures mean nothing then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.slow]

_RUN = """
import runpy, sys
from pathlib import Path
import benchmarks.result
benchmarks.result.RESULTS = Path(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_module(f"benchmarks.{sys.argv[0]}", run_name="__main__", alter_sys=False)
"""


@pytest.mark.parametrize(
    ("command", "result", "keys"),
    [
        (
            "cleaning --events 20000 --engines dayfold,duckdb --home HOME",
            "cleaning-0m",
            {"ratio_cpu_to_duckdb_0m", "cpu_seconds_dayfold", "events"},
        ),
        (
            "vocabulary --known 300 --new 50 --repeat 1",
            "vocabulary",
            {"ratio_seconds_to_sorting_again", "add_plain_seconds"},
        ),
        (
            "daily_training --quick --methods incremental,full --home HOME",
            "daily-training-quick",
            {"auc_incremental", "auc_full", "cost_share"},
        ),
        (
            "gate --days 2 --users 60",
            "gate",
            {"harmful_promotion_rate", "equal_model_pass_rate", "harmful_promotion_rate_auc_wins"},
        ),
    ],
    ids=["cleaning", "vocabulary", "daily_training", "gate"],
)
def test_a_benchmark_writes_its_figures(
    tmp_path: Path, command: str, result: str, keys: set[str]
) -> None:
    arguments = command.replace("HOME", str(tmp_path / "home")).split()
    made = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    assert made.returncode == 0, made.stderr[-2000:]
    written = json.loads((tmp_path / f"{result}.json").read_text())
    assert keys <= written["summary"].keys()
    assert written["rows"]
