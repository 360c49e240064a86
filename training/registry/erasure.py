"""Forgetting a user in the registry: snapshots lose the user, versions say that they knew one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from conf.settings import Settings
from training.registry.files import as_uri, local_path
from training.registry.registry import Registry
from training.registry.versions import client_of, registered_versions

FORGOTTEN_TAG = "forgotten_users"
"""Tag of a version: how many of the users that it was trained on are forgotten now."""

_NOBODY = "forgotten"
_NAMES, _ARRAYS = "users.json", "users.npz"
_FOLDER = Path("light") / "data"
"""Of a composite, where its users are."""


def mark_versions(registry: Registry, lake_id: str, forgotten: Mapping[int, int]) -> list[int]:
    """Tag versions with how many users they knew that are forgotten; those that were tagged.

    Args:
        registry: of the dataset.
        lake_id: the lake that its versions must belong to.
        forgotten: number of users by registered version.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    client = client_of(registry)
    there = {version.version for version in registered_versions(registry, lake_id)}
    marked = sorted(there & forgotten.keys())
    for version in marked:
        client.set_model_version_tag(
            registry.name, str(version), FORGOTTEN_TAG, str(forgotten[version])
        )
    return marked


def blank_snapshots(registry: Registry, settings: Settings, lake_id: str, user_id: str) -> int:
    """Replace `user_id` (a pseudonym) by nobody in every snapshot there is; how many held it.

    From then on a version answers for that user as for one whom it does not know.

    Raises:
        RegistryError: the registered model belongs to another lake.
    """
    client, changed = client_of(registry), 0
    # A copy that was changed before a kill would hide that the original was not.
    registry.drop_downloads()
    for version in registered_versions(registry, lake_id):
        if local_path(version.source) is None:
            model = registry.version_directory(version.version)
            held = model / _FOLDER
            if blank_user(held, user_id):
                changed += 1
                # The files came from elsewhere: what was changed here goes back there.
                folder = f"{version.source.rsplit('/', 1)[-1]}/data/{model.name}/{_FOLDER}"
                # The names last: as long as they are there, the next try changes both again.
                for file in (_ARRAYS, _NAMES):
                    client.log_artifact(version.run_id, str(held / file), folder)
    # Whatever else lies on this machine, registered or not: downloads, models of killed promotions.
    artifacts = local_path(as_uri(settings.uri(settings.mlflow.artifact_root)))
    folders = [Path(settings.home).absolute() / "models" / registry.name]
    folders.append(settings.path(settings.serving.release))
    if artifacts is not None:
        folders.append(artifacts / settings.dataset)
    for root in folders:
        changed += sum(blank_user(path.parent, user_id) for path in root.rglob(_NAMES))
    return changed


def blank_user(directory: Path, user_id: str) -> bool:
    """Replace `user_id` in the snapshot in folder `directory` by nobody; False if it is not there.

    The user's row takes the values of row 0, of whom nothing is known, before the name goes: killed
    in between, it is found again.
    """
    user_ids: list[str] = json.loads((directory / _NAMES).read_text())
    if user_id not in user_ids:
        return False
    row = user_ids.index(user_id)
    path = directory / _ARRAYS
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    for values in arrays.values():
        values[row] = values[0]
    # np.savez adds its ending to a name without it
    fresh = path.with_name(f".{uuid.uuid4().hex}.npz")
    np.savez(fresh, **arrays)
    fresh.replace(path)
    user_ids[row] = _NOBODY
    fresh.write_text(json.dumps(user_ids))
    fresh.replace(directory / _NAMES)
    return True
