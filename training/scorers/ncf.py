"""Neural collaborative filtering: a user is what they took lately, an item is its id.

Two branches as in NeuMF (He et al. 2017): the product of both vectors, and an MLP over both. The
user's vectors are pooled from the items of the behaviour, so that a user who is new to the
vocabulary has them as soon as they have taken something. L2 is the optimizer's weight decay.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from training.scorers.batch import Batch, SideTensors
from training.scorers.dropout import PairDropout
from training.scorers.inputs import (
    PopularityPrior,
    Recency,
    Table,
    straight_line,
)
from training.scorers.norm import Norm
from training.scorers.schema import Schema


class Behaviour(nn.Module):
    """An item's vector and, pooled from what a user took, the user's vector beside it."""

    def __init__(self, schema: Schema, dim: int) -> None:
        super().__init__()
        self.item = Table(schema.item.index, dim)
        self.taken = Table(schema.item.index, dim)
        self.recency = Recency(schema.history)

    def users(self, side: SideTensors) -> Tensor:
        """(B, D); zeros of a user who took nothing that is known."""
        return self.taken.pooled(side.history, self.recency.shares(side.history))

    def items(self, side: SideTensors) -> Tensor:
        """(M, D)."""
        vectors: Tensor = self.item(side.ids)
        return vectors

    def grow(self, schema: Schema) -> None:
        """Take the schema's new items in."""
        self.item.grow(schema.item.index.size)
        self.taken.grow(schema.item.index.size)


class Ncf(nn.Module):
    """Behaviour vector and item vector -> their product beside a Dropout/BatchNorm MLP -> logit."""

    can_recall = False

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.schema = schema
        self.product = Behaviour(schema, dim)
        self.both = Behaviour(schema, dim)
        self.user_part = nn.Linear(dim, hidden[0])
        self.item_part = nn.Linear(dim, hidden[0], bias=False)
        self.norms = nn.ModuleList(Norm(width) for width in hidden)
        self.dropout = PairDropout(dropout)
        self.layers = nn.ModuleList(nn.Linear(*widths) for widths in pairwise(hidden))
        self.head = straight_line(dim + hidden[-1])
        self.prior = PopularityPrior(schema)

    def forward(self, batch: Batch) -> Tensor:
        """(B, P) logits."""
        users, items = self.product.users(batch.user), self.product.items(batch.item)
        product = users[:, None] * items[batch.pair]  # (B, P, D)
        hidden = (
            self.user_part(self.both.users(batch.user))[:, None]
            + self.item_part(self.both.items(batch.item))[batch.pair]
        )  # (B, P, H)
        for place, norm in enumerate(self.norms):
            if place:
                hidden = self.layers[place - 1](hidden)
            hidden = norm(hidden.flatten(0, 1)).view(hidden.shape)
            hidden = self.dropout(torch.relu(hidden))
        own = self.head(torch.cat([product, hidden], dim=2))[:, :, 0]
        logits: Tensor = own + self.prior(batch.item)[:, 0][batch.pair]
        return logits

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in; logits of old ids stay bit-identical."""
        self.product.grow(schema)
        self.both.grow(schema)
        self.schema = schema
