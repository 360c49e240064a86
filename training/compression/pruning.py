"""Magnitude pruning: the weights nearest to zero become zero, wherever in the network they are.

A dense file does not shrink by it: the zeros are written like any other number. What shrinks is the
file once it is compressed, which is what `deflated` measures.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor


def pruned(weights: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Copies of `weights`, with the smallest magnitudes of all of them together set to zero.

    One threshold for the whole network (Han et al. 2015, "Learning both weights and connections";
    the global form as in Blalock et al. 2020). Ties go to the earlier tensor and place, so that the
    same weights always give the same variant.

    Args:
        weights: floating tensors of any shapes, by name.
        share: of all their numbers together, from 0 to 1; floor(share * count) of them become zero.

    Returns:
        New tensors under the same names, of the same shapes and types.

    Raises:
        ValueError: `share` is not from 0 to 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share: {share} is not a share, expected 0 to 1")
    copies = {name: tensor.detach().clone() for name, tensor in weights.items()}
    if not copies:
        return copies
    magnitudes = torch.cat([tensor.abs().flatten() for tensor in copies.values()])
    order = torch.argsort(magnitudes, stable=True)
    kept = torch.ones(len(magnitudes), dtype=torch.bool, device=magnitudes.device)
    kept[order[: int(share * len(magnitudes))]] = False
    parts = torch.split(kept, [tensor.numel() for tensor in copies.values()])
    return {
        name: tensor.masked_fill(~part.view(tensor.shape), 0.0)
        for (name, tensor), part in zip(copies.items(), parts, strict=True)
    }


def deflated(content: bytes) -> int:
    """Bytes of a file's content after zlib, level 6."""
    return len(zlib.compress(content, 6))
