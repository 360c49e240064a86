"""Behaviour sequences: self-attention over the items a user took last, in their order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.scorers.schema import Schema
from training.scorers.two_tower import TwoTower

_BLOCKS = 2
_WIDER = 2
"""Width of a block's feed-forward layer, in embedding dimensions."""
_INITIAL_SCALE = 0.05


class SelfAttention(nn.Module):
    """Blocks of self-attention, read at the newest item (SASRec, Kang and McAuley 2018).

    The next item is asked for at the newest place only: nothing has to be hidden from older ones.
    """

    def __init__(self, dim: int, length: int, dropout: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(length, dim) * _INITIAL_SCALE)
        block = nn.TransformerEncoderLayer(
            dim, 2 - dim % 2, _WIDER * dim, dropout, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, _BLOCKS, enable_nested_tensor=False)
        # A block begins as the identity: what it adds is learned, not noise to be unlearned.
        for name, values in self.blocks.named_parameters():
            if "out_proj" in name or "linear2" in name:
                nn.init.zeros_(values)

    def forward(self, items: Tensor, there: Tensor) -> Tensor:
        """(B, D) of items (B, L, D), newest first; zeros where none is `there` (B, L)."""
        # a row without any place to look at has no softmax: the newest one is never hidden
        hidden = torch.cat([torch.zeros_like(there[:, :1]), ~there[:, 1:]], dim=1)
        encoded: Tensor = self.blocks(items + self.place, src_key_padding_mask=hidden)[:, 0]
        return encoded * there.any(dim=1, keepdim=True)


class Sequence(TwoTower):
    """Two towers, the user's with the sequence of the last items read by self-attention."""

    def __init__(self, schema: Schema, dim: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__(schema, dim, hidden, dropout, SelfAttention(dim, schema.history, dropout))
