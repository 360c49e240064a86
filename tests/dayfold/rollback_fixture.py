"""A home with three published days, each of which promoted; the second one turns out to be bad."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from conf.settings import Settings
from dayfold.day import STEPS
from dayfold.workplace import Workplace
from feature_store.lake import Lake
from feature_store.tables import STEP_RUNS
from tests.dayfold.forget_fixture import SmallPlace
from tests.training.home_fixture import fresh_home, settings_at
from tests.training.lake_fixture import small_dataset, small_lake
from tests.training.promotion_fixture import (
    ARCHITECTURE,
    BOTH,
    D1,
    D2,
    D3,
    FAIR,
    GOOD,
    context_of,
    prepare,
    promote,
)
from training import publish, recommend

D4 = "2026-01-11"
AGAIN = {"two_tower": (GOOD, FAIR), "mlp": (GOOD, FAIR)}


def settings_of(home: Path) -> Settings:
    """Trainings go on with the checkpoints that the fixture makes."""
    settings = settings_at(home)
    shape = {"embedding_dim": ARCHITECTURE.embedding_dim, "hidden": ARCHITECTURE.hidden}
    chosen = settings.training.model_copy(update={**shape, "dropout": 0.0, "batch_size": 64})
    places = {"lake": "{home}/lake/{dataset}", "training": chosen}
    return settings.model_copy(update=places)


def place_at(home: Path) -> Workplace:
    """The workplace of a home that is there."""
    return SmallPlace(settings_of(home), small_dataset())


def three_days(home: Path) -> Workplace:
    """D1 to D3 promoted and published in `home`."""
    fresh_home(home)
    settings = settings_of(home)
    lake = small_lake(home / "lake" / "small")
    for ds in (D1, D2, D3):
        context = context_of(lake, settings, ds)
        prepare(context, BOTH if ds == D1 else AGAIN)
        promote(context)
        recommend.run(context)
        finished(lake, ds)
        publish.run(context)
    return place_at(home)


@contextmanager
def put_back(home: Path) -> Iterator[Workplace]:
    """The home's workplace; the home is put back afterwards, as runs and versions name its path."""
    saved = home.with_name("saved")
    shutil.copytree(home, saved)
    yield place_at(home)
    close_databases()
    shutil.rmtree(home)
    saved.rename(home)


def close_databases() -> None:
    """An open connection would go on with the file that goes."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Versions
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    for store in (Runs, Versions):
        for engine in store._engine_map.values():
            engine.dispose()


def finished(lake: Lake, ds: str) -> None:
    """Say that all steps of `ds` have finished."""
    for step in STEPS:
        row = {
            "ds": ds,
            "step": step.name,
            "finished_at": datetime(2026, 1, 20, tzinfo=UTC),
            "seconds": 1.0,
            "cpu_seconds": 1.0,
            "peak_memory_mb": 1.0,
            "summary": "",
            "warnings": [],
            "table_versions": "{}",
        }
        content = pa.Table.from_pylist([row], lake.schema(STEP_RUNS))
        lake.replace(STEP_RUNS, {"ds": ds, "step": step.name}, content, {"step": "test"})
