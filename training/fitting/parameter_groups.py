"""Which parameters are trained with which learning rate."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(net: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """Groups for an optimizer: a pretrained part learns more slowly, if the net says so.

    A net says it by `learning_rate_shares()`: the share of `learning_rate` by parameter name.
    Parameters keep their order within a group, the full rate comes first.
    """
    shares: dict[str, float] = getattr(net, "learning_rate_shares", dict)()
    by_share: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            by_share.setdefault(shares.get(name, 1.0), []).append(parameter)
    return [
        {"params": parameters, "lr": learning_rate * share}
        for share, parameters in by_share.items()
    ]
