"""Dropout whose draws are cheap on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16


def dropped(values: Tensor, share: float) -> Tensor:
    """`values` with `share` of them 0 and the others scaled up, so that the mean stays.

    On a CPU torch draws one number per value, a twelfth of a training's time. Here each 64-bit
    number decides for four, so that `share` is kept to 1 / 65,536.
    """
    if values.device.type != "cpu":
        return F.dropout(values, share)
    number = values.numel()
    bits = torch.empty((number + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    lost = min(round(share * _LEVELS), _LEVELS - 1)
    kept = bits.view(torch.int16)[:number].view(values.shape) >= lost - _LEVELS // 2
    return values * (kept * (_LEVELS / (_LEVELS - lost))).to(values.dtype)


class Dropout(nn.Module):
    """Drops each unit by itself."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """(...) values."""
        return dropped(values, self.share) if self.training and self.share else values


class PairDropout(Dropout):
    """Drops the same units for all of a user's items."""

    def forward(self, values: Tensor) -> Tensor:
        """(B, P, H)."""
        if not self.training or not self.share:
            return values
        if values.shape[1] == 1:
            return dropped(values, self.share)
        return values * dropped(torch.ones_like(values[:, :1]), self.share)
