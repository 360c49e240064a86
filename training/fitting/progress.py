"""How far a training has come, in one file: what a killed one goes on from, to the same weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

_ABOUT = "dayfold"


@dataclass
class Best:
    """The pass with the lowest validation loss so far."""

    number: int = 0
    """From 1; 0 = no pass has ended."""
    loss: float = float("inf")
    weights: Tensors = field(default_factory=dict)
    moments: Tensors = field(default_factory=dict)


@dataclass
class Progress:
    """A training between two steps."""

    step: int
    """Steps taken, over all passes."""
    weights: Tensors
    moments: Tensors
    best: Best
    training_losses: list[float]
    """One per step."""
    validation_losses: list[float]
    """One per pass."""


def save_progress(path: Path, input_hash: str, progress: Progress) -> None:
    """Put `progress` in the place of what `path` held, at once."""
    best = progress.best
    about = {
        "input_hash": input_hash,
        "step": progress.step,
        "best_pass": best.number,
        "best_loss": best.loss,
        "training_losses": progress.training_losses,
        "validation_losses": progress.validation_losses,
    }
    groups = {
        "weights": progress.weights,
        "moments": progress.moments,
        "best_weights": best.weights,
        "best_moments": best.moments,
    }
    tensors = {f"{g}/{n}": t.contiguous() for g, group in groups.items() for n, t in group.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.tmp")
    save_file(tensors, fresh, metadata={_ABOUT: json.dumps(about)})
    fresh.replace(path)


def load_progress(path: Path, input_hash: str) -> Progress | None:
    """What `path` holds of a training with these inputs; None if there is nothing of it.

    Nor is there of a file that was cut off (a full disk, a lost machine): training begins anew.
    """
    if not path.exists():
        return None
    groups: dict[str, Tensors] = {}
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[_ABOUT])
            if about["input_hash"] != input_hash:
                return None
            for name in file.keys():  # noqa: SIM118
                group, key = name.split("/", 1)
                groups.setdefault(group, {})[key] = file.get_tensor(name)
    except SafetensorError:
        return None
    best = Best(
        about["best_pass"],
        about["best_loss"],
        groups.get("best_weights", {}),
        groups.get("best_moments", {}),
    )
    return Progress(
        about["step"],
        groups["weights"],
        groups.get("moments", {}),
        best,
        about["training_losses"],
        about["validation_losses"],
    )
