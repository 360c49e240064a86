"""What people see of a training while it runs: how far it is, how fast, how long still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytorch_lightning as lightning

if TYPE_CHECKING:
    from training.fitting.loader import BatchStream
    from training.fitting.module import ScorerModule
    from training.scorers.batch import Batch

EVERY_SECONDS = 10.0
"""A training that is shorter says nothing before its summary."""


@dataclass(frozen=True)
class Report:
    """A training at one moment; losses are in the units of what it minimises."""

    step: int
    """Batches done, those of an earlier try included."""
    steps: int
    """Batches of all passes; fewer are done where passes gain nothing any more."""
    samples_per_second: float
    """Rows trained per second of wall time since the last report."""
    training_losses: list[float]
    """One per batch."""
    validation_losses: list[float]
    """One per pass."""
    new_losses: int
    """How many of the training losses came since the last report."""
    seconds_left: float
    """At the speed since this try began, if all passes are made."""

    def __str__(self) -> str:
        """One line."""
        recent = self.training_losses[-self.new_losses :] or [float("nan")]
        validation = self.validation_losses[-1:]
        left = timedelta(seconds=round(self.seconds_left))
        held_out = f", validation loss {validation[0]:.4f}" if validation else ""
        return (
            f"step {self.step} of {self.steps}, loss {sum(recent) / len(recent):.4f}{held_out}, "
            f"{self.samples_per_second:,.0f} samples/s, at most {left} left"
        )


Watch = Callable[[Report], None]


def unwatched(report: Report) -> None:
    """Nobody looks."""


class Reporter(lightning.Callback):
    """Tells `watch` every EVERY_SECONDS how the training of `module` goes."""

    def __init__(self, module: ScorerModule, stream: BatchStream, watch: Watch) -> None:
        """`module` may be in the middle of its training: what was done before is known to it."""
        self._module, self._watch = module, watch
        self._steps, self._world = stream.steps_per_pass * stream.passes, stream.world
        self._begun_at = self._told_at = time.monotonic()
        self._first = self._told = len(module.training_losses)
        self._samples, self._all_samples, self._ended_at = 0, 0, self._begun_at

    @property
    def samples_per_second(self) -> float:
        """Of the whole training by this process; 0 where it took no step."""
        seconds = self._ended_at - self._begun_at
        return self._all_samples / seconds if seconds else 0.0

    def on_train_start(self, *_: object) -> None:
        """Before the first step."""
        self._begun_at = self._told_at = time.monotonic()

    def on_train_end(self, *_: object) -> None:
        """After the last step."""
        self._ended_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """After each step."""
        self._samples += len(batch.label) * self._world
        self._all_samples += len(batch.label) * self._world
        now = time.monotonic()
        if now - self._told_at < EVERY_SECONDS:
            return
        step = len(self._module.training_losses)
        pace = (now - self._begun_at) / (step - self._first)
        self._watch(
            Report(
                step,
                self._steps,
                self._samples / (now - self._told_at),
                self._module.training_losses,
                self._module.validation_losses,
                step - self._told,
                pace * (self._steps - step),
            )
        )
        self._told, self._told_at, self._samples = step, time.monotonic(), 0
