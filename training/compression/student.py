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
from training.fitting.distillation import Distilled, frozen
from training.fitting.examples import Plan, load_examples, sources_of
from training.fitting.fit import fit
from training.fitting.hardware import trainer_options
from training.fitting.loader import BatchStream
from training.fitting.losses import loss_of
from training.fitting.module import ScorerModule
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

    Each row's loss has the divergence from the teacher added (Hinton et al. 2015).

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
    examples = load_examples(lake, Plan(days, days[0], days[-1], False), settings, teacher.name)
    schema = schema_on(lake, days[-1])
    with reproducible(settings.seed):
        net = build(
            "mlp", schema, Architecture(settings.embedding_dim, settings.hidden, settings.dropout)
        )
        loss = loss_of(schema.labels)
        taught = Distilled(loss, frozen(teacher.net), compression.distillation, examples.sampled)

        def of_all_rows(logits: Tensor, batch: Batch) -> Tensor:
            everything = torch.ones_like(batch.label, dtype=torch.bool)
            return taught(logits, batch._replace(replayed=everything))

        source, held_out = sources_of(examples, schema, settings, whole_lists=False)
        span = (ordinal(days[0]), ordinal(days[-1]))
        stream = BatchStream(
            source,
            settings.batch_size,
            settings.bootstrap_epochs,
            settings.seed,
            span,
            settings.unknown_masking,
        )
        module = ScorerModule(
            net,
            loss=loss,
            training_loss=of_all_rows,
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
