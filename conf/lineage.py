"""Where results come from: the code's version and hashes of what shapes them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from conf.dataset import DatasetConfig
from conf.settings import Settings

_ELSEWHERE = frozenset({"launcher", "home", "raw", "lake", "schedule"})


def config_hash(settings: Settings, dataset: DatasetConfig) -> str:
    """16 hex digits that change with any setting or declaration that a step can see.

    Where home, raw zone and lake lie, who launches the steps, when, and the password of a URI are
    left out.
    """
    shown = {name: value for name, value in settings.shown().items() if name not in _ELSEWHERE}
    text = json.dumps(shown) + dataset.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def model_hash(settings: Settings, dataset: DatasetConfig) -> str:
    """16 hex digits that change with what decides the weights: dataset, features, training."""
    parts = (dataset, settings.features, settings.training)
    text = "".join(part.model_dump_json() for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(content: Mapping[str, object]) -> str:
    """The SHA-256 (hex) of `content` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
