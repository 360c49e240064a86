"""Behaviour sequences: a recurrent net over the items a user took last, in their order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.scorers.schema import Schema
from training.scorers.two_tower import TwoTower


class Recurrent(nn.Module):
    """One LSTM layer from the oldest item to the newest."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)  # small vectors would leave every gate half open
        self.layer = nn.LSTM(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, dim)
        # It begins as the newest item: what the others add is learned, not noise to be unlearned.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, items: Tensor, there: Tensor) -> Tensor:
        """(B, D) of items (B, L, D), newest first; zeros where none is `there` (B, L)."""
        places = torch.arange(there.shape[1], device=there.device)
        last = torch.where(there, places, -1).amax(dim=1)  # (B,) the oldest one's place; -1 = none
        forwards = (last[:, None] - places).clamp(min=0)
        ordered = items.gather(1, forwards[:, :, None].expand_as(items))
        states, _ = self.layer(self.norm(ordered))
        lines = torch.arange(items.shape[0], device=items.device)
        newest: Tensor = items[:, 0] + self.out(states[lines, last.clamp(min=0)])
        return newest * there.any(dim=1, keepdim=True)


class Lstm(TwoTower):
    """Two towers, the user's with the sequence of the last items read by an LSTM."""

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__(schema, dim, hidden, dropout, Recurrent(dim))
