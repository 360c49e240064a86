"""Digests of everything that a training reads and gives, to compare two trainings byte for byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conf.training import TrainingSettings
from feature_store.lake import Lake
from training.fitting.candidate import train_candidate
from training.fitting.examples import load_examples, plan_of


@dataclass(frozen=True)
class Footprint:
    """SHA-256 of the bytes, by name: what went into a training and what came out of it."""

    rows: int
    """Rows trained on."""
    inputs: dict[str, str]
    weights: dict[str, str]


def footprint(lake: Lake, settings: TrainingSettings, scorer: str, ds: str) -> Footprint:
    """What a training of `scorer` for `ds` without a parent reads of the days before, and gives.

    Raises:
        TrainingError: there is too little to train on.
    """
    examples = load_examples(lake, plan_of(lake, ds, None), settings, scorer)
    net = train_candidate(lake, settings, scorer, ds).checkpoint.net
    inputs = {f"array {n}": array for n, array in enumerate(examples.arrays())}
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    schema = hashlib.sha256(net.schema.to_json().encode()).hexdigest()
    return Footprint(
        len(examples),
        {"schema": schema, **{name: _digest(array) for name, array in inputs.items()}},
        {name: _digest(array) for name, array in weights.items()},
    )


def _digest(array: NDArray[Any]) -> str:
    values = np.ascontiguousarray(array)
    about = f"{values.dtype.str}{values.shape}".encode()
    return hashlib.sha256(about + values.tobytes()).hexdigest()
