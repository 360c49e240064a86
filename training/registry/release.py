"""Writes what serves into the release folder, from which services pull it.

    <release>/release.json        replaced as a whole, last
    <release>/v<version>-<key>/   the version's folder `light`, there before it is named

See `training.light.release` for who reads it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import uuid
from pathlib import Path

from conf.errors import RegistryError
from training.light.known import FormatError
from training.light.release import RELEASE, read_release
from training.registry.pool import Pool
from training.registry.registry import Registry

KEPT_FOLDERS = 3
"""Versions that stay for a while after they stopped serving: somebody may be loading them."""
_ABANDONED_SECONDS = 3600
"""What was begun so long ago belongs to a process that was killed."""
_OURS = re.compile(r"v\d+-[0-9a-f]{12}")
_BEGUN = re.compile(r"\.[0-9a-f]{32}")
"""Names of the writer's own folders: in a folder that others use too, the rest is theirs."""


def write_release(registry: Registry, pool: Pool, folder: Path) -> str:
    """Make `folder` hold the versions of `pool`; the release's etag.

    The same pool of the same versions gives the same etag, and writes nothing.

    Raises:
        RegistryError: a version is not there, or was registered without its folder `light`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    versions = [_placed(registry, version, folder) for version in sorted(pool.weights)]
    content = {
        "pick": pool.pick,
        "versions": [
            {**said, "weight": pool.weights[version]}
            for version, said in zip(sorted(pool.weights), versions, strict=True)
        ],
    }
    etag = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / RELEASE
    if etag_in(folder) != etag:
        fresh = path.with_name(f".{uuid.uuid4().hex}")
        fresh.write_text(json.dumps({"etag": etag, **content}, indent=1) + "\n")
        fresh.replace(path)
    _clear(folder, {str(said["folder"]) for said in versions})
    return etag


def etag_in(folder: Path) -> str | None:
    """The etag of what is released in `folder`; None where there is no release that can be read."""
    path = folder / RELEASE
    try:
        return str(read_release(path)["etag"]) if path.exists() else None
    except FormatError:
        return None


def shares_in(folder: Path) -> dict[int, float]:
    """The share of each registered version that is released in `folder`; empty without one."""
    if etag_in(folder) is None:
        return {}
    said = read_release(folder / RELEASE)["versions"]
    return {one["registered_version"]: one["weight"] for one in said if "registered_version" in one}


def name_in_answers(registry: Registry, version: int) -> str | None:
    """What a version calls itself in answers and logs; None where it was registered without.

    Raises:
        RegistryError: there is no such version, or its files are gone.
    """
    about = registry.version_directory(version) / "light" / "data" / "about.json"
    return str(json.loads(about.read_text())["version"]) if about.exists() else None


def _placed(registry: Registry, version: int, folder: Path) -> dict[str, object]:
    """The version's entry; its folder is copied if it is not there."""
    light = registry.version_directory(version) / "light"
    if not (light / "data" / "about.json").exists():
        raise RegistryError(
            f"Version {version} has no folder `light`, expected one as a promotion writes it now: "
            "it was registered by an earlier Dayfold. What served stays released. Next: dayfold "
            "pool clear, or wait for the next promotion."
        )
    about = json.loads((light / "data" / "about.json").read_text())
    digest = hashlib.sha256()
    for path in sorted(light.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(light).as_posix().encode() + path.read_bytes())
    # a version that loses a forgotten user is another content under the same number
    name = f"v{version}-{digest.hexdigest()[:12]}"
    if not (folder / name).exists():
        fresh = folder / f".{uuid.uuid4().hex}"
        shutil.copytree(light, fresh)
        fresh.rename(folder / name)
    return {"folder": name, "registered_version": version, "version": about["version"]}


def _clear(folder: Path, named: set[str]) -> None:
    """Delete own folders that nothing names, all but the newest ones, and what a kill left."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    begun = [path for path in folders if _BEGUN.fullmatch(path.name)]
    others = [path for path in folders if _OURS.fullmatch(path.name) and path.name not in named]
    old = sorted(others, key=lambda path: path.stat().st_mtime)
    long_ago = time.time() - _ABANDONED_SECONDS
    left = [path for path in begun if path.stat().st_mtime < long_ago]
    for path in [*left, *old[: max(0, len(old) - KEPT_FOLDERS)]]:
        shutil.rmtree(path, ignore_errors=True)
