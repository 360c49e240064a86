"""What the registry needs besides MLflow: files, one process at a time, a quiet import."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from conf.errors import RegistryError

_ENTRY = {
    "item_id": {"type": "string", "required": True},
    "rank": {"type": "long", "required": True},
    "score": {"type": "double", "required": False},
    "reason": {"type": "string", "required": True},
    "version": {"type": "string", "required": True},
}
OUTPUTS: list[dict[str, object]] = [
    {"name": "user_id", "type": "string", "required": False},
    {"name": "version", "type": "string"},
    {"name": "items", "type": "array", "items": {"type": "object", "properties": _ENTRY}},
]
"""Columns of its answer, a row per request."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def local_path(uri: str) -> Path | None:
    """The folder that `uri` names on this machine's file system, or None if it is elsewhere."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(url2pathname(parsed.path))
    return Path(uri) if not parsed.scheme else None


def as_uri(location: str) -> str:
    """`location` as a URI: paths become absolute file URIs."""
    return location if urlparse(location).scheme else Path(location).absolute().as_uri()


def composite_in(model: Path, what: str) -> Path:
    """The composite's folder within the saved model `model`.

    Raises:
        RegistryError: it holds none.
    """
    found = sorted(model.glob("data/*/composite.json"))
    if not found:
        raise RegistryError(
            f"{what} has no files: expected a composite under {model}. "
            f"Restore the folder, or begin again with `dayfold demo --fresh`."
        )
    return found[0].parent


def fetched_once(folder: Path, fetch: Callable[[Path], None]) -> Path:
    """The saved model within `folder`, which `fetch` fills if it is not there yet.

    Raises:
        RegistryError: what was fetched is no saved model; it is not kept.
    """
    if not folder.exists():
        fetching = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(fetching, ignore_errors=True)  # begun by a process that died
        fetching.mkdir(parents=True)
        try:
            fetch(fetching)
            _saved_model(fetching)
            with contextlib.suppress(OSError):  # another process was faster
                fetching.rename(folder)
        finally:
            shutil.rmtree(fetching, ignore_errors=True)
    return _saved_model(folder)


def _saved_model(folder: Path) -> Path:
    for found in (folder, *sorted(folder.iterdir())):
        if (found / "MLmodel").exists():
            return found
    names = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise RegistryError(
        f"A version was downloaded to {folder} and is no saved model: expected MLmodel, found "
        f"{names}. Restore the artifacts, delete that folder, and run the step again."
    )


def check_lake(what: str, found: str | None, expected: str) -> None:
    """Pass if `what` belongs to the lake `expected`.

    Raises:
        RegistryError: it belongs to another one.
    """
    if found != expected:
        raise RegistryError(
            f"The {what} belongs to the lake {found}, expected {expected}: the lake was replaced, "
            f"or two lakes share a registry. Next: `dayfold demo --fresh`, or another home: "
            f"DAYFOLD__HOME=<folder>."
        )


@contextlib.contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """Hold the registry's lock of this machine: find-or-create in one process at a time."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "registry.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within it MLflow is imported as we want it, without its own libraries' deprecations."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
