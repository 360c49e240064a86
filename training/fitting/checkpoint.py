"""A scorer's folder: `scorer.json`, `weights.safetensors`, `optimizer.safetensors`. No pickle."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from conf.errors import RegistryError
from training.fitting.optimizer import Moments
from training.scorers import Architecture, ScorerNet, build
from training.scorers.schema import Schema
from training.scorers.trained import TrainedScorer
from training.text.architecture import TextArchitecture

ABOUT = "scorer.json"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
_FORMAT = 1
Read = TypeVar("Read")


@dataclass(frozen=True)
class Training:
    """What a scorer was trained on."""

    parent_version: int
    """Registered version it was warm-started from; 0 = none."""
    first_day: str
    """First new training day."""
    last_day: str
    """Last training day; the vocabulary day as well."""
    rows: int
    """New rows trained on."""
    replay_rows: int
    seed: int


@dataclass(frozen=True)
class Checkpoint:
    """A scorer with all that the next training needs."""

    name: str
    net: ScorerNet
    architecture: Architecture
    training: Training
    moments: Moments


def save_scorer(directory: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `directory`, which is replaced as a whole if it is there."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")
    fresh.mkdir()
    about = {
        "format": _FORMAT,
        "scorer": checkpoint.name,
        "architecture": asdict(checkpoint.architecture),
        "training": asdict(checkpoint.training),
        "schema": json.loads(checkpoint.net.schema.to_json()),
    }
    (fresh / ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    weights = {name: values.contiguous() for name, values in checkpoint.net.state_dict().items()}
    save_file(weights, fresh / WEIGHTS)
    save_file(checkpoint.moments, fresh / OPTIMIZER)
    if directory.exists():
        old = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")
        directory.rename(old)
        fresh.rename(directory)
        shutil.rmtree(old)
    else:
        fresh.rename(directory)


def load_scorer(directory: Path) -> TrainedScorer:
    """The scorer in `directory`, ready to score.

    Raises:
        RegistryError: there is no scorer, or one of another format.
    """
    name, net, _ = _load(directory)
    return TrainedScorer(name, net)


def load_checkpoint(directory: Path) -> Checkpoint:
    """The scorer in `directory` with its optimizer's moments, to be trained further.

    Raises:
        RegistryError: there is no scorer, or one of another format.
    """
    name, net, about = _load(directory)
    training = about["training"]
    path = directory / OPTIMIZER
    return Checkpoint(
        name,
        net,
        _architecture(about),
        Training(**training),  # type: ignore[arg-type]
        _read(path, load_file) if path.exists() else {},
    )


def scorer_name(directory: Path) -> str | None:
    """The name of the scorer in `directory`, or None where there is none."""
    path = directory / ABOUT
    return str(json.loads(path.read_text())["scorer"]) if path.exists() else None


def _load(directory: Path) -> tuple[str, ScorerNet, dict[str, dict[str, object]]]:
    path = directory / ABOUT
    if not path.exists():
        raise RegistryError(f"{directory} holds no scorer: expected {ABOUT}. Train the day again.")
    about = _read(path, lambda file: json.loads(file.read_text()))
    if about["format"] != _FORMAT:
        raise RegistryError(
            f"{path} has format {about['format']}, expected {_FORMAT}. Use the release of Dayfold "
            "that wrote it, or train without a parent."
        )
    name = str(about["scorer"])
    net = build(name, Schema.from_json(json.dumps(about["schema"])), _architecture(about))
    net.load_state_dict(_read(directory / WEIGHTS, load_file))
    return name, net, about


def _read(path: Path, read: Callable[[Path], Read]) -> Read:
    try:
        return read(path)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise RegistryError(
            f"{path} cannot be read, it is cut off or was changed: {error}. Next: train the day "
            "that wrote it again, or set training.start: afresh (DAYFOLD__TRAINING__START)."
        ) from error


def _architecture(about: dict[str, dict[str, object]]) -> Architecture:
    shape = about["architecture"]
    return Architecture(
        int(str(shape["embedding_dim"])),
        tuple(int(h) for h in shape["hidden"]),  # type: ignore[attr-defined]
        float(str(shape["dropout"])),
        TextArchitecture.from_json(shape.get("text")),  # type: ignore[arg-type]
    )
