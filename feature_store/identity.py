"""Whose lake a folder holds: `lake.json` names its dataset, its id and the key of its user ids."""

from __future__ import annotations

import fcntl
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from conf.errors import ConfigError

_FILE = "lake.json"
FORMAT = 2
"""2: the vocabularies, users and items have base days."""
_LOCK = "lake.lock"


@dataclass(frozen=True)
class Identity:
    """What makes a lake the one that it is."""

    dataset: str
    id: str
    """Random; a lake that is deleted and begun anew has another one."""
    key: str | None = None
    """Fingerprint of the key that its user ids were made with; None before the first."""
    format: int = 1
    """How its tables are built; files that do not say it are of the first lakes."""


def identity_of(root: Path, dataset: str) -> Identity:
    """The identity of the lake of `dataset` at `root`, begun if there is none.

    Raises:
        ConfigError: the folder holds the lake of another dataset, or its file is damaged.
    """
    if known := known_identity(root, dataset):
        return known
    with _one_at_a_time(root):
        if not (root / _FILE).exists():
            _write(root / _FILE, Identity(dataset, uuid.uuid4().hex, format=FORMAT))
    return _read(root, dataset)


def known_identity(root: Path, dataset: str) -> Identity | None:
    """The identity of the lake of `dataset` at `root`; None where none was begun. Only reads.

    Raises:
        ConfigError: as `identity_of`, or `root` is no folder.
    """
    if root.exists() and not root.is_dir():
        raise ConfigError(
            f"{root} is a file, expected the folder of a lake. Next: pass another --lake (or "
            "DAYFOLD__LAKE), or none for the lake under DAYFOLD__HOME."
        )
    return _read(root, dataset) if (root / _FILE).exists() else None


def require_lake(root: Path, dataset: str) -> None:
    """Pass if the lake of `dataset` was begun at `root`. Only reads.

    Raises:
        ConfigError: it was not, or as `known_identity`.
    """
    if known_identity(root, dataset) is None:
        raise ConfigError(
            f"There is no lake at {root}. Next: pass another --lake or --dataset, or begin one "
            "there with `dayfold run`."
        )


def _read(root: Path, dataset: str) -> Identity:
    path = root / _FILE
    try:
        identity = Identity(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f'{path} is damaged: expected {{"dataset": ..., "id": ..., "key": ...}} ({error}). '
            "Next: put it back from a copy; the registered model has its id as dayfold.lake_id."
        ) from error
    if identity.dataset != dataset:
        raise ConfigError(
            f"{root} is the lake of dataset {identity.dataset!r}, not of {dataset!r}. "
            f"Pass --dataset {identity.dataset} or another --lake."
        )
    if identity.format != FORMAT:
        raise ConfigError(
            f"{root} holds tables of format {identity.format}, expected {FORMAT}: another version "
            "of Dayfold built them, and this one would misread them. Next: use that version, or "
            "build the days again from the raw zone, in order, in a new DAYFOLD__HOME."
        )
    return identity


def require_key(root: Path, dataset: str, fingerprint: str, *, bind: bool) -> None:
    """Pass if the lake's user ids come from the key with this fingerprint.

    Args:
        root: the lake's folder.
        dataset: its name.
        fingerprint: of `conf.pseudonym.fingerprint`.
        bind: remember it where no key is known yet, as whoever stores the first ids must.

    Raises:
        ConfigError: they come from another key.
    """
    identity = identity_of(root, dataset)
    if identity.key is None and bind:
        with _one_at_a_time(root):
            identity = _read(root, dataset)
            if identity.key is None:
                identity = replace(identity, key=fingerprint)
                _write(root / _FILE, identity)
    if identity.key not in (None, fingerprint):
        raise ConfigError(
            f"The user ids in {root} were made with another key (fingerprint {identity.key}, this "
            f"one has {fingerprint}): with this one every user would be a new one. Next: put the "
            "lake's key back (DAYFOLD_KEY or the file in `key_file`), or begin another --lake."
        )


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """Within it no other process of this machine changes the identity: the first one stays."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, identity: Identity) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{uuid.uuid4().hex}")
    fresh.write_text(json.dumps(asdict(identity)))
    fresh.rename(path)
