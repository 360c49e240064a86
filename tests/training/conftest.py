from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.settings import Settings
from feature_store.lake import Lake
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.promoted_home import Home, copied, promoted_home
from training.registry.registry import Registry


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


@pytest.fixture
def lake(own_lake_of: Callable[[str], Lake]) -> Lake:
    """A lake with impressions that the test may write to."""
    return own_lake_of("impressions")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, with a key and a registry."""
    return fresh_home(tmp_path / "home")


@pytest.fixture
def registry(lake: Lake, settings: Settings) -> Registry:
    """The registry that belongs to `lake`."""
    return Registry(settings, lake.id)


@pytest.fixture(scope="session")
def promoted_once(
    lake_of: Callable[[str], Lake], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Home]:
    """The promoted home of a dataset of the given kind of labels; made once, to be copied."""
    made: dict[str, Home] = {}

    def home(kind: str) -> Home:
        if kind not in made:
            root = tmp_path_factory.mktemp(f"promoted-{kind}")
            shutil.copytree(lake_of(kind).root, root / "lake")
            made[kind] = promoted_home(
                Lake(root / "lake", small_dataset(kind)), fresh_home(root / "home")
            )
        return made[kind]

    return home


@pytest.fixture(scope="module")
def promoted(
    promoted_once: Callable[[str], Home], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Home]:
    """A copy of `promoted_once`'s home that a module's tests share and may write to."""
    made: dict[str, Home] = {}

    def home(kind: str) -> Home:
        if kind not in made:
            made[kind] = copied(promoted_once(kind), tmp_path_factory.mktemp(f"copied-{kind}"))
        return made[kind]

    return home
