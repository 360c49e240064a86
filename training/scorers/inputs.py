"""What scorers share: embedding tables that grow, and each side's inputs as one vector."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from feature_store.tables import HALF_LIVES_DAYS
from training.features.reader import STANDING_SCALE
from training.scorers.batch import SideTensors
from training.scorers.dropout import Dropout
from training.scorers.norm import Norm, world_size
from training.scorers.schema import Field, Schema, SideSchema

_HISTORY_DECAY = 0.9
"""Weight of a history item relative to the next newer one."""
_INITIAL_SCALE = 0.05
STANDING_PRIOR = (0.6, 0.3, 0.1)
"""What the standings of half-lives 1, 7 and 30 count at the start."""


def becomes_a_graph() -> bool:
    """Whether the net is run to be written as an ONNX file, by either of torch's exporters."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


class Table(nn.Module):
    """One field's embeddings. Row 0 is the unknown value."""

    by_rows = False
    """Whether gradients hold only the rows that were read: for tables that are large."""

    def __init__(self, field: Field, dim: int, scale: float = _INITIAL_SCALE) -> None:
        super().__init__()
        self.field = field.name
        self.weight = nn.Parameter(torch.randn(field.size, dim) * scale)

    def forward(self, ids: Tensor) -> Tensor:
        """(..., D) rows of `ids`."""
        return F.embedding(ids, self.weight, sparse=self._sparse)

    @property
    def _sparse(self) -> bool:
        # DDP averages dense gradients only
        return self.by_rows and world_size() == 1

    def pooled(self, ids: Tensor, weights: Tensor) -> Tensor:
        """(n, D) sums of the rows of `ids` (n, W), weighted by `weights` (n, W)."""
        if not ids.shape[1]:
            return self.weight.new_zeros(ids.shape[0], self.weight.shape[1])
        if becomes_a_graph():  # ONNX has no bags: it would loop over the rows
            return (F.embedding(ids, self.weight) * weights[:, :, None]).sum(dim=1)
        if not self.training:
            return F.embedding_bag(ids, self.weight, mode="sum", per_sample_weights=weights)
        # padding, half of a usual history, costs the backward pass as much as what is there
        there = weights > 0
        ends = there.sum(dim=1).cumsum(dim=0)
        return F.embedding_bag(
            ids[there],
            self.weight,
            F.pad(ends, (1, 0)),
            mode="sum",
            per_sample_weights=weights[there],
            include_last_offset=True,
            sparse=self._sparse,
        )

    def grow(self, size: int) -> None:
        """Add rows up to `size`, each a copy of row 0."""
        more = size - len(self.weight)
        if more > 0:
            old = self.weight.data
            self.weight = nn.Parameter(torch.cat([old, old[:1].expand(more, -1)]))


class Tables(nn.ModuleList):
    """One table per field."""

    def __init__(self, fields: tuple[Field, ...], dim: int) -> None:
        super().__init__(Table(field, dim) for field in fields)

    def __iter__(self) -> Iterator[Table]:
        """The tables, in the fields' order."""
        return cast("Iterator[Table]", super().__iter__())

    def grow(self, fields: tuple[Field, ...]) -> None:
        """Add rows up to each field's size."""
        for table, field in zip(self, fields, strict=True):
            table.grow(field.size)


class Recency(nn.Module):
    """How much the items of a history count, newest first."""

    def __init__(self, length: int) -> None:
        super().__init__()
        weights = _HISTORY_DECAY ** torch.arange(length, dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)
        self.weights: Tensor

    def shares(self, history: Tensor) -> Tensor:
        """(n, L) weights of `history` (n, L) that sum to one; 0 of what is padding or unknown."""
        weights = self.weights * (history > 0)
        return weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)


class SideInputs(nn.Module):
    """A side's id, attributes and numeric features as one vector of width `width` (without L)."""

    def __init__(self, schema: SideSchema, dim: int) -> None:
        super().__init__()
        self.index = Table(schema.index, dim)
        self.categorical = Tables(schema.categorical, dim)
        self.multi = Tables(schema.multi, dim)
        self.norm = Norm(len(schema.numeric), affine=False)
        fields = 1 + len(schema.categorical) + len(schema.multi)
        self.width = fields * dim + len(schema.numeric)

    def forward(self, side: SideTensors) -> Tensor:
        """(n, E)."""
        parts = [self.index(side.ids)]
        for position, table in enumerate(self.categorical):
            parts.append(table(side.categorical[:, position]))
        for table, ids in zip(self.multi, side.multi, strict=True):
            present = (ids >= 0).to(side.numeric.dtype)
            share = present / present.sum(dim=1, keepdim=True).clamp(min=1.0)
            parts.append(table.pooled(ids.clamp(min=0), share))
        return torch.cat([*parts, self.norm(side.numeric)], dim=1)

    def grow(self, schema: SideSchema) -> None:
        """Take the schema's new ids in."""
        self.index.grow(schema.index.size)
        self.categorical.grow(schema.categorical)
        self.multi.grow(schema.multi)


class Inputs(nn.Module):
    """Both sides' inputs; a user's history is pooled from the items' embeddings."""

    def __init__(self, schema: Schema, dim: int) -> None:
        super().__init__()
        self.user = SideInputs(schema.user, dim)
        self.item = SideInputs(schema.item, dim)
        self._with_neighbours = schema.labels == "sampled"
        self.user_width = self.user.width + (2 if self._with_neighbours else 1) * dim
        self.item_width = self.item.width
        self.recency = Recency(schema.history)

    def users(self, side: SideTensors) -> Tensor:
        """(B, E_user): id, attributes, numeric features, pooled history and neighbours."""
        history = self.item.index.pooled(side.history, self.recency.shares(side.history))
        inputs = torch.cat([self.user(side), history], dim=1)
        if not self._with_neighbours:
            return inputs
        lift = side.affinity[:, :, 0]
        lift = lift / lift.sum(dim=1, keepdim=True).clamp(min=1e-6)
        neighbours = self.item.index.pooled(side.neighbours, lift)
        return torch.cat([inputs, neighbours], dim=1)

    def items(self, side: SideTensors) -> Tensor:
        """(M, E_item): id, attributes, numeric features."""
        inputs: Tensor = self.item(side)
        return inputs

    def grow(self, schema: Schema) -> None:
        """Take the schema's new ids in."""
        self.user.grow(schema.user)
        self.item.grow(schema.item)


class PopularityPrior(nn.Module):
    """An item's bias from its standing in the day's catalogue: log share of popularity.

    Where positives are listed with drawn items, training begins at decayed popularity and learns
    what departs from it; elsewhere it begins at nothing.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        names = [f"standing_h{h}" for h in HALF_LIVES_DAYS]
        self._columns = [schema.item.numeric.index(name) for name in names]
        start = STANDING_PRIOR if schema.labels == "sampled" else (0.0,) * len(names)
        self.weight = nn.Parameter(torch.tensor(start))

    def forward(self, side: SideTensors) -> Tensor:
        """(M, 1)."""
        return (side.numeric[:, self._columns] * STANDING_SCALE) @ self.weight[:, None]


def hidden_layers(widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear, BatchNorm, ReLU, Dropout from each width to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), Norm(after), nn.ReLU(), Dropout(dropout)]
    return nn.Sequential(*layers)


def straight_line(width: int) -> nn.Linear:
    """A linear map to one number that begins at zero."""
    line = nn.Linear(width, 1)
    nn.init.zeros_(line.weight)
    nn.init.zeros_(line.bias)
    return line
