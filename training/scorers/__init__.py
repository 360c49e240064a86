"""The scorers by name. One file each, plain `nn.Module`s.

What each of them has:
    schema, can_recall    the inputs known; whether the logit is a dot product of two vectors
    forward(batch)        (B, P) logits; higher = more likely positive
    grow(schema)          takes new ids in: rows are added as copies of row 0, old logits stay

Letters, once: B users in a batch, M items in a batch, P items per user, D embedding dimension,
E width of one side's inputs, H hidden width, C, W, S, L, X as in `training.features.rows`.
"""

from __future__ import annotations

from dataclasses import dataclass

from conf.errors import ConfigError
from conf.training import TEXT_SCORERS
from training.scorers.lstm import Lstm
from training.scorers.mlp import Mlp
from training.scorers.ncf import Ncf
from training.scorers.neighbours import Neighbours, SequenceNeighbours
from training.scorers.schema import Schema
from training.scorers.sequence import Sequence
from training.scorers.text import TextScorer
from training.scorers.two_tower import TwoTower
from training.text.architecture import TextArchitecture
from training.text.encoder import encoder_of


@dataclass(frozen=True)
class Architecture:
    """What a scorer's weights depend on, besides its schema."""

    embedding_dim: int
    hidden: tuple[int, ...]
    dropout: float
    text: TextArchitecture | None = None
    """The language model of those that read text."""


ScorerNet = TwoTower | Mlp | Ncf | Neighbours | TextScorer
SCORERS: dict[str, type[TwoTower] | type[Mlp] | type[Ncf] | type[Neighbours]] = {
    "two_tower": TwoTower,
    "mlp": Mlp,
    "ncf": Ncf,
    "sequence": Sequence,
    "lstm": Lstm,
    "neighbours": Neighbours,
    "sequence_neighbours": SequenceNeighbours,
}
"""Those that read ids; `conf.training.TEXT_SCORERS` read words."""


def build(name: str, schema: Schema, architecture: Architecture) -> ScorerNet:
    """A fresh scorer; its weights are drawn from torch's generator.

    Raises:
        ConfigError: there is no scorer of this name, or its language model is not there.
    """
    known = SCORERS.keys() | TEXT_SCORERS
    if name not in known:
        raise ConfigError(
            f"Scorer {name!r} is not known, expected one of {sorted(known)}. "
            "Correct training.scorers in conf/base.yaml."
        )
    shape = (architecture.embedding_dim, architecture.hidden, architecture.dropout)
    if name in TEXT_SCORERS:
        if architecture.text is None:
            raise ConfigError(f"Scorer {name!r} reads text, expected a language model beside it.")
        return TextScorer(schema, *shape, encoder_of(architecture.text))
    return SCORERS[name](schema, *shape)


__all__ = ["SCORERS", "Architecture", "ScorerNet", "build"]
