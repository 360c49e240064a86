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
import torch

from conf.errors import TrainingError
from conf.training import TrainingSettings
from feature_store.days import ordinal
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from feature_store.vocabularies import expired_between, expired_on, forgotten_by
from training.features.digest import digest_of
from training.fitting.checkpoint import Checkpoint, Training, load_checkpoint
from training.fitting.distillation import Distilled, frozen
from training.fitting.examples import (
    MIN_ROWS,
    Examples,
    Plan,
    load_examples,
    plan_of,
    sources_of,
)
from training.fitting.expired import Expired, ids_by_field, reset_rows
from training.fitting.fit import Fitted, fit
from training.fitting.loader import BatchStream
from training.fitting.losses import loss_of
from training.fitting.module import ScorerModule
from training.fitting.optimizer import Moments
from training.fitting.progress import Progress, load_progress, save_progress
from training.scorers import Architecture, ScorerNet, build
from training.scorers.schema import Schema, schema_on

WARM_LEARNING_RATE = 0.5
"""Share of the learning rate that a warm start begins with."""


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
    replay_digest: str
    """Of the ids and days of the replayed rows."""


def train_candidate(
    lake: Lake,
    settings: TrainingSettings,
    scorer: str,
    ds: str,
    parent: Path | None = None,
    parent_version: int = 0,
    progress: Path | None = None,
) -> Candidate:
    """Train `scorer` for `ds` on days before it; same inputs give the same weights, bit for bit.

    Args:
        lake: holds examples and state; no row of `ds` or later is read.
        settings: how to train.
        scorer: its name.
        ds: the day on which the candidate will be tested.
        parent: folder of the checkpoint to start from; None = begin with all days there are.
        parent_version: its registered version.
        progress: file in which a killed training leaves how far it came, for the next one with the
            same inputs to go on from; None = there is none.

    Raises:
        TrainingError: there is too little to train on, or the loss is not finite.
    """
    schema = schema_on(lake, plan_of(lake, ds, None).last_day)
    architecture = Architecture(settings.embedding_dim, settings.hidden, settings.dropout)
    warm, fresh_because = _parent_of(parent, schema, architecture, settings)
    until = warm.training.last_day if warm else None
    plan = plan_of(lake, ds, until, settings.history_days)
    examples = load_examples(lake, plan, settings)
    rows, replay = _rows_of(examples, scorer, plan)
    since_parent, expired = _expired(lake, warm, schema.day)
    input_hash = _input_hash(examples, schema, settings, scorer, warm, (since_parent, expired))
    with _reproducible(settings.seed):
        if warm is None:
            net, moments, teacher = build(scorer, schema, architecture), None, None
        else:
            teacher = frozen(warm.net) if settings.distillation else None
            net = build(scorer, warm.net.schema, architecture)
            net.load_state_dict(warm.net.state_dict())
            net.grow(schema)
            moments = reset_rows(net, warm.moments, since_parent)
        kept = Kept(progress, input_hash)
        fitted = _fit(net, moments, teacher, examples, plan, settings, kept)
        # replayed rows may have trained them: what is expired is the row of unknown
        moments = reset_rows(net, fitted.best.moments, expired)
    version = parent_version if warm else 0
    trained = Training(version, plan.first_day, plan.last_day, rows, replay, settings.seed)
    return Candidate(
        Checkpoint(scorer, net, architecture, trained, moments),
        fitted.training_losses,
        fitted.validation_losses,
        fitted.best.number,
        input_hash,
        fresh_because,
        examples.replay_digest,
    )


def _parent_of(
    folder: Path | None, schema: Schema, architecture: Architecture, settings: TrainingSettings
) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to start from, if there is one that fits, and why it does not."""
    if folder is None:
        return None, []
    if settings.start == "afresh":
        return None, ["training.start: afresh"]
    warm = load_checkpoint(folder)
    differences = _differences(warm, schema, architecture)
    return (None if differences else warm), differences


def _expired(lake: Lake, warm: Checkpoint | None, day: str) -> tuple[Expired, Expired]:
    """The ids that expired since the parent's vocabulary day, and those expired on `day`."""
    forgotten = forgotten_by(lake, day)
    since_parent = expired_between(lake, warm.net.schema.day if warm else day, day)
    lost = (since_parent, expired_on(lake, day))
    first, second = (ids_by_field(pa.concat_tables([ids, forgotten])) for ids in lost)
    return first, second


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


def _fit(
    net: ScorerNet,
    moments: Moments | None,
    teacher: ScorerNet | None,
    examples: Examples,
    plan: Plan,
    settings: TrainingSettings,
    kept: Kept,
) -> Fitted:
    """Train `net`, with the parent's `moments` where it has a parent, near what `teacher` says."""
    warm = moments is not None
    source, held_out = sources_of(examples, net.schema, settings, net.can_recall)
    days = (ordinal(plan.first_day), ordinal(plan.last_day))
    passes = settings.max_epochs if warm else settings.bootstrap_epochs
    stream = BatchStream(
        source, settings.batch_size, passes, settings.seed, days, settings.unknown_masking
    )
    validation = BatchStream(held_out, settings.batch_size, 1, settings.seed, days, shuffled=False)
    begun = kept.load()
    if begun:
        net.load_state_dict(begun.weights)
        moments = begun.moments
    loss = loss_of(net.schema.labels)
    module = ScorerModule(
        net,
        loss=loss,
        learning_rate=settings.learning_rate * (WARM_LEARNING_RATE if warm else 1.0),
        weight_decay=settings.weight_decay,
        steps=len(stream),
        seed=settings.seed,
        moments=moments,
        begun=begun,
        training_loss=(
            Distilled(loss, teacher, settings.distillation, examples.sampled) if teacher else None
        ),
    )
    return fit(module, stream, validation, begun, kept.save, settings.save_every_seconds)


@dataclass(frozen=True)
class Kept:
    """The file that holds how far the training of these inputs has come, if there is to be one."""

    path: Path | None
    input_hash: str

    def load(self) -> Progress | None:
        """How far an earlier try came."""
        return load_progress(self.path, self.input_hash) if self.path else None

    def save(self, progress: Progress) -> None:
        """Keep how far this one has come."""
        if self.path:
            save_progress(self.path, self.input_hash, progress)


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
    settings_json = settings.model_dump_json(exclude={"save_every_seconds"})
    return digest_of(arrays, scorer, settings_json, schema.to_json(), *texts)
