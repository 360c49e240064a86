"""What a process needs to run steps: settings, dataset, lake; opened once, cheap to open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conf.dataset import DatasetConfig, load_dataset
from conf.lineage import code_version, config_hash
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

    def existing_lake(self) -> Lake:
        """As `lake`, for whoever has nothing to do where none was begun.

        Raises:
            ConfigError: none was.
        """
        from feature_store.identity import require_lake

        require_lake(self.settings.path(self.settings.lake), self.dataset.name)
        return self.lake()

    def lineage(self) -> dict[str, str]:
        """What every commit says about its origin: code version and configuration hash."""
        return {
            "code_version": code_version(),
            "config_hash": config_hash(self.settings, self.dataset),
        }

    def raw_zone(self) -> RawZone:
        """The dataset's raw zone."""
        from feature_store.raw_zone import RawZone

        return RawZone(self.raw_root)


def open_workplace(lake: Path | None = None) -> Workplace:
    """The workplace that the settings (YAML, environment) describe.

    Args:
        lake: as a flag named it, to be there: no lake is made of a typing error. None = no flag
            did, and the one of the settings may be yet to begin.

    Raises:
        ConfigError: a setting or the dataset's declaration is wrong, or `lake` is not there.
    """
    settings = load_settings()
    workplace = Workplace(settings, load_dataset(settings.dataset))
    if lake is not None:
        workplace.existing_lake()
    return workplace
