"""What a process needs to run steps: settings, dataset, lake; opened once, cheap to open."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from conf.dataset import DatasetConfig, load_dataset
from conf.settings import Settings, load_settings

if TYPE_CHECKING:
    from feature_store.lake import Lake
    from feature_store.raw_zone import RawZone


@dataclass(frozen=True)
class Workplace:
    """The settings of this process and the dataset that they name."""

    settings: Settings
    dataset: DatasetConfig

    @property
    def raw_root(self) -> Path:
        """Folder of the raw zone."""
        return self.settings.path(self.settings.raw)

    @property
    def home(self) -> Path:
        """Folder of databases, logs and the key."""
        return Path(self.settings.home).absolute()

    def lake(self) -> Lake:
        """The dataset's lake; every commit made through it names code and configuration."""
        from feature_store.lake import Lake

        return Lake(self.settings.path(self.settings.lake), self.dataset, self.lineage())

    def lineage(self) -> dict[str, str]:
        """What every commit says about its origin: code version and configuration hash."""
        return {"code_version": code_version(), "config_hash": self.config_hash()}

    def raw_zone(self) -> RawZone:
        """The dataset's raw zone."""
        from feature_store.raw_zone import RawZone

        return RawZone(self.raw_root)

    def config_hash(self) -> str:
        """16 hex digits that change with any setting or declaration that a step can see."""
        text = (
            self.settings.model_dump_json(exclude={"launcher", "home"})
            + self.dataset.model_dump_json()
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_workplace() -> Workplace:
    """The workplace that the settings (YAML, environment) describe.

    Raises:
        ConfigError: a setting or the dataset's declaration is wrong.
    """
    settings = load_settings()
    return Workplace(settings, load_dataset(settings.dataset))


@cache
def code_version() -> str:
    """The git commit of the checkout (+ where it has changes), else the package's version."""
    root = Path(__file__).parent.parent
    if (root / ".git").exists():
        described = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "describe", "--always", "--dirty=+"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if described.returncode == 0:
            return described.stdout.strip()
    try:
        return version("dayfold")
    except PackageNotFoundError:
        return "unknown"
