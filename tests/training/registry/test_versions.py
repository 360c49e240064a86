"""Versions are found by what the registry says of them, not by what a day's tables name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from conf.errors import RegistryError
from feature_store.lake import Lake
from tests.training.registry.fake_composite import fake_composite
from training.registry.registry import Registry
from training.registry.versions import registered_versions, versions_trained_since


def register(registry: Registry, folder: Path, tags: Mapping[str, object]) -> int:
    """A version with `tags`, whose composite is a file without content."""
    key = str(len(list(folder.iterdir())))
    composite = fake_composite(folder / key)
    run_id = registry.scorer_run("2026-01-05", "mlp")
    return registry.register(promote_key=key, directory=composite, run_id=run_id, tags=tags)


def test_a_version_is_found_if_its_training_reached_the_day(
    registry: Registry, lake: Lake, tmp_path: Path
) -> None:
    folder = tmp_path / "composites"
    folder.mkdir()
    day = "2026-01-04"
    before = register(registry, folder, {"training_days": "2026-01-01 to 2026-01-03", "ds": day})
    reached = register(registry, folder, {"training_days": f"2026-01-02 to {day}", "ds": "x"})
    tested = register(registry, folder, {"ds": "2026-01-05"})
    silent = register(registry, folder, {})
    everything = [version.version for version in registered_versions(registry, lake.id)]
    assert everything == [before, reached, tested, silent]
    assert versions_trained_since(registry, lake.id, day) == [reached, tested, silent]
    with pytest.raises(RegistryError, match="belongs to the lake"):
        registered_versions(registry, "another")


def test_a_registry_without_a_model_has_no_versions(registry: Registry, lake: Lake) -> None:
    assert registered_versions(registry, lake.id) == []
