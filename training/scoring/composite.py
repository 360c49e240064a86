"""A composite: what one registered version is made of, on disk and in memory.

<directory>/composite.json    the scorers' names, the day, the vocabulary day
<directory>/retriever/        checkpoint of a scorer that can recall
<directory>/ranker/           checkpoint of the scorer that ranks
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conf.errors import RegistryError

if TYPE_CHECKING:
    from training.scorers.trained import TrainedScorer


@dataclass(frozen=True)
class Composite:
    """One registered version, loaded."""

    version: int
    scorer: str
    """Scorer name of the ranker: the version's family."""
    retriever: TrainedScorer
    ranker: TrainedScorer


def save_composite(
    directory: Path, *, scorer: str, retriever: Path, ranker: Path, about: Mapping[str, object]
) -> None:
    """Write the composite of two checkpoint folders to `directory` (which must not exist)."""
    directory.mkdir(parents=True)
    shutil.copytree(retriever, directory / "retriever")
    shutil.copytree(ranker, directory / "ranker")
    content = {"format": 1, "scorer": scorer, **about}
    (directory / "composite.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def load_composite(directory: Path, version: int) -> Composite:
    """The composite in `directory`.

    Raises:
        RegistryError: the folder holds none.
    """
    # Torch comes with the checkpoints; whoever only assembles folders does not pay for it.
    from training.fitting.checkpoint import load_scorer

    try:
        about = json.loads((directory / "composite.json").read_text())
    except FileNotFoundError as error:
        raise RegistryError(
            f"{directory} holds no composite: expected composite.json, retriever/ and ranker/."
        ) from error
    return Composite(
        version,
        str(about["scorer"]),
        retriever=load_scorer(directory / "retriever"),
        ranker=load_scorer(directory / "ranker"),
    )
