from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_store.lake import Lake
from tests.training.lake_fixture import small_dataset, small_lake


@pytest.fixture(scope="session")
def lake_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lake]:
    """A lake of 12 small days with labels of the given kind; made once, only to be read."""
    made: dict[str, Lake] = {}

    def lake(kind: str = "impressions") -> Lake:
        if kind not in made:
            made[kind] = small_lake(tmp_path_factory.mktemp(f"lake-{kind}") / "lake", kind)
        return made[kind]

    return lake


@pytest.fixture
def own_lake_of(lake_of: Callable[[str], Lake], tmp_path: Path) -> Callable[[str], Lake]:
    """A copy of `lake_of`'s lake that the test may write to."""

    def lake(kind: str = "impressions") -> Lake:
        root = tmp_path / f"own-{kind}"
        shutil.copytree(lake_of(kind).root, root)
        return Lake(root, small_dataset(kind))

    return lake
