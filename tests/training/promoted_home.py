"""A lake and a home in which a champion was trained, gated and registered."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from conf.settings import GateSettings, Settings
from feature_store.champion import standing_after
from feature_store.lake import Lake
from feature_store.step import StepContext
from feature_store.tables import (
    DAILY_METRICS,
    DRIFT,
    Table,
)
from tests.training.log_fixture import LINEAGE
from training import evaluate, promote, recommend, score_day, train

TRAINED = "2026-01-09"
SCORED = "2026-01-10"
LATER = ("2026-01-11", "2026-01-12")


@dataclass(frozen=True)
class Home:
    """A lake and a home in which TRAINED promoted a champion."""

    lake: Lake
    settings: Settings

    def context(self, ds: str, scorer: str | None = None) -> StepContext:
        return StepContext((ds,), self.lake, self.lake.dataset, self.settings, scorer)

    def rows(self, table: Table, ds: str) -> list[dict[str, object]]:
        return self.lake.read(table, [ds]).to_pylist()

    def metrics(self, ds: str) -> dict[str, tuple[float, int]]:
        rows = self.lake.read(DAILY_METRICS, [ds]).to_pylist()
        return {f"{row['subject']}.{row['metric']}": (row["value"], row["n"]) for row in rows}


def promoted_home(lake: Lake, settings: Settings) -> Home:
    """The home of `lake`, TRAINED done and SCORED scored."""
    # Twelve small days make no good model; here every model passes.
    gate = GateSettings(
        margin=1.0,
        max_calibration_error=9.0,
        max_ece=9.0,
        max_log_loss_increase=9.0,
        max_new_user_increase=9.0,
        max_new_item_increase=9.0,
        resamples=200,
    )
    home = Home(lake, settings.model_copy(update={"gate": gate}))
    _promote(home)
    score_day.run(home.context(SCORED))
    return home


def copied(home: Home, folder: Path) -> Home:
    """The same home on a copy of its lake (same id, same registry)."""
    shutil.copytree(home.lake.root, folder / "lake")
    return replace(home, lake=Lake(folder / "lake", home.lake.dataset))


def _promote(home: Home) -> None:
    decision = {"decision": ["retrain"], "train": [True], "reason": ["."], "evidence": ["{}"]}
    home.lake.replace(DRIFT, {"ds": TRAINED}, pa.table(decision), LINEAGE)
    for step in (train, evaluate):
        for scorer in home.settings.training.scorers:
            step.run(home.context(TRAINED, scorer))
    promote.run(home.context(TRAINED))
    recommend.run(home.context(TRAINED))
    assert standing_after(home.lake, TRAINED) is not None
