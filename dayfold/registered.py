"""The versions of a dataset's registered model, as commands that look back need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dayfold.workplace import Workplace
from feature_store.tables import CANDIDATES

if TYPE_CHECKING:
    from training.registry.versions import RegisteredVersion


def registered(workplace: Workplace) -> list[RegisteredVersion]:
    """Every version that was ever registered, ascending.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    lake = workplace.lake()
    if lake.version(CANDIDATES) < 0:
        return []  # No model was ever trained: MLflow is not asked.
    from training.registry.registry import Registry
    from training.registry.versions import registered_versions

    return registered_versions(Registry(workplace.settings, lake.id), lake.id)
