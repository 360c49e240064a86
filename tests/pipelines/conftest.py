"""One Spark session for all tests of the pipelines (10 s, once)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from conf.settings import Settings
from pipelines.spark import session
from tests.pipelines.workbench import Workbench, dataset


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of the pipelines' own making: local[2], UI off, 2 shuffle partitions."""
    made = session(Settings(home=str(tmp_path_factory.mktemp("home")), dataset="bench"))
    yield made
    made.stop()


@pytest.fixture
def bench(spark: SparkSession, tmp_path: Path) -> Callable[..., Workbench]:
    """An empty raw zone and lake; arguments change the dataset's declaration."""
    del spark

    def make(name: str = "bench", **changes: Any) -> Workbench:
        return Workbench(tmp_path / name, dataset(**changes))

    return make
