"""Step `train`: warm-starts a scorer from its parent on the days before `ds`, plus replay."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from conf.errors import TrainingError
from conf.lineage import code_version, config_hash
from conf.processes import started_together
from conf.training import TrainingSettings
from feature_store.champion import standing_before
from feature_store.days import shift
from feature_store.promotion_ledger import Blocked, blocked_before
from feature_store.step import StepContext, StepResult
from feature_store.tables import CANDIDATES, EXAMPLES
from training.drift.extent import training_of
from training.drift.past import extent_decided
from training.fitting.candidate import Candidate, train_candidate
from training.fitting.checkpoint import save_scorer, scorer_name
from training.fitting.hardware import gpu_seconds
from training.fitting.refused import explained
from training.fitting.report import Report, Watch
from training.registry.curve import LiveCurve
from training.registry.inputs import DataInput, log_inputs, version_on
from training.registry.registry import Registry
from training.registry.run_log import thinned
from training.text.kept import keep_texts_of

_LOG = logging.getLogger("dayfold.train")
_AGAINST_FORGETTING = ("start", "history_days", "replay", "replay_share", "distillation")
"""Settings that the candidate's row repeats."""


def run(context: StepContext) -> StepResult:
    """Train `context.scorer` for `context.ds`, write its checkpoint and its candidates row.

    Of processes that torchrun started together, the first one alone writes.

    Raises:
        TrainingError: nothing to train on, the loss is not finite, or memory ran out.
        RegistryError: the parent's version is not in the registry.
    """
    scorer, ds = context.scorer, context.ds
    if scorer is None:
        raise TrainingError(
            f"Step train needs a scorer. Next: dayfold step train --ds {ds} --scorer NAME"
        )
    registry = Registry(context.settings, context.lake.id)
    context = _to_the_extent(context)
    standing = standing_before(context.lake, ds)
    version = standing.heads.get(scorer, 0) if standing else 0
    parent = _part_of(registry.version_directory(version), scorer) if version else None
    keep_texts_of(context.settings)
    started = time.monotonic()
    home = Path(context.settings.home).absolute()
    directory = Path("candidates") / context.dataset.name / ds / scorer
    progress = home / directory.with_name(f"{scorer}.progress")
    together, inputs = started_together(), (context.lake, context.settings.training, scorer, ds)
    with explained(scorer, ds, context.settings.training, together):
        if not together.first:
            train_candidate(*inputs, parent, version, progress, processes=together)
            return StepResult(f"process {together.rank} of {together.world} has trained with them")
        run_id = registry.scorer_run(ds, scorer)
        watch = _watching(LiveCurve(registry, run_id), f"train.{scorer} {ds}")
        candidate = train_candidate(*inputs, parent, version, progress, watch, together)
    seconds = time.monotonic() - started
    save_scorer(home / directory, candidate.checkpoint)
    gpu = gpu_seconds(seconds, together)
    _log_inputs(registry, home, run_id, context, candidate)
    _log(registry, run_id, context, candidate, {"train_seconds": seconds, **gpu})
    rows = _row(candidate, context.settings.training, run_id, directory, gpu)
    lineage = {"step": "train", "ds": ds, "scorer": scorer, "input_hash": candidate.input_hash}
    context.lake.replace(CANDIDATES, {"ds": ds, "scorer": scorer}, rows, lineage)
    progress.unlink(missing_ok=True)
    summary = _summary(candidate, seconds, blocked_before(context.lake, ds))
    return StepResult(summary, {"scorer": scorer, "run_id": run_id})


def _to_the_extent(context: StepContext) -> StepContext:
    """The context, whose settings train as much as the day's drift decision says."""
    settings = context.settings
    extent = extent_decided(context.lake, context.ds)
    training = training_of(settings.training, settings.drift, extent)
    return replace(context, settings=settings.model_copy(update={"training": training}))


def _watching(curve: LiveCurve, task: str) -> Watch:
    """Tells the log and the run how the training goes."""

    def watch(report: Report) -> None:
        _LOG.info("%s: %s", task, report)
        curve.add(
            {
                "train_loss": thinned(report.training_losses),
                "validation_loss": dict(enumerate(report.validation_losses)),
                "samples_per_second": {report.step: report.samples_per_second},
            }
        )

    return watch


def _part_of(directory: Path, scorer: str) -> Path:
    """The part of a composite that holds `scorer`."""
    for part in ("ranker", "retriever"):
        if scorer_name(directory / part) == scorer:
            return directory / part
    raise TrainingError(
        f"{directory} is the head of {scorer!r} but neither its ranker nor its retriever is one: "
        "the promotion ledger and the registry differ. Next: dayfold status."
    )


def _row(
    candidate: Candidate,
    chosen: TrainingSettings,
    run_id: str,
    directory: Path,
    gpu: dict[str, float],
) -> pa.Table:
    checkpoint = candidate.checkpoint
    trained = checkpoint.training
    evidence = {
        "validation_losses": candidate.validation_losses,
        "best_pass": candidate.best_pass,
        "steps": len(candidate.training_losses),
        "vocabulary_sizes": checkpoint.net.schema.sizes(),
        "fresh_because": candidate.fresh_because,
        "input_hash": candidate.input_hash,
        "vocabulary_day": checkpoint.net.schema.day,
        "replay_digest": candidate.replay_digest,
        **{name: getattr(chosen, name) for name in _AGAINST_FORGETTING},
        **gpu,
    }
    return pa.table(
        {
            "run_id": [run_id],
            "parent_version": pa.array([trained.parent_version], pa.int32()),
            "first_day": [trained.first_day],
            "last_day": [trained.last_day],
            "rows": [trained.rows],
            "replay_rows": [trained.replay_rows],
            "directory": [directory.as_posix()],
            "evidence": [json.dumps(evidence, sort_keys=True)],
        }
    )


def _log_inputs(
    registry: Registry, home: Path, run_id: str, context: StepContext, candidate: Candidate
) -> None:
    """Name the examples that the candidate was trained on as inputs of its run."""
    lake, trained = context.lake, candidate.checkpoint.training
    version, first = version_on(lake, EXAMPLES, context.ds), trained.first_day
    earlier = shift(first, -context.settings.training.replay_days), shift(first, -1)
    log_inputs(
        registry,
        home,
        run_id,
        lake,
        DataInput(EXAMPLES, version, first, trained.last_day, trained.rows, "training"),
        DataInput(EXAMPLES, version, *earlier, trained.replay_rows, "replay"),
    )


def _log(
    registry: Registry,
    run_id: str,
    context: StepContext,
    candidate: Candidate,
    seconds: dict[str, float],
) -> None:
    checkpoint = candidate.checkpoint
    trained = checkpoint.training
    registry.log(
        run_id,
        params={
            **{f"training.{k}": v for k, v in context.settings.training.model_dump().items()},
            "parent_version": trained.parent_version,
            "first_day": trained.first_day,
            "last_day": trained.last_day,
            "vocabulary_day": checkpoint.net.schema.day,
            "input_hash": candidate.input_hash,
            "replay_digest": candidate.replay_digest,
        },
        metrics={
            "rows": trained.rows,
            "replay_rows": trained.replay_rows,
            "best_pass": candidate.best_pass,
            "parameters": sum(p.numel() for p in checkpoint.net.parameters()),
        },
        seconds={
            **seconds,
            "mean_samples_per_second": candidate.samples_per_second,
        },
        series={
            "train_loss": candidate.training_losses,
            "validation_loss": candidate.validation_losses,
        },
        tags={
            "code_version": code_version(),
            "config_hash": config_hash(context.settings, context.dataset),
        },
    )


def _summary(candidate: Candidate, seconds: float, blocked: Blocked) -> str:
    trained = candidate.checkpoint.training
    start = f"from version {trained.parent_version}" if trained.parent_version else "without parent"
    if candidate.fresh_because:
        start = f"afresh ({'; '.join(candidate.fresh_because)})"
    losses = candidate.validation_losses
    passes = f"pass {candidate.best_pass} of {len(losses)}, " if losses else ""
    pace = candidate.samples_per_second
    speed = f"{pace:,.0f} samples/s, " if pace else ""
    loss = f", validation loss {losses[candidate.best_pass - 1]:.4f}" if losses else ""
    return (
        f"{candidate.checkpoint.name} {start}: {trained.rows} rows of "
        f"{blocked.span(trained.first_day, trained.last_day)}, {trained.replay_rows} replayed"
        f"{loss}, {passes}{speed}{seconds:.1f} s"
    )
