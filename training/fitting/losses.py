"""What training minimises, as sums over a batch (a mean needs the weights' sum beside it)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from conf.errors import TrainingError
from training.scorers.batch import Batch


def click_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the cross-entropy of labels 0 or 1."""
    losses = F.binary_cross_entropy_with_logits(logits[:, 0], batch.label, reduction="none")
    return (losses * batch.weight).sum()


def list_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the cross-entropy of each list, whose first item is the positive one."""
    losses = -F.log_softmax(logits + batch.correction, dim=1)[:, 0]
    return (losses * batch.weight).sum()


def check_finite(loss: float, step: int) -> float:
    """`loss`.

    Raises:
        TrainingError: it is NaN or infinite.
    """
    if loss - loss != 0.0:
        raise TrainingError(
            f"The loss is {loss} at step {step}, expected a finite number. Lower "
            "training.learning_rate (DAYFOLD__TRAINING__LEARNING_RATE) and run the step again."
        )
    return loss
