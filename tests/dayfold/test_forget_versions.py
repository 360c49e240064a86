"""Registered versions lose a forgotten user's row and say that they knew one."""

from __future__ import annotations

from typing import Any

import pytest

from dayfold.forget import forget
from dayfold.workplace import Workplace
from feature_store.tables import (
    RECOMMENDATIONS,
)
from tests.dayfold.forget_fixture import ANNA, BERT, SmallPlace, files_naming, quiet
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_lake
from tests.training.promoted_home import TRAINED, promoted_home
from training.registry.bundle import Bundle
from training.registry.registry import Registry


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A home in which TRAINED promoted a version that knows the user."""
    root = tmp_path_factory.mktemp("trained")
    home = root / "home"
    lake = small_lake(home / "lake" / "small")
    settings = fresh_home(home)
    promoted_home(lake, settings)
    return SmallPlace(settings, lake.dataset)


def test_versions_lose_the_users_row_and_say_that_they_knew_one(trained: Workplace) -> None:
    lake = trained.lake()
    registry = Registry(trained.settings, lake.id)
    version = registry.champion()
    assert version is not None
    asked = [{"user_id": user, "top_n": 5} for user in (ANNA, BERT, "nobody-knows")]
    anna, bert, stranger = (_answer(registry, version, row) for row in asked)
    assert anna != stranger
    done = forget(trained, ANNA, "", quiet)
    assert version in done.model_versions
    assert registry.version_tags(version)["forgotten_users"] == "1"
    assert [_answer(registry, version, row) for row in asked] == [stranger, bert, stranger]
    assert files_naming(trained.home / "artifacts", ANNA) == []
    assert ANNA.encode() not in (trained.home / "mlflow.db").read_bytes()
    forget(trained, ANNA, "", quiet)
    forget(trained, BERT, "", quiet)
    assert registry.version_tags(version)["forgotten_users"] == "2"
    assert TRAINED in lake.days(RECOMMENDATIONS)


def _answer(registry: Registry, version: int, row: dict[str, Any]) -> list[tuple[str, float]]:
    import pandas as pd

    bundle = Bundle(registry.version_directory(version), str(version))
    found = bundle.predict(pd.DataFrame([row]))
    return list(zip(found["item_id"], found["score"].round(6), strict=True))
