"""What training minimises, as sums over a batch (a mean needs the weights' sum beside it)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.scorers.batch import Batch

Loss = Callable[[Tensor, Batch], Tensor]
"""Logits (B, P) and their batch -> the sum over the batch."""


def loss_of(labels: str) -> Loss:
    """What is minimised where labels are of this kind."""
    losses: dict[str, Loss] = {"sampled": list_loss, "rating": rating_loss}
    return losses.get(labels, click_loss)


def click_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the cross-entropy of labels 0 or 1."""
    losses = F.binary_cross_entropy_with_logits(logits[:, 0], batch.label, reduction="none")
    return (losses * batch.weight).sum()


def list_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the cross-entropy of each list, whose first item is the positive one."""
    losses = -F.log_softmax(logits + batch.correction, dim=1)[:, 0]
    return (losses * batch.weight).sum()


def rating_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the squared errors of predicted ratings; labels are places on the scale.

    A prediction is the logistic function of the logit, so that none is off the scale
    (Salakhutdinov and Mnih 2007, "Probabilistic matrix factorization", section 2).
    """
    errors = torch.sigmoid(logits[:, 0]) - batch.label
    return (errors.square() * batch.weight).sum()


def check_finite(loss: float, step: int) -> float:
    """`loss`.

    Raises:
        FloatingPointError: it is NaN or infinite.
    """
    if loss - loss != 0.0:
        raise FloatingPointError(f"the loss is {loss} at step {step}, expected a finite number")
    return loss
