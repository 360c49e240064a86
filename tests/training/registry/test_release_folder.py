"""The release folder: the writer deletes what it wrote itself, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

import pytest

from training.light.release import RELEASE
from training.registry.pool import Pool
from training.registry.registry import Registry
from training.registry.release import KEPT_FOLDERS, etag_in, name_in_answers, write_release


class Versions:
    """Folders of versions, as a registry gives them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def version_directory(self, version: int) -> Path:
        folder = self._root / str(version)
        (folder / "light" / "data").mkdir(parents=True, exist_ok=True)
        about = folder / "light" / "data" / "about.json"
        about.write_text(json.dumps({"version": f"day-mlp-{version}"}))
        return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return cast(Registry, Versions(tmp_path / "versions"))


def test_folders_of_others_stay_and_own_ones_go_but_for_the_newest(
    registry: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    theirs = ["data", "v7", "v7-backup", ".git", "models-2026", ".cache", "v1-0123456789AB"]
    for place in theirs:
        (folder / place).mkdir(parents=True)
        os.utime(folder / place, (0, 0))
    killed = folder / f".{'0f' * 16}"
    killed.mkdir()
    os.utime(killed, (0, 0))
    for version in range(1, 8):
        write_release(registry, Pool({version: 1.0}), folder)
    assert all((folder / place).is_dir() for place in theirs)
    assert not killed.exists()
    others = {path.name for path in folder.iterdir() if path.is_dir()} - set(theirs)
    assert sorted(name.split("-")[0] for name in others) == ["v4", "v5", "v6", "v7"]
    assert len(others) == 1 + KEPT_FOLDERS


def test_the_etag_is_that_of_a_release_that_can_be_read(registry: Registry, tmp_path: Path) -> None:
    assert etag_in(tmp_path) is None
    etag = write_release(registry, Pool({1: 1.0}), tmp_path)
    assert etag_in(tmp_path) == etag
    (tmp_path / RELEASE).write_text("{")
    assert etag_in(tmp_path) is None
    assert write_release(registry, Pool({1: 1.0}), tmp_path) == etag == etag_in(tmp_path)


def test_a_version_is_named_as_it_names_itself(registry: Registry) -> None:
    assert name_in_answers(registry, 3) == "day-mlp-3"
