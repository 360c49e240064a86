"""What the registry says of its versions: all that were ever registered, whatever the lake names.

A day that is run again names its new versions only; those of the run before stay registered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.registry.files import check_lake, quietly
from training.registry.registry import Registry

TABLE_VERSIONS = "table_versions"
"""Tag of a version, JSON: the Delta versions, by table key, that the day's steps had written."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a dataset's registered model."""

    version: int
    source: str
    """URI of its files."""
    run_id: str
    tags: Mapping[str, str]

    @property
    def last_day(self) -> str | None:
        """The last day that it, or a parent, can have been trained on; None if it does not say.

        A version without training days was trained before the day it was tested on, at the latest.
        """
        training_days = self.tags.get("training_days", "")
        return training_days.rsplit(" ", 1)[-1] or self.tags.get("ds") or None

    @property
    def last_seen(self) -> str | None:
        """The last day that it was trained or tested on; None if it does not say."""
        return max(filter(None, (self.last_day, self.tags.get("ds"))), default=None)

    @property
    def table_versions(self) -> dict[str, int]:
        """Delta versions by table key: what it was trained and tested on; empty if untold."""
        return dict(json.loads(self.tags.get(TABLE_VERSIONS, "{}")))


def registered_versions(registry: Registry, lake_id: str) -> list[RegisteredVersion]:
    """All versions of the registered model, ascending; none where there is no model yet.

    Raises:
        RegistryError: the registered model belongs to another lake than `lake_id`.
    """
    models = client_of(registry).search_registered_models(f"name = '{registry.name}'")
    if not models:
        return []
    check_lake(
        f"registered model {registry.name!r}", models[0].tags.get("dayfold.lake_id"), lake_id
    )
    found = [
        RegisteredVersion(int(v.version), str(v.source), str(v.run_id), dict(v.tags))
        for v in _pages(registry)
    ]
    return sorted(found, key=lambda version: version.version)


def version_numbers(registry: Registry) -> list[int]:
    """The numbers of all versions of the registered model, ascending."""
    return sorted(int(version.version) for version in _pages(registry))


def _pages(registry: Registry) -> Iterator[Any]:
    """Every version, as MLflow gives it."""
    client, token = client_of(registry), None
    while True:
        page = client.search_model_versions(f"name = '{registry.name}'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def versions_trained_since(registry: Registry, lake_id: str, first_day: str) -> list[int]:
    """Versions that were trained, themselves or their parents, on `first_day` or later.

    A version knows all days up to its last one: it starts from a parent that knew those before.
    One that does not say its days may know them all.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    versions = registered_versions(registry, lake_id)
    return [one.version for one in versions if _reaches(one.last_day, first_day)]


def versions_tested_since(registry: Registry, lake_id: str, first_day: str) -> list[int]:
    """Versions that were trained or tested on `first_day` or later: its labels had a say in them.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    versions = registered_versions(registry, lake_id)
    return [one.version for one in versions if _reaches(one.last_seen, first_day)]


def _reaches(last: str | None, day: str) -> bool:
    return last is None or last >= day


def client_of(registry: Registry) -> Any:
    """A client of the registry's MLflow."""
    with quietly():
        from mlflow import MlflowClient

        return MlflowClient(registry.tracking_uri, registry.tracking_uri)
