from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from feature_store.champion import standing_after
from tests.training.promoted_home import TRAINED, Home
from training.light.recommender import Recommender, load
from training.registry.registry import Registry


@pytest.fixture(scope="module")
def composite(promoted: Callable[[str], Home]) -> Path:
    """The folder of a champion's composite; only to be read."""
    home = promoted("impressions")
    standing = standing_after(home.lake, TRAINED)
    assert standing is not None
    return Registry(home.settings, home.lake.id).version_directory(standing.version)


@pytest.fixture(scope="module")
def recommender(composite: Path) -> Recommender:
    """The champion, in NumPy."""
    return load(composite / "light", "numpy")
