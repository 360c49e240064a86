"""Two towers: a user vector, an item vector, and their dot product. The recall stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.scorers.batch import Batch, SideTensors
from training.scorers.inputs import Inputs, PopularityPrior, hidden_layers, straight_line
from training.scorers.schema import Schema


class TwoTower(nn.Module):
    """(id, attributes, features, history) -> MLP -> vector, for each side; logit = dot product.

    Vectors have two more dimensions that carry the biases: the user's meets a constant 1 of the
    item and the other way round. So the dot product is the whole logit.
    """

    can_recall = True

    def __init__(
        self,
        schema: Schema,
        dim: int,
        hidden: tuple[int, ...],
        dropout: float,
        encoder: nn.Module | None = None,
    ) -> None:
        """The weights.

        Args:
            schema: the inputs known.
            dim: D.
            hidden: widths of the hidden layers of both towers.
            dropout: share of hidden units dropped in training.
            encoder: (B, L, D) items of the history and (B, L) whether they are there -> (B, D)
                further inputs of the user's tower; None = there are none.
        """
        super().__init__()
        self.schema = schema
        self.inputs = Inputs(schema, dim)
        self.encoder = encoder
        width = 2 * dim
        user_width = self.inputs.user_width + (dim if encoder is not None else 0)
        self.user_tower = _tower(user_width, hidden, width, dropout)
        self.item_tower = _tower(self.inputs.item_width, hidden, width, dropout)
        # a straight line from the inputs to the bias: popularity needs no hidden layer
        self.user_bias = straight_line(user_width)
        self.item_bias = straight_line(self.inputs.item_width)
        self.prior = PopularityPrior(schema)

    def user_vectors(self, side: SideTensors) -> Tensor:
        """(B, 2 D + 2)."""
        inputs = self.inputs.users(side)
        if self.encoder is not None:
            items = self.inputs.item.index(side.history)
            inputs = torch.cat([inputs, self.encoder(items, side.history > 0)], dim=1)
        bias = self.user_bias(inputs)
        return torch.cat([self.user_tower(inputs), bias, torch.ones_like(bias)], dim=1)

    def item_vectors(self, side: SideTensors) -> Tensor:
        """(M, 2 D + 2)."""
        inputs = self.inputs.items(side)
        bias = self.item_bias(inputs) + self.prior(side)
        return torch.cat([self.item_tower(inputs), torch.ones_like(bias), bias], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """(B, P) logits."""
        users, items = self.user_vectors(batch.user), self.item_vectors(batch.item)
        if batch.pair.shape[1] == 1:
            return (users * items[batch.pair[:, 0]]).sum(dim=1, keepdim=True)
        return (users @ items.T).gather(1, batch.pair)

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in; logits of old ids stay bit-identical."""
        self.inputs.grow(schema)
        self.schema = schema


def _tower(inputs: int, hidden: tuple[int, ...], width: int, dropout: float) -> nn.Sequential:
    body = hidden_layers((inputs, *hidden), dropout)
    return nn.Sequential(body, nn.Linear(hidden[-1], width))
