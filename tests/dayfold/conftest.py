from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dayfold.workplace import Workplace
from feature_store.online import OnlineDay
from feature_store.online_sqlite import SqliteStore
from tests.dayfold.forget_fixture import ANNA, BERT, DAYS, at, closed_lake, lists, vectors


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a closed lake and an online store; to be copied."""
    home = tmp_path_factory.mktemp("forget") / "home"
    closed_lake(home / "lake" / "small")
    store = SqliteStore(home / "online" / "small.db")
    for ds in DAYS[-2:]:
        store.write(OnlineDay(ds, lists(ds), vectors(ANNA, BERT)))
    return home


@pytest.fixture
def shop(prepared: Path, tmp_path: Path) -> Workplace:
    """A copy of the prepared home that the test may write to."""
    return at(shutil.copytree(prepared, tmp_path / "home"))
