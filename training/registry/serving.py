"""The composite that serves on a day, loaded from the registry."""

from __future__ import annotations

from conf.settings import Settings
from feature_store.champion import standing_before
from feature_store.lake import Lake
from training.scoring.composite import Composite, load_composite


def champion_before(lake: Lake, settings: Settings, ds: str) -> Composite | None:
    """The composite with which `ds` begins, loaded; None while there is no champion."""
    standing = standing_before(lake, ds)
    return None if standing is None else load_version(lake, settings, standing.version)


def load_version(lake: Lake, settings: Settings, version: int) -> Composite:
    """The composite of one registered version."""
    # MLflow takes seconds to import: a day without a champion does not pay for it.
    from training.registry.registry import Registry

    return load_composite(Registry(settings, lake.id).version_directory(version), version)
