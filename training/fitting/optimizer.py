"""The optimizer and its moments, which are saved with a candidate and carried into the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.fitting.parameter_groups import parameter_groups

Moments = dict[str, Tensor]
"""`<parameter>|<step, exp_avg or exp_avg_sq>` -> tensor."""

_STATES = ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(
    net: nn.Module, learning_rate: float, weight_decay: float, moments: Moments | None
) -> torch.optim.AdamW:
    """AdamW over `net`, continuing from `moments`; rows that are new have moments of zero."""
    optimizer = torch.optim.AdamW(
        parameter_groups(net, learning_rate),
        lr=learning_rate,
        weight_decay=weight_decay,
        fused=True,
    )
    if moments:
        for name, parameter in net.named_parameters():
            if f"{name}|step" in moments:
                optimizer.state[parameter] = {
                    state: padded(moments[f"{name}|{state}"], parameter) for state in _STATES
                }
    return optimizer


def padded(moment: Tensor, parameter: Tensor) -> Tensor:
    """`moment` with rows of zeros added up to `parameter`'s rows; a step count as it is."""
    if moment.dim() == 0 or len(moment) == len(parameter):
        return moment.clone()
    rows = parameter.new_zeros(len(parameter) - len(moment), *moment.shape[1:])
    return torch.cat([moment, rows])


def moments_of(net: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """The moments of each parameter that was ever updated, by its name."""
    return {
        f"{name}|{state}": optimizer.state[parameter][state].detach().clone()
        for name, parameter in net.named_parameters()
        if parameter in optimizer.state
        for state in _STATES
    }
