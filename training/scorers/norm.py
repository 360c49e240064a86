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


class _OfAll(torch.autograd.Function):
    """Rows (n, F) less the mean of all processes' rows, over their standard deviation.

    With y the result and g its gradient, sums and means over all rows (Ioffe and Szegedy 2015,
    section 3): the gradient of the rows is (g - mean(g) - y mean(g y)) / deviation.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, near: Tensor, eps: float) -> tuple[Tensor, ...]:
        """(n, F) result; (F,) mean and variance; how many rows there were. The processes meet once.

        Args:
            ctx: what the backward pass needs.
            values: (n, F) this process's rows; n may be 0.
            near: (F,) equal on all processes, the nearer to the mean the more exact the variance.
            eps: added to the variance.
        """
        rows, features = values.shape
        mean = values.mean(dim=0) if rows else near
        squares = (values - mean).square_().sum(dim=0)  # a quarter of the time of torch.var_mean
        apart = mean.double() - near
        own = torch.cat([apart.new_ones(1), apart, apart.square()]) * rows
        own[1 + features :] += squares
        total = summed(own)
        count = total[0].clamp(min=1)
        apart, square = (total[1:] / count).chunk(2)
        mean, variance = (near + apart).float(), (square - apart.square()).clamp(min=0).float()
        result = F.batch_norm(values, mean, variance, eps=eps)
        ctx.save_for_backward(result, torch.rsqrt(variance + eps), count)
        ctx.mark_non_differentiable(mean, variance, count)
        return result, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:
        """(n, F) of the rows."""
        result, scale, count = ctx.saved_tensors
        own = torch.cat([gradient.sum(dim=0), (gradient * result).sum(dim=0)])
        mean, along = (summed(own) / count.to(own.dtype)).chunk(2)
        left = torch.addcmul(gradient - mean, result, along, value=-1)
        return left.mul_(scale.to(left.dtype)), None, None


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
        assert self.running_mean is not None  # noqa: S101
        found = _OfAll.apply(values, self.running_mean, self.eps)  # type: ignore[no-untyped-call]
        scaled, mean, variance, rows = found
        if rows.item() <= 1:
            return self._as_it_runs(values)
        self._remember(mean, variance * (rows / (rows - 1)).float())
        normalised: Tensor = scaled
        if self.affine:
            normalised = torch.addcmul(self.bias, scaled, self.weight)
        return normalised

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
