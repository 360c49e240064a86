"""A multi-layer perceptron over profile, item, context and their products. The ranking stage."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from training.features.neighbours import AFFINITIES
from training.scorers.batch import Batch
from training.scorers.dropout import PairDropout
from training.scorers.inputs import (
    Inputs,
    PopularityPrior,
    Tables,
    straight_line,
)
from training.scorers.norm import Norm
from training.scorers.schema import Schema

_PAIR_FEATURES = 3 + len(AFFINITIES)


class Mlp(nn.Module):
    """Label-encoded user, item and context -> Dropout/BatchNorm MLP -> logit.

    The first layer is written as a sum (user part + item part + product part + context part), so
    that each user and each item of a batch passes it once, however many pairs they make.
    """

    can_recall = False

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.schema = schema
        self.inputs = Inputs(schema, dim)
        self.context = Tables(schema.context, dim)
        user, item, first = self.inputs.user_width, self.inputs.item_width, hidden[0]
        self.user_part = nn.Linear(user, first)
        self.item_part = nn.Linear(item, first, bias=False)
        self.context_part = nn.Linear(dim * len(schema.context), first, bias=False)
        self.pair_part = nn.Linear(_PAIR_FEATURES, first, bias=False)
        self.product_part = nn.Linear(dim, first, bias=False)
        self.user_product = nn.Linear(user, dim)
        self.item_product = nn.Linear(item, dim)
        self.norms = nn.ModuleList(Norm(width) for width in hidden)
        self.dropout = PairDropout(dropout)
        self.layers = nn.ModuleList(nn.Linear(*widths) for widths in pairwise(hidden))
        self.head = straight_line(hidden[-1])
        self.user_bias = straight_line(user)
        self.item_bias = straight_line(item)
        self.prior = PopularityPrior(schema)

    def forward(self, batch: Batch) -> Tensor:
        """(B, P) logits."""
        users, items = self.inputs.users(batch.user), self.inputs.items(batch.item)
        context = torch.cat([t(batch.context[:, x]) for x, t in enumerate(self.context)], dim=1)
        once = self.user_part(users) + self.context_part(context)  # (B, H)
        product = self.user_product(users)[:, None] * self.item_product(items)[batch.pair]
        hidden = (
            once[:, None]
            + self.item_part(items)[batch.pair]
            + self.product_part(product)
            + self.pair_part(self._pair_features(batch))
        )  # (B, P, H)
        for norm, layer in zip(self.norms, [*self.layers, self.head], strict=True):
            hidden = norm(hidden.flatten(0, 1)).view(hidden.shape)
            hidden = layer(self.dropout(torch.relu(hidden)))
        item_bias = self.item_bias(items) + self.prior(batch.item)  # (M, 1)
        logits: Tensor = hidden[:, :, 0] + self.user_bias(users) + item_bias[:, 0][batch.pair]
        return logits

    def _pair_features(self, batch: Batch) -> Tensor:
        """(B, P, 3 + F): taken or not, how often and lately, among the neighbours, affinities."""
        item = batch.item.ids[batch.pair]  # (B, P)
        same = (item[:, :, None] == batch.user.history[:, None, :]) & (item > 0)[:, :, None]
        taken = same.to(torch.float32) @ self.inputs.recency.weights  # (B, P)
        known, affinity = self._neighbours(batch, item)
        flags = [(taken > 0).to(taken.dtype), torch.log1p(taken), known]
        return torch.cat([torch.stack(flags, dim=2), affinity], dim=2)

    def _neighbours(self, batch: Batch, item: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P) whether an item is among the user's neighbours; (B, P, F) its affinities."""
        if not batch.user.neighbours.shape[1]:
            # ONNX Runtime takes what is over nothing for true, and not for zero
            nothing = torch.zeros(item.shape, device=item.device)
            return nothing, nothing[:, :, None].expand(-1, -1, batch.user.affinity.shape[2])
        near = (item[:, :, None] == batch.user.neighbours[:, None, :]) & (item > 0)[:, :, None]
        affinity = near.to(torch.float32) @ batch.user.affinity
        return near.any(dim=2).to(torch.float32), affinity

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in; logits of old ids stay bit-identical."""
        self.inputs.grow(schema)
        self.context.grow(schema.context)
        self.schema = schema
