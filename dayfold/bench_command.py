"""`dayfold bench NAME`: measure a part of the pipeline beside its peers or its limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from conf.errors import ConfigError

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A file of benchmarks/, such as cleaning.")],
) -> None:
    """Run a benchmark; raw rows go to benchmarks/results/. `dayfold bench NAME --help` has more."""
    programs = sorted(
        path.stem for path in BENCHMARKS.glob("*.py") if "\ndef main()" in path.read_text("utf-8")
    )
    if name not in programs:
        there = f"expected one of {programs}" if programs else f"there is no {BENCHMARKS}"
        raise ConfigError(
            f"There is no benchmark {name!r}: {there}. They come with the repository, not with the "
            "installed package. Next: run it in a clone of the repository."
        )
    command = [sys.executable, "-m", f"benchmarks.{name}", *context.args]
    raise typer.Exit(subprocess.run(command, check=False, cwd=BENCHMARKS.parent).returncode)  # noqa: S603
