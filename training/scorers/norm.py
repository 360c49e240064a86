"""Batch normalisation over the batch of all processes that train together.

Lightning's SyncBatchNorm is for GPUs alone; this one adds up on whatever the processes talk by, so
that two processes on two CPUs get the statistics, and the gradients, that one process gets.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional as F


def world_size() -> int:
    """How many processes train together; 1 where no group was joined."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


class SumOfProcesses(torch.autograd.Function):
    """The sum of a tensor over processes; its gradient is one too, for each of them reads it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """(...) -> (...), equal on each process."""
        return summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(...) -> (...)."""
        return summed(gradient)


def _sum(values: Tensor) -> Tensor:
    total: Tensor = SumOfProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total


class Norm(nn.BatchNorm1d):
    """BatchNorm that reads its running statistics when a batch has one row only."""

    def forward(self, values: Tensor) -> Tensor:
        """(n, features), normalised."""
        if self.training and world_size() > 1:
            return self._of_all(values)
        if self.training and len(values) == 1:
            return self._as_it_runs(values)
        return super().forward(values)

    def _as_it_runs(self, values: Tensor) -> Tensor:
        return F.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def _of_all(self, values: Tensor) -> Tensor:
        """Normalised by mean and variance of the rows of all processes."""
        rows = summed(values.new_tensor([float(len(values))], dtype=torch.float32))
        if rows.item() <= 1:
            return self._as_it_runs(values)
        exact = values.float()
        mean = _sum(exact.sum(dim=0)) / rows
        centred = exact - mean
        variance = _sum(centred.square().sum(dim=0)) / rows
        self._remember(mean.detach(), variance.detach() * rows / (rows - 1))
        scaled = centred * torch.rsqrt(variance + self.eps)
        if self.affine:
            scaled = scaled * self.weight + self.bias
        return scaled.to(values.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None  # noqa: S101
        assert self.running_var is not None  # noqa: S101
        assert self.num_batches_tracked is not None  # noqa: S101
        assert self.momentum is not None  # noqa: S101
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def summed(values: Tensor) -> Tensor:
    """The sum of `values` over the processes that train together, without a gradient."""
    if world_size() == 1:
        return values.detach()
    total = values.detach().clone()
    torch.distributed.all_reduce(total)
    return total
