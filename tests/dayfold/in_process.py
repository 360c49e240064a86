"""The command line in this process: to import the engines for each command takes seconds."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from dayfold.cli import main


@dataclass(frozen=True)
class Ended:
    """What a command left: as of a process that ended."""

    returncode: int
    stdout: str
    stderr: str


def in_process(folder: Path, environment: Mapping[str, str], *arguments: str) -> Ended:
    """Run `dayfold` with `arguments` in `folder`, as a process of its own would."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = patch.object(sys, "argv", ["dayfold", *arguments])
    # what a command sets for its children is not for the next test
    place = patch.dict(os.environ, environment)
    with place, argv, chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())
