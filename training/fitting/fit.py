"""Minimises a scorer's loss, pass after pass, and goes on where a killed training stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as lightning

from training.fitting.loader import BatchStream
from training.fitting.module import ScorerModule
from training.fitting.progress import Best, Progress, Tensors
from training.fitting.report import Reporter, Watch

PATIENCE = 2
"""Passes without a better validation loss after which training stops."""


@dataclass(frozen=True)
class Fitted:
    """How a training went; the net holds the weights of the best pass."""

    best: Best
    training_losses: list[float]
    validation_losses: list[float]
    samples_per_second: float = 0.0


def fit(
    module: ScorerModule,
    stream: BatchStream,
    held_out: BatchStream,
    begun: Progress | None,
    save: Callable[[Progress], None],
    save_every_seconds: float,
    options: dict[str, Any],
    watch: Watch,
) -> Fitted:
    """Train the module's net on `stream`; afterwards it holds the weights of the best pass.

    Args:
        module: made for the step at which `begun` stopped.
        stream: all passes.
        held_out: rows whose loss decides which pass is best; without any the last one is.
        begun: how far an earlier try came, whose weights and moments `module` has.
        save: keeps the progress for a further try.
        save_every_seconds: how often it is called within a pass; after a pass it always is.
        options: of the Trainer; see `training.fitting.hardware.trainer_options`.
        watch: is told from time to time how it goes.
    """
    every = (save_every_seconds, int(options["accumulate_grad_batches"]))
    passes = _Passes(module, stream, bool(len(held_out)), begun, save, every)
    done = passes.step // max(stream.steps_per_pass, 1)
    reporter, net = Reporter(module, stream, watch), module.net
    if done < stream.passes and not passes.exhausted:
        trainer = lightning.Trainer(
            **options,
            max_epochs=stream.passes - done,
            reload_dataloaders_every_n_epochs=1,
            limit_val_batches=None if len(held_out) else 0,
            callbacks=[passes, reporter],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, datamodule=_Data(passes, stream, held_out))
    module.net = net  # what processes shared was a copy
    net.load_state_dict(passes.best.weights)
    losses = (module.training_losses, module.validation_losses)
    return Fitted(passes.best, *losses, reporter.samples_per_second)


class _Data(lightning.LightningDataModule):
    """The rest of the pass that has been begun, then one whole pass after the other."""

    def __init__(self, passes: _Passes, stream: BatchStream, held_out: BatchStream) -> None:
        super().__init__()
        self._passes, self._stream, self._held_out = passes, stream, held_out

    def train_dataloader(self) -> BatchStream:
        """Batches up to the end of the pass."""
        step, length = self._passes.step, self._stream.steps_per_pass
        return replace(self._stream, first_step=step, passes=step // length + 1)

    def val_dataloader(self) -> BatchStream | list[object]:
        """The held-out rows."""
        return self._held_out if len(self._held_out) else []


class _Passes(lightning.Callback):
    """Counts steps, keeps the best pass, saves progress, stops when nothing is gained any more."""

    def __init__(
        self,
        module: ScorerModule,
        stream: BatchStream,
        validated: bool,
        begun: Progress | None,
        save: Callable[[Progress], None],
        every: tuple[float, int],
    ) -> None:
        """`every` so many seconds progress is saved, after a multiple of so many batches."""
        self._module, self._stream, self._validated = module, stream, validated
        self._save, self._saved_at = save, time.monotonic()
        self._every_seconds, self._every_batches = every
        self.step = begun.step if begun else 0
        self.best = begun.best if begun else Best()

    @property
    def exhausted(self) -> bool:
        """Whether the last passes gained nothing."""
        number = len(self._module.validation_losses)
        return self._validated and number - self.best.number >= PATIENCE

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
        """After each step."""
        self.step += 1
        position = self.step % self._stream.steps_per_pass
        # At the end of a pass its validation comes first; gradients that wait are in no progress.
        if not position or position % self._every_batches:
            return
        due = time.monotonic() - self._saved_at >= self._every_seconds
        if self._module.shared:  # what is shared can be put together by all at once only
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if due:
            self._keep_progress()

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """After each pass and its validation."""
        losses = self._module.validation_losses
        number = self.step // self._stream.steps_per_pass
        loss = losses[-1] if self._validated else float("-inf")
        if loss < self.best.loss or not self._validated:
            weights, moments = self._state()
            self.best = Best(number, loss, weights, moments)
        self._keep_progress()
        trainer.should_stop = self.exhausted

    def _keep_progress(self) -> None:
        module = self._module
        weights, moments = self._state()
        losses = (list(module.training_losses), list(module.validation_losses))
        self._save(Progress(self.step, weights, moments, self.best, *losses))
        self._saved_at = time.monotonic()

    def _state(self) -> tuple[Tensors, Tensors]:
        return self._module.weights(), self._module.moments()
