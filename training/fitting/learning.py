"""Trains a net that has been built, or grown from its parent's, on examples that have been read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from conf.processes import ALONE, Processes
from conf.training import TrainingSettings
from feature_store.days import ordinal
from training.fitting.distillation import Distilled
from training.fitting.examples import Examples, Plan, sources_of
from training.fitting.fit import Fitted, fit
from training.fitting.hardware import compiled, optimizer_steps, trainer_options
from training.fitting.loader import BatchStream
from training.fitting.losses import loss_of
from training.fitting.memory import Memories, remember
from training.fitting.module import ScorerModule
from training.fitting.optimizer import Moments
from training.fitting.progress import Progress, load_progress, save_progress
from training.fitting.report import Watch, unwatched
from training.scorers import ScorerNet
from training.scorers.neighbours import Neighbours

WARM_LEARNING_RATE = 0.25
"""Share of the learning rate that a warm start begins with."""


@dataclass(frozen=True)
class Beginning:
    """What a training begins with."""

    net: ScorerNet
    moments: Moments | None = None
    """The parent's; None = there is no parent."""
    teacher: ScorerNet | None = None
    """The parent, where the net is kept near what it says of replayed rows."""


@dataclass(frozen=True)
class Kept:
    """The file that holds how far the training of these inputs has come, if there is to be one."""

    path: Path | None
    input_hash: str
    watch: Watch = unwatched
    """Is told how far it comes."""
    processes: Processes = ALONE
    """Those that train together; the first one keeps."""

    def load(self) -> Progress | None:
        """How far an earlier try came."""
        return load_progress(self.path, self.input_hash) if self.path else None

    def save(self, progress: Progress) -> None:
        """Keep how far this one has come."""
        if self.path and self.processes.first:
            save_progress(self.path, self.input_hash, progress)


def learn(
    begin: Beginning,
    examples: Examples,
    plan: Plan,
    settings: TrainingSettings,
    kept: Kept,
    memories: Memories | None,
) -> Fitted:
    """Train the net, or what it has beside its memory, which is given to it after that."""
    net = begin.net
    if not isinstance(net, Neighbours) or memories is None:
        return _fit(begin, examples, plan, settings, kept)
    beside = None
    if net.beside is not None:
        beside = _fit(replace(begin, net=net.beside), examples, plan, settings, kept)
    return remember(net, memories, settings, beside)


def _fit(
    begin: Beginning, examples: Examples, plan: Plan, settings: TrainingSettings, kept: Kept
) -> Fitted:
    net, moments, warm = begin.net, begin.moments, begin.moments is not None
    source, held_out = sources_of(examples, net.schema, settings, net.can_recall)
    days = (ordinal(plan.first_day), ordinal(plan.last_day))
    passes = settings.max_epochs if warm else settings.bootstrap_epochs
    together = kept.processes
    stream = BatchStream(
        source,
        settings.batch_size,
        passes,
        settings.seed,
        days,
        settings.unknown_masking,
        rank=together.rank,
        world=together.world,
    )
    validation = BatchStream(held_out, settings.batch_size, 1, settings.seed, days, shuffled=False)
    begun = kept.load()
    if begun:
        net.load_state_dict(begun.weights)
        moments = begun.moments
    per_pass, accumulated = stream.steps_per_pass, settings.accumulate_batches
    loss, teacher = loss_of(net.schema.labels), begin.teacher
    module = ScorerModule(
        net,
        loss=loss,
        learning_rate=settings.learning_rate * (WARM_LEARNING_RATE if warm else 1.0),
        weight_decay=settings.weight_decay,
        steps=optimizer_steps(len(stream), per_pass, accumulated),
        seed=settings.seed,
        sparse_rows=settings.sparse_rows,
        moments=moments,
        first_step=optimizer_steps(begun.step if begun else 0, per_pass, accumulated),
        begun=begun,
        training_loss=(
            Distilled(loss, teacher, settings.distillation, examples.sampled) if teacher else None
        ),
    )
    options = trainer_options(settings.precision, accumulated, together, settings.strategy)
    with compiled(net, settings.compile):
        return fit(
            module,
            stream,
            validation,
            begun,
            kept.save,
            settings.save_every_seconds,
            options,
            kept.watch,
        )
