"""Registered versions lose a forgotten user's row and say that they knew one."""

from __future__ import annotations

from typing import Any

import pytest

from conf.errors import MissingPartition
from conf.settings import Settings
from dayfold.forget import forget, look
from dayfold.lineage import model_lineage
from dayfold.workplace import Workplace
from feature_store.tables import GATES, RECOMMENDATIONS
from tests.dayfold.forget_fixture import ANNA, BERT, SmallPlace, files_naming, quiet
from tests.dayfold.lineage_fixture import ran, text_of
from tests.training.answers import answers
from tests.training.home_fixture import fresh_home
from tests.training.lake_fixture import small_lake
from tests.training.promoted_home import TRAINED, promoted_home
from training.registry.registry import Registry
from training.registry.versions import registered_versions

CARL = "u00011"
"""A third user who is there from the first days on."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A home in which TRAINED promoted versions that know the user, then, run again, others."""
    root = tmp_path_factory.mktemp("trained")
    home = root / "home"
    lake = small_lake(home / "lake" / "small")
    settings = fresh_home(home)
    promoted_home(lake, with_seed(settings, 1))
    promoted_home(lake, with_seed(settings, 2))
    return SmallPlace(settings, lake.dataset)


def with_seed(settings: Settings, seed: int) -> Settings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})


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


def test_versions_of_a_run_that_was_replaced_are_told_too(trained: Workplace) -> None:
    lake = trained.lake()
    registry = Registry(trained.settings, lake.id)
    everything = [version.version for version in registered_versions(registry, lake.id)]
    named = lake.read(GATES, [TRAINED], ["version"]).column("version").to_pylist()
    replaced = sorted(set(everything) - set(named))
    assert replaced
    assert look(trained, CARL).model_versions == everything
    assert forget(trained, CARL, "", quiet).model_versions == tuple(everything)
    for version in everything:
        assert int(registry.version_tags(version)["forgotten_users"]) >= 1


def test_lineage_knows_a_version_that_a_later_run_replaced(trained: Workplace) -> None:
    lake = trained.lake()
    rows = lake.read(GATES, [TRAINED]).to_pylist()
    (now,) = (row["version"] for row in rows if row["version"])
    first = registered_versions(Registry(trained.settings, lake.id), lake.id)[0]
    ran(lake, TRAINED, "promote")
    shown = text_of(model_lineage(trained, 1))
    assert f"version 1: {first.tags['scorer']}, registered on {TRAINED}" in shown
    assert "a later run of the day replaced it" in shown
    assert f"names version {now} now" in shown
    assert "trained on 2026-01-01 to 2026-01-08" in shown
    assert f"version {now}: " in text_of(model_lineage(trained, now))
    with pytest.raises(MissingPartition, match=r"registered are \[1, 2, 3\]"):
        model_lineage(trained, 99)


def _answer(registry: Registry, version: int, row: dict[str, Any]) -> list[tuple[str, float]]:
    found = answers(registry.version_directory(version), [row])
    return list(zip(found["item_id"], found["score"].round(6), strict=True))
