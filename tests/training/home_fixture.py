"""A home with MLflow's database in it: made once per process (its migrations take seconds)."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from conf.settings import GateSettings, Settings
from conf.training import TrainingSettings
from training.registry.registry import Registry


@cache
def _template() -> Path:
    home = Path(tempfile.mkdtemp(prefix="dayfold-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    registry = Registry(settings_at(home), "template")
    registry.day_run("2026-01-01")
    registry.delete_dataset()
    return home / "mlflow.db"


def settings_at(home: Path) -> Settings:
    """Settings of dataset `small` whose home is `home`."""
    return Settings(
        home=str(home),
        dataset="small",
        training=TrainingSettings(scorers=("two_tower", "mlp"), batch_size=128),
        # Models by hand follow the labels further than their probabilities say.
        gate=GateSettings(resamples=200, max_ece=1.0),
    )


def fresh_home(home: Path) -> Settings:
    """Settings of a home at `home` whose registry is empty."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_template(), home / "mlflow.db")
    return settings_at(home)
