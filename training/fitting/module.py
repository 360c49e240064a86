"""The one LightningModule: it wraps any scorer."""

from __future__ import annotations

from functools import partial

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from training.fitting.losses import Loss, check_finite
from training.fitting.optimizer import (
    AdamByRows,
    Moments,
    make_optimizer,
    moments_of,
    update_by_rows,
)
from training.fitting.progress import Progress, Tensors
from training.fitting.sharding import sharded, whole
from training.scorers import ScorerNet
from training.scorers.batch import Batch
from training.scorers.norm import summed, world_size

FINAL_LEARNING_RATE = 0.1
"""The learning rate falls in a straight line to this share of its first value."""
_SEED_PRIME = 1_000_003


class ScorerModule(lightning.LightningModule):
    """Loss and optimizer of a scorer."""

    def __init__(
        self,
        net: ScorerNet,
        *,
        loss: Loss,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        seed: int,
        sparse_rows: int | None = None,
        moments: Moments | None = None,
        first_step: int = 0,
        begun: Progress | None = None,
        training_loss: Loss | None = None,
    ) -> None:
        """A training of `steps` steps, from its beginning or from where an earlier try stopped.

        Args:
            net: with the weights to begin with.
            loss: what decides between passes, on held-out rows.
            learning_rate: at the first step.
            weight_decay: of AdamW: L2 that is not mixed into the gradients.
            steps: of the optimizer, over all passes.
            seed: of dropout.
            sparse_rows: rows from which a table is updated row by row; None = none is.
            moments: the optimizer's, to begin with.
            first_step: steps of the optimizer that the earlier try had taken.
            begun: how far the earlier try came; `net` and `moments` are then its own.
            training_loss: what is minimised; None = `loss`.
        """
        super().__init__()
        self.net = net
        self._loss, self._training_loss = loss, training_loss or loss
        update_by_rows(net, sparse_rows)
        self._optimizer_of = partial(
            make_optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            moments=moments,
            sparse_rows=sparse_rows,
        )
        self._optimizer: AdamByRows | None = None
        self._share_of_rate = lambda step: max(
            FINAL_LEARNING_RATE, 1.0 - (first_step + step) / max(steps, 1)
        )
        self._seed = seed
        self.training_losses: list[float] = list(begun.training_losses) if begun else []
        """One per batch."""
        self.validation_losses: list[float] = list(begun.validation_losses) if begun else []
        """One per pass."""
        self._validated: list[tuple[float, float]] = []

    def configure_model(self) -> None:
        """Have the processes share the net's rows, where the strategy gave them a mesh."""
        if self.device_mesh is not None:
            self.net = sharded(self.net, self.device_mesh["data_parallel"])

    @property
    def shared(self) -> bool:
        """Whether the processes hold a share of the net each."""
        return self.device_mesh is not None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch, of this process's rows over the weight of all processes' rows."""
        # dropout depends on (seed, step, rank) alone, so that a resumed run draws the same
        step = len(self.training_losses)
        self._seed_dropout((self._seed * _SEED_PRIME + step) * 64 + self.global_rank)
        loss: Tensor = self._training_loss(self.net(batch), batch)
        total, weight = summed(torch.stack([loss.detach().float(), batch.weight.sum()]))
        weight = weight.clamp(min=1e-6)
        self.training_losses.append(check_finite(float(total / weight), step))
        # gradients are averaged over processes, and the loss is a mean over the rows of all
        mean: Tensor = loss / weight * world_size()
        return mean

    def _seed_dropout(self, seed: int) -> None:
        """Of the generator that this device draws from."""
        if self.device.type == "cpu":
            # torch.manual_seed seeds absent devices too, with a stack trace each: 1 ms a step
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch of held-out rows to the pass's loss."""
        loss = self._loss(self.net(batch), batch)
        self._validated.append((float(loss), float(batch.weight.sum())))

    def on_validation_epoch_end(self) -> None:
        """Close the pass."""
        losses, weights = zip(*self._validated, strict=True)
        mean = sum(losses) / max(sum(weights), 1e-6)
        self.validation_losses.append(check_finite(mean, len(self.training_losses)))
        self._validated = []

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam with the parent's moments, where there is a parent; a falling learning rate."""
        self._optimizer = self._optimizer_of(self.net)
        schedule = LambdaLR(self._optimizer, self._share_of_rate)
        return {
            "optimizer": self._optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def moments(self) -> Moments:
        """The optimizer's moments as they are now; every process has to ask."""
        return moments_of(self.net, self._optimizer) if self._optimizer else {}

    def weights(self) -> Tensors:
        """A copy of the net's weights as they are now; every process has to ask."""
        state = self.net.state_dict()
        return {n: whole(v.detach()).to("cpu", copy=True) for n, v in state.items()}
