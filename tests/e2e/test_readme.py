"""The README's commands do what the README says, in a folder of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAYFOLD = str(Path(sys.executable).parent / "dayfold")
SERVES_UNTIL_STOPPED = "dayfold ui"


def commands_of(section: str) -> list[str]:
    """The `dayfold` commands in the console blocks of one section of the README."""
    text = (ROOT / "README.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = text.split("```console\n")[1:]
    return [line for block in blocks for line in block.split("```")[0].splitlines() if line]


def run(command: str, folder: Path, exported: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "DAYFOLD__HOME"} | exported
    done = subprocess.run(
        [DAYFOLD, *shlex.split(command)[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    help_text = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in commands_of("Two commands"):
        assert command.split()[1] in help_text.split()


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.airflow
def test_the_readmes_commands_run_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    by_hand = commands_of("A day, by hand")
    assert len(by_hand) >= 5
    exported: dict[str, str] = {}
    for command in by_hand:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            exported[name] = value
        else:
            done = run(command, tmp_path, exported)
    days = json.loads(done.stdout)["days"]
    assert days[-1]["state"] == "published"
    for command in commands_of("What you see"):
        if command != SERVES_UNTIL_STOPPED:
            assert run(command, tmp_path, exported).stdout.strip()
