"""The import contracts hold, and would notice if they did not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("conf", "feature_store", "pipelines", "training", "dayfold", "dags")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("dags/dayfold_daily.py", "def f():\n    from training.train import run\n"),
        ("pipelines/steps.py", "import training.steps\n"),
        ("feature_store/days.py", "import dayfold.day\n"),
        ("training/train.py", "def f():\n    import pyspark\n"),
        ("training/features/rows.py", "import training.promote\n"),
    ],
)
def test_a_broken_contract_is_noticed(tmp_path: Path, file: str, line: str) -> None:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as broken:
        broken.write(f"\n{line}")
    assert lint_imports(tmp_path).returncode != 0


def test_no_file_outgrows_its_room() -> None:
    for package in (*PACKAGES, "benchmarks", "tests"):
        for path in (ROOT / package).rglob("*.py"):
            lines = len(path.read_text().splitlines())
            limit = 300
            assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines"
