"""A small `mlp` that learns from what a version says, beside the labels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from conf.compression import CompressionSettings
from conf.errors import ConfigError
from conf.training import TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.compression.drawn_pairs import with_drawn_pairs
from training.fitting.distillation import click_divergence, frozen, known_to
from training.fitting.examples import Plan, load_examples, sources_of
from training.fitting.fit import fit
from training.fitting.hardware import trainer_options
from training.fitting.loader import BatchStream
from training.fitting.losses import Loss, click_loss
from training.fitting.module import ScorerModule
from training.fitting.refused import explained
from training.fitting.report import unwatched
from training.fitting.reproducible import reproducible
from training.scorers import Architecture, ScorerNet, build
from training.scorers.batch import Batch
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer


def student_of(
    teacher: TrainedScorer,
    lake: Lake,
    ds: str,
    settings: TrainingSettings,
    compression: CompressionSettings,
) -> ScorerNet:
    """An `mlp` trained on the days before `ds`, on labels and on the teacher's probabilities.

    The teacher is also asked of pairs that nobody has labelled: see `with_drawn_pairs`. Labels are
    clicks.

    Raises:
        ConfigError: there are no days to train on.
    """
    first = shift(ds, -compression.student_days)
    days = tuple(day for day in lake.days(EXAMPLES) if first <= day < ds)
    if not days:
        raise ConfigError(
            f"There are no examples from {first} to {shift(ds, -1)} to teach a student on. Next: "
            "dayfold status, or raise compression.student_days in conf/base.yaml."
        )
    labelled = load_examples(lake, Plan(days, days[0], days[-1], False), settings, teacher.name)
    examples = with_drawn_pairs(labelled, compression.drawn_pairs, settings.seed)
    schema = schema_on(lake, days[-1])
    with explained("mlp", ds, settings), reproducible(settings.seed):
        net = build(
            "mlp", schema, Architecture(settings.embedding_dim, settings.hidden, settings.dropout)
        )
        source, held_out = sources_of(examples, schema, settings, whole_lists=False)
        stream = BatchStream(
            source,
            settings.batch_size,
            settings.bootstrap_epochs,
            settings.seed,
            (ordinal(days[0]), ordinal(days[-1])),
            settings.unknown_masking,
        )
        module = ScorerModule(
            net,
            loss=taught_by(frozen(teacher.net), compression.distillation),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            steps=len(stream),
            seed=settings.seed,
            sparse_rows=settings.sparse_rows,
        )
        last = replace(stream, source=held_out, passes=1, unknown_masking=0.0, shuffled=False)
        options = trainer_options(settings.precision, 1)
        fit(module, stream, last, None, lambda _: None, float("inf"), options, unwatched)
    return net.eval()


def taught_by(teacher: ScorerNet, weight: float) -> Loss:
    """The loss of labels, and `weight` times the divergence from the teacher (Hinton et al. 2015).

    Of drawn pairs (`Batch.replayed`) the second alone: they have no label.
    """

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad():
            # the device is known only when there is a batch; there it is moved once
            said = teacher.to(logits.device)(known_to(batch, teacher.schema))
        of_labels = batch.weight
        if batch.replayed is not None:
            of_labels = of_labels.masked_fill(batch.replayed, 0.0)
        apart = click_divergence(said, logits, batch.correction)
        own = click_loss(logits, batch._replace(weight=of_labels))
        return own + weight * (apart * batch.weight).sum()

    return loss
