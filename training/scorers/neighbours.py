"""A memory of recent sequences that votes; its few weights are calibrated, nothing is learned.

The memory is a buffer of item ids without any user, read anew from the lake by every training (see
`training.fitting.memory`); so a day is added at no cost that grows, and a user who is forgotten is
in no later version.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from feature_store.tables import HALF_LIVES_DAYS
from training.features.reader import STANDING_SCALE
from training.features.rows import Int32
from training.light.memory import EVIDENCE, LENGTH, SEQUENCES, Memory
from training.scorers.batch import Batch
from training.scorers.inputs import STANDING_PRIOR, Recency
from training.scorers.schema import Schema
from training.scorers.sequence import Sequence

_START = 0.5
"""Weight of each kind of evidence before it is calibrated."""
_TAKEN = 2


class Neighbours(nn.Module):
    """A straight line from the votes, what was taken, and both sides' numbers to the logit.

    Letters: F columns of the line.
    """

    can_recall = False

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        del dim, hidden, dropout
        self.schema = schema
        self.recency = Recency(schema.history)
        self.beside: Sequence | None = None
        """The net whose logit is one more column."""
        columns = (*EVIDENCE, "taken or not", "taken", *schema.user.numeric, *schema.item.numeric)
        start = torch.zeros(len(columns) + 1)
        start[: len(EVIDENCE)] = _START
        if schema.labels == "sampled":
            for half_life, share in zip(HALF_LIVES_DAYS, STANDING_PRIOR, strict=True):
                start[columns.index(f"standing_h{half_life}")] = share * STANDING_SCALE
        self.weight = nn.Parameter(start[:-1])
        self.bias = nn.Parameter(start[-1])
        self.register_buffer("sequences", torch.zeros(SEQUENCES, LENGTH, dtype=torch.int32))
        self.sequences: Tensor
        self._memory: Memory | None = None

    def remember(self, sequences: Int32) -> None:
        """Put `sequences` (n <= SEQUENCES, LENGTH), newest first, in the place of the memory."""
        self.sequences.zero_()
        self.sequences[: len(sequences)] = torch.from_numpy(sequences)
        self._memory = None

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._memory = None

    def evidence(self, batch: Batch) -> Tensor:
        """(B, P, EVIDENCE) what the memory says of each pair."""
        if self._memory is None:
            self._memory = Memory(self.sequences.numpy().copy())
        evidence = self._memory.evidence(
            batch.user.history.numpy().astype(np.int32),
            batch.item.ids.numpy().astype(np.int32),
            batch.pair.numpy(),
        )
        return torch.from_numpy(evidence)

    def columns(self, batch: Batch, evidence: Tensor) -> Tensor:
        """(B, P, F)."""
        item = batch.item.ids[batch.pair]  # (B, P)
        same = (item[:, :, None] == batch.user.history[:, None, :]) & (item > 0)[:, :, None]
        taken = same.to(torch.float32) @ self.recency.weights  # (B, P)
        user = batch.user.numeric[:, None].expand(-1, item.shape[1], -1)
        flags = torch.stack([(taken > 0).to(taken.dtype), torch.log1p(taken)], dim=2)
        numbers = [user, batch.item.numeric[batch.pair]]
        return torch.cat([evidence, flags, *numbers], dim=2)

    def forward(self, batch: Batch) -> Tensor:
        """(B, P) logits."""
        return self.weigh(batch, self.evidence(batch))

    def weigh(self, batch: Batch, evidence: Tensor) -> Tensor:
        """(B, P) logits of a batch of which the memory was asked."""
        logits: Tensor = (self.columns(batch, evidence) * self.weight).sum(dim=2) + self.bias
        return logits

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in; the memory, and with it every logit, stays."""
        self.schema = schema


class SequenceNeighbours(Neighbours):
    """`Neighbours` with the logit of `sequence`, which is trained, as a further column."""

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__(schema, dim, hidden, dropout)
        self.beside = Sequence(schema, dim, hidden, dropout)
        start = self.weight.detach()
        start = torch.zeros_like(start) if schema.labels == "sampled" else start.clone()
        start[: len(EVIDENCE)] = _START
        self.weight = nn.Parameter(torch.cat([start, torch.ones(1)]))

    def columns(self, batch: Batch, evidence: Tensor) -> Tensor:
        """(B, P, F); the last one is the net's."""
        assert self.beside is not None  # noqa: S101
        known = super().columns(batch, evidence)
        return torch.cat([known, self.beside(batch)[:, :, None]], dim=2)

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in; logits of old ids stay bit-identical."""
        super().grow(schema)
        assert self.beside is not None  # noqa: S101
        self.beside.grow(schema)
