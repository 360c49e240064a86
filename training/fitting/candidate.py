"""Trains one candidate: warm start, growth, new days plus replay, early stopping by time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytorch_lightning as lightning
import torch

from conf.errors import TrainingError
from conf.settings import TrainingSettings
from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from feature_store.vocabularies import expired_between, expired_on, forgotten_by
from training.features.digest import digest_of
from training.fitting.checkpoint import Checkpoint, Training, load_checkpoint
from training.fitting.examples import (
    MIN_ROWS,
    Examples,
    Plan,
    load_examples,
    plan_of,
    sources_of,
)
from training.fitting.expired import Expired, ids_by_field, reset_rows
from training.fitting.loader import BatchStream
from training.fitting.module import ScorerModule
from training.fitting.optimizer import Moments
from training.scorers import Architecture, ScorerNet, build
from training.scorers.schema import Schema, schema_on

WARM_LEARNING_RATE = 0.5
"""Share of the learning rate that a warm start begins with."""
PATIENCE = 2
"""Passes without a better validation loss after which training stops."""


@dataclass(frozen=True)
class Candidate:
    """A trained scorer and how its training went."""

    checkpoint: Checkpoint
    training_losses: list[float]
    """One per step."""
    validation_losses: list[float]
    """One per pass, on the time-last rows; empty where there were too few rows to hold any out."""
    best_pass: int
    """The pass whose weights were kept, from 1."""
    input_hash: str
    fresh_because: list[str]
    """Why the parent's weights were not used; empty where they were, or there is no parent."""


def train_candidate(
    lake: Lake,
    settings: TrainingSettings,
    scorer: str,
    ds: str,
    parent: Path | None = None,
    parent_version: int = 0,
) -> Candidate:
    """Train `scorer` for `ds` on days before it; same inputs give the same weights, bit for bit.

    Args:
        lake: holds examples and state; no row of `ds` or later is read.
        settings: how to train.
        scorer: its name.
        ds: the day on which the candidate will be tested.
        parent: folder of the checkpoint to start from; None = begin with all days there are.
        parent_version: its registered version.

    Raises:
        TrainingError: there is too little to train on, or the loss is not finite.
    """
    plan = plan_of(lake, ds, None)
    schema = schema_on(lake, plan.last_day)
    architecture = Architecture(settings.embedding_dim, settings.hidden, settings.dropout)
    warm = load_checkpoint(parent) if parent is not None else None
    fresh_because = _differences(warm, schema, architecture) if warm else []
    if warm is None or fresh_because:
        warm, parent_version = None, 0
    else:
        plan = plan_of(lake, ds, warm.training.last_day)
    examples = load_examples(lake, plan, settings)
    rows, replay = _rows_of(examples, scorer, plan)
    forgotten = forgotten_by(lake, schema.day)
    since_parent, expired = (
        ids_by_field(pa.concat_tables([ids, forgotten]))
        for ids in (
            expired_between(lake, warm.net.schema.day if warm else schema.day, schema.day),
            expired_on(lake, schema.day),
        )
    )
    with _reproducible(settings.seed):
        if warm is None:
            net, moments = build(scorer, schema, architecture), None
        else:
            net = build(scorer, warm.net.schema, architecture)
            net.load_state_dict(warm.net.state_dict())
            net.grow(schema)
            moments = reset_rows(net, warm.moments, since_parent)
        fitted = _fit(net, moments, examples, plan, settings)
        # replayed rows may have trained them: what is expired is the row of unknown
        moments = reset_rows(net, fitted.moments, expired)
    trained = Training(parent_version, plan.first_day, plan.last_day, rows, replay, settings.seed)
    return Candidate(
        Checkpoint(scorer, net, architecture, trained, moments),
        fitted.module.training_losses,
        fitted.module.validation_losses,
        fitted.best_pass,
        _input_hash(examples, schema, settings, scorer, warm, (since_parent, expired)),
        fresh_because,
    )


def _rows_of(examples: Examples, scorer: str, plan: Plan) -> tuple[int, int]:
    """How many rows are new, and how many replayed; refused if there are too few."""
    rows, replay = int((~examples.replayed).sum()), int(examples.replayed.sum())
    if rows and rows + replay >= MIN_ROWS:
        return rows, replay
    of_known = " whose item was known when its day began" if examples.sampled else ""
    raise TrainingError(
        f"{scorer} cannot be trained on {plan.first_day} to {plan.last_day}: found {rows} new rows "
        f"of {EXAMPLES.key}{of_known} and {replay} to replay, expected at least {MIN_ROWS}, one of "
        f"them new. Next: dayfold status, then dayfold run further days."
    )


def _differences(warm: Checkpoint, schema: Schema, architecture: Architecture) -> list[str]:
    """Why weights cannot be carried over: other inputs or another shape."""
    shape = replace(warm.architecture, dropout=architecture.dropout)
    changed = [] if shape == architecture else [f"shape: {shape} -> {architecture}"]
    return [*warm.net.schema.difference(schema), *changed]


class _KeepBest(lightning.Callback):
    """Keeps the weights of the pass with the lowest validation loss; stops when it grows."""

    def __init__(self, module: ScorerModule) -> None:
        self._module = module
        self.best_pass = 0
        self.best_loss = float("inf")
        self.weights: dict[str, torch.Tensor] = {}
        self.moments: dict[str, torch.Tensor] = {}

    def keep(self, number: int) -> None:
        """Remember the weights and moments as they are now, after pass `number`."""
        self.best_pass = number
        weights = self._module.net.state_dict()
        self.weights = {name: values.detach().clone() for name, values in weights.items()}
        self.moments = self._module.moments()

    def on_validation_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """After each pass."""
        losses = self._module.validation_losses
        number, loss = len(losses), losses[-1]
        if loss < self.best_loss:
            self.best_loss = loss
            self.keep(number)
        elif number - self.best_pass >= PATIENCE:
            trainer.should_stop = True


@dataclass(frozen=True)
class _Fitted:
    module: ScorerModule
    best_pass: int
    moments: dict[str, torch.Tensor]


def _fit(
    net: ScorerNet,
    moments: Moments | None,
    examples: Examples,
    plan: Plan,
    settings: TrainingSettings,
) -> _Fitted:
    """Train `net`, with the parent's `moments` where it has a parent."""
    warm = moments is not None
    source, held_out = sources_of(examples, net.schema, settings, net.can_recall)
    days = (ordinal(plan.first_day), ordinal(plan.last_day))
    passes = settings.max_epochs if warm else settings.bootstrap_epochs
    stream = BatchStream(
        source, settings.batch_size, passes, settings.seed, days, settings.unknown_masking
    )
    validation = BatchStream(held_out, settings.batch_size, 1, settings.seed, days, shuffled=False)
    module = ScorerModule(
        net,
        listwise=examples.sampled,
        learning_rate=settings.learning_rate * (WARM_LEARNING_RATE if warm else 1.0),
        weight_decay=settings.weight_decay,
        steps=len(stream),
        seed=settings.seed,
        moments=moments,
    )
    best = _KeepBest(module)
    trainer = _trainer(best, stream.steps_per_pass if len(validation) else None)
    trainer.fit(module, stream, validation if len(validation) else None)
    if not len(validation):
        best.keep(passes)
    net.load_state_dict(best.weights)
    return _Fitted(module, best.best_pass, best.moments)


def _trainer(callback: lightning.Callback, validate_every: int | None) -> lightning.Trainer:
    """A quiet trainer for one walk through a stream that holds all its passes."""
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        val_check_interval=validate_every,
        limit_val_batches=None if validate_every else 0,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """One thread and a generator of our own (sums are made in one order), and a quiet Lightning."""
    threads = torch.get_num_threads()
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Lightning 2.6 calls what torch 2.13 deprecates
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _input_hash(
    examples: Examples,
    schema: Schema,
    settings: TrainingSettings,
    scorer: str,
    warm: Checkpoint | None,
    expired: tuple[Expired, Expired],
) -> str:
    """Digest of all that decides the weights: rows, features, settings, parent, expired ids."""
    parent: dict[str, torch.Tensor] = {}
    if warm is not None:
        parent = {**warm.net.state_dict(), **warm.moments}
    names = sorted(parent)
    fields = [(ids, field) for ids in expired for field in ids]
    arrays = chain(
        examples.arrays(),
        (parent[name].numpy() for name in names),
        (ids[field] for ids, field in fields),
    )
    texts = (*names, *(f"expired {field}" for _, field in fields))
    return digest_of(arrays, scorer, settings.model_dump_json(), schema.to_json(), *texts)
