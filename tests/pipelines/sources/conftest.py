from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = Callable[[Path, str, str], list[dict[str, Any]]]
Tree = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def rows_of() -> Rows:
    """The JSON rows of one stream and day, in file order."""

    def read(raw: Path, stream: str, ds: str) -> list[dict[str, Any]]:
        folder = raw / stream / f"ds={ds}"
        assert (folder / "_SUCCESS").exists(), f"{folder} is not complete"
        return [
            json.loads(line)
            for part in sorted(folder.glob("part-*.jsonl.gz"))
            for line in gzip.decompress(part.read_bytes()).splitlines()
        ]

    return read


@pytest.fixture
def tree_of() -> Tree:
    """Every file below a folder, hidden ones too, with its bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read
