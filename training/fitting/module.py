"""The one LightningModule: it wraps any scorer."""

from __future__ import annotations

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from training.fitting.losses import check_finite, click_loss, list_loss
from training.fitting.optimizer import Moments, make_optimizer, moments_of
from training.scorers import ScorerNet
from training.scorers.batch import Batch

FINAL_LEARNING_RATE = 0.1
"""The learning rate falls in a straight line to this share of its first value."""
_SEED_PRIME = 1_000_003


class ScorerModule(lightning.LightningModule):
    """Loss and optimizer of a scorer: cross-entropy of clicks, or of a list with one positive."""

    def __init__(
        self,
        net: ScorerNet,
        *,
        listwise: bool,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        seed: int,
        moments: Moments | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self._loss = list_loss if listwise else click_loss
        self._optimizer = make_optimizer(net, learning_rate, weight_decay, moments)
        self._schedule = LambdaLR(
            self._optimizer, lambda step: max(FINAL_LEARNING_RATE, 1.0 - step / max(steps, 1))
        )
        self._seed = seed
        self.training_losses: list[float] = []
        """One per step."""
        self.validation_losses: list[float] = []
        """One per pass."""
        self._validated: list[tuple[float, float]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        # dropout depends on (seed, step, rank) alone, so that a resumed run draws the same
        torch.manual_seed((self._seed * _SEED_PRIME + self.global_step) * 64 + self.global_rank)
        loss = self._loss(self.net(batch), batch) / batch.weight.sum().clamp(min=1e-6)
        self.training_losses.append(check_finite(float(loss.detach()), self.global_step))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch of held-out rows to the pass's loss."""
        loss = self._loss(self.net(batch), batch)
        self._validated.append((float(loss), float(batch.weight.sum())))

    def on_validation_epoch_end(self) -> None:
        """Close the pass."""
        losses, weights = zip(*self._validated, strict=True)
        mean = sum(losses) / max(sum(weights), 1e-6)
        self.validation_losses.append(check_finite(mean, self.global_step))
        self._validated = []

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam with the parent's moments, where there is a parent; a falling learning rate."""
        return {
            "optimizer": self._optimizer,
            "lr_scheduler": {"scheduler": self._schedule, "interval": "step"},
        }

    def moments(self) -> Moments:
        """The optimizer's moments as they are now."""
        return moments_of(self.net, self._optimizer)
