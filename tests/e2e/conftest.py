"""One small simulated shop, run end to end once; the tests look at what it left."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conf.dataset import load_dataset
from feature_store.lake import Lake

DAYFOLD = str(Path(sys.executable).parent / "dayfold")
HISTORY_FROM, FIRST, LAST = "2026-01-01", "2026-01-31", "2026-02-02"
SIZE = ("--users", "300", "--items", "120", "--seed", "3", "--drift", "2026-02-01:ctr:-1.0")


@dataclass(frozen=True)
class Shop:
    """A home with a raw zone and a lake, and the command line over it."""

    home: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`dayfold <arguments>` with this home."""
        environment = {**os.environ, "DAYFOLD__HOME": str(self.home)}
        done = subprocess.run(
            [DAYFOLD, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """`dayfold <arguments>` with this home, running."""
        environment = {**os.environ, "DAYFOLD__HOME": str(self.home)}
        return subprocess.Popen(
            [DAYFOLD, *arguments], env=environment, stdout=subprocess.PIPE, text=True
        )

    def days(self, last: int = 60) -> dict[str, dict[str, Any]]:
        """`dayfold status --json`, by day."""
        answer = json.loads(self.run("status", "--json", "--last", str(last)).stdout)
        return {day["ds"]: day for day in answer["days"]}

    @property
    def raw(self) -> Path:
        """The raw zone."""
        return self.home / "raw" / "simulated"

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.home / "lake" / "simulated", load_dataset("simulated"))

    def registered(self) -> list[tuple[Any, ...]]:
        """MLflow's versions, then its aliases."""
        return [
            *self._asked("select name, version from model_versions order by 2"),
            *self._asked("select alias, version from registered_model_aliases order by 1"),
        ]

    def tags_of_runs(self, ds: str) -> dict[str, dict[str, str]]:
        """The tags of MLflow's runs of `ds` by scorer; of the day's own by ""."""
        runs: dict[str, dict[str, str]] = {}
        for run, name, value in self._asked("select run_uuid, key, value from tags"):
            runs.setdefault(run, {})[name] = value
        of_day = [tags for tags in runs.values() if tags.get("dayfold.ds") == ds]
        kinds = {"day", "scorer"}
        return {t.get("dayfold.scorer", ""): t for t in of_day if t.get("dayfold.kind") in kinds}

    def _asked(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "mlflow.db")) as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """History of 30 days, then three days through `dag.test()`, the second of them drifted."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    span = ("--from", HISTORY_FROM, "--to", LAST)
    shop.run("simulate", "--raw", str(shop.raw), *span, *SIZE)
    shop.run("run", "--history-from", HISTORY_FROM, "--from", FIRST, "--to", LAST)
    return shop
