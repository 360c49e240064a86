"""Trains one candidate: warm start, growth, new days plus replay, early stopping by time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import torch

from conf.errors import TrainingError
from conf.processes import ALONE, Processes
from conf.training import TrainingSettings
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from feature_store.vocabularies import expired_between, expired_on, forgotten_by
from training.features.digest import digest_of
from training.fitting.checkpoint import Checkpoint, Training, load_checkpoint
from training.fitting.distillation import frozen
from training.fitting.examples import MIN_ROWS, Examples, Plan, load_examples, plan_of
from training.fitting.expired import Expired, ids_by_field, reset_rows
from training.fitting.learning import Beginning, Kept, learn
from training.fitting.memory import Memories, memories_of, remembers, trained_part
from training.fitting.report import Watch, unwatched
from training.fitting.reproducible import reproducible
from training.fitting.texts import architecture_of, begin_with_texts
from training.scorers import Architecture, build
from training.scorers.schema import Schema, schema_on


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
    samples_per_second: float
    """Rows trained per second of wall time, validation included; 0 where nothing was left to do."""


def train_candidate(
    lake: Lake,
    settings: TrainingSettings,
    scorer: str,
    ds: str,
    parent: Path | None = None,
    parent_version: int = 0,
    progress: Path | None = None,
    watch: Watch = unwatched,
    processes: Processes = ALONE,
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
        watch: is told from time to time how it goes.
        processes: those that train this candidate together, each with a part of every batch; all of
            them call this function with the same arguments, and get the same weights.

    Raises:
        TrainingError: there is too little to train on.
        FloatingPointError: the loss is not finite.
    """
    schema = schema_on(lake, plan_of(lake, ds, None).last_day)
    architecture = architecture_of(scorer, settings)
    warm, fresh_because = _parent_of(parent, schema, architecture, settings)
    until = warm.training.last_day if warm else None
    plan = plan_of(lake, ds, until, settings.history_days)
    examples = load_examples(lake, plan, settings, scorer)
    rows, replay = _rows_of(examples, scorer, plan)
    since_parent, expired = _expired(lake, warm, schema.day)
    memories = memories_of(lake, examples, schema.day, expired) if remembers(scorer) else None
    lost = (since_parent, expired)
    input_hash = _input_hash(examples, schema, settings, scorer, warm, lost, memories)
    with reproducible(settings.seed):
        if warm is None:
            begin = Beginning(build(scorer, schema, architecture))
            begin_with_texts(begin.net, examples.reader)
        else:
            net = build(scorer, warm.net.schema, architecture)
            net.load_state_dict(warm.net.state_dict())
            net.grow(schema)
            moments = reset_rows(trained_part(net), warm.moments, since_parent)
            teacher = frozen(trained_part(warm.net)) if settings.distillation else None
            begin = Beginning(net, moments, teacher)
        kept = Kept(progress, input_hash, watch, processes)
        fitted = learn(begin, examples, plan, settings, kept, memories)
        # replayed rows may have trained them: what is expired is the row of unknown
        moments = reset_rows(trained_part(begin.net), fitted.best.moments, expired)
    version = parent_version if warm else 0
    trained = Training(version, plan.first_day, plan.last_day, rows, replay, settings.seed)
    return Candidate(
        Checkpoint(scorer, begin.net, architecture, trained, moments),
        fitted.training_losses,
        fitted.validation_losses,
        fitted.best.number,
        input_hash,
        fresh_because,
        examples.replay_digest,
        fitted.samples_per_second,
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


def _input_hash(
    examples: Examples,
    schema: Schema,
    settings: TrainingSettings,
    scorer: str,
    warm: Checkpoint | None,
    expired: tuple[Expired, Expired],
    memories: Memories | None,
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
        memories.arrays() if memories else (),
    )
    texts = (*names, *(f"expired {field}" for _, field in fields))
    settings_json = settings.model_dump_json(
        exclude={"save_every_seconds": True, "strategy": True, "text": {"cache_mb": True}}
    )
    text = architecture_of(scorer, settings).text
    language_model = repr(text)
    if text is not None and not text.base and warm is None and examples.reader.texts is not None:
        # its tokenizer is fitted on all texts, also of items that no example has
        language_model += repr(sorted(examples.reader.texts.words.texts()))
    return digest_of(arrays, scorer, settings_json, language_model, schema.to_json(), *texts)
