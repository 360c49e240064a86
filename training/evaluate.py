"""Test a candidate on the day against its head, its warm-start parent, on the same rows.

Both read the features that the day's examples had, and neither has seen the day. Where ranks depend
on what is recalled, each ranks what its own version recalls: the head what is registered with it,
the candidate what it will be registered with. The champion's scores were written by score_day.
What headed the family four weeks ago, the anchor, scores the same rows where it is another version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from conf.errors import ConfigError, RegistryError
from conf.settings import Settings
from feature_store.champion import standing_after, standing_before
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.step import StepContext, StepResult
from feature_store.tables import CANDIDATE_SCORES, CANDIDATES, EVALUATIONS, EXAMPLES
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.fitting.checkpoint import load_scorer
from training.promotion.candidates import candidates_of
from training.promotion.retriever import find_retriever
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.review.candidate import Tested, review_candidate
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer
from training.scoring.catalogue_ranks import Cascade
from training.scoring.day_scores import (
    DayScores,
    baseline_metrics,
    day_metrics,
    nullable,
    score_examples,
    sliced_metrics,
)
from training.scoring.list_change import list_changes, megabytes, p99_ms
from training.scoring.slices import new_and_seen
from training.text.kept import keep_texts_of

NAN = float("nan")
NOTHING = DayScores(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Evaluation:
    """One row of table `evaluations`."""

    metric: str
    value: float
    head_value: float
    """NaN without a head, and for what needs no model."""


def run(context: StepContext) -> StepResult:
    """Write candidate_scores and evaluations of `context.ds` and `context.scorer`.

    Both are empty when the scorer has no candidate that day (its training failed) or the day has
    no examples.

    Raises:
        ConfigError: no scorer was given.
    """
    lake, ds, scorer = context.lake, context.ds, context.scorer
    if scorer is None:
        raise ConfigError(
            f"evaluate needs a scorer. Next: dayfold step evaluate --ds {ds} --scorer NAME"
        )
    row = candidate_row(lake, ds, scorer)
    examples = lake.read(EXAMPLES, [ds]).sort_by("example_id")
    scores, evaluations = score_rows(examples.slice(0, 0), NOTHING, NOTHING, NOTHING), None
    if row is not None and examples.num_rows:
        scores, evaluations = _tested(context, scorer, row, examples)
        _log(context, scorer, evaluations)
    partition = {"ds": ds, "scorer": scorer}
    lineage = {"step": f"evaluate.{scorer}", "ds": ds}
    lake.replace(CANDIDATE_SCORES, partition, scores, lineage)
    lake.replace(EVALUATIONS, partition, evaluation_rows(evaluations or []), lineage)
    return _result(scorer, examples.num_rows, evaluations)


def candidate_row(lake: Lake, ds: str, scorer: str) -> dict[str, object] | None:
    """The scorer's row of table `candidates` on `ds`; None where it was not trained."""
    rows: list[dict[str, object]] = lake.read(CANDIDATES, [ds]).to_pylist()
    return next((row for row in rows if row["scorer"] == scorer), None)


def head_of(
    lake: Lake, settings: Settings, ds: str, scorer: str
) -> tuple[TrainedScorer, TrainedScorer] | None:
    """The head of family `scorer` with which `ds` begins and its own retriever; None without one.

    Raises:
        RegistryError: its version holds no such scorer.
    """
    standing = standing_before(lake, ds)
    if standing is None or scorer not in standing.heads:
        return None
    return _scorer_of(lake, settings, ds, scorer, standing.heads[scorer])


def anchor_of(
    lake: Lake, settings: Settings, ds: str, scorer: str
) -> tuple[TrainedScorer, TrainedScorer] | None:
    """What headed family `scorer` `gate.anchor_days` before `ds`, and its own retriever.

    None where there was nothing, where it is the head still, or where its version was removed.
    """
    days = settings.gate.anchor_days
    then, now = standing_after(lake, shift(ds, -days)), standing_before(lake, ds)
    if not days or then is None or now is None:
        return None
    version = then.heads.get(scorer)
    if version is None or version == now.heads.get(scorer):
        return None
    try:
        return _scorer_of(lake, settings, ds, scorer, version)
    except RegistryError:
        return None


def _scorer_of(
    lake: Lake, settings: Settings, ds: str, scorer: str, version: int
) -> tuple[TrainedScorer, TrainedScorer]:
    composite = load_version(lake, settings, version)
    for part in (composite.ranker, composite.retriever):
        if part.name == scorer:
            return part, composite.retriever
    raise RegistryError(
        f"Version {version} was head-{scorer} before {ds}, but holds {composite.ranker.name} and "
        f"{composite.retriever.name}: the promotion ledger and the registry differ. Next: "
        "dayfold status, and restore the registry."
    )


def retriever_of(lake: Lake, settings: Settings, ds: str) -> TrainedScorer | None:
    """What the day's rankers are registered with where labels are `sampled`; None = nothing."""
    recalls = settings.training.scorers[0]
    trained = {c.scorer: c for c in candidates_of(lake, settings, ds)}.get(recalls)
    found = find_retriever(
        Registry(settings, lake.id),
        standing_before(lake, ds),
        trained=trained,
        scorer=recalls,
        may_lead=True,
    )
    return None if found is None else load_scorer(found.directory)


def _tested(
    context: StepContext, scorer: str, row: dict[str, object], examples: pa.Table
) -> tuple[pa.Table, list[Evaluation]]:
    """Rows of candidate_scores without its partition, and the metrics."""
    lake, ds, dataset = context.lake, context.ds, context.dataset
    head = head_of(lake, context.settings, ds, scorer)
    ranker = load_scorer(context.settings.path(context.settings.home) / str(row["directory"]))
    cascade = Cascade(ranker, None, context.settings.recommend.recall_k)
    if dataset.labels.kind == "sampled" and not ranker.can_recall:
        cascade = replace(cascade, retriever=retriever_of(lake, context.settings, ds))
    keep_texts_of(context.settings)
    reader = FeatureReader(lake, ds, ds, with_text=ranker.reads_text)
    rows = reader.rows(examples)
    slices = new_and_seen(examples, schema_on(lake, shift(ds, -1)))

    def everything(scores: DayScores) -> dict[str, float]:
        sliced = sliced_metrics(scores, examples, dataset, slices)
        return day_metrics(scores, examples, dataset) | {name: value for name, value, _ in sliced}

    said = score_examples(cascade, reader, examples, rows, dataset)
    nothing = np.full(examples.num_rows, NAN)
    before, head_values = DayScores(nothing, nothing), dict[str, float]()
    if head is not None:
        served = replace(cascade, ranker=head[0], retriever=head[1])
        before = score_examples(served, reader, examples, rows, dataset)
        head_values = everything(before)
    anchor = anchor_of(lake, context.settings, ds, scorer)
    earlier = DayScores(nothing, nothing)
    if anchor is not None:
        served = replace(cascade, ranker=anchor[0], retriever=anchor[1])
        earlier = score_examples(served, reader, examples, rows, dataset)
    evaluations = [
        Evaluation(name, value, head_values.get(name, NAN))
        for name, value in everything(said).items()
    ]
    half_life = context.settings.recommend.popularity_half_life_days
    for metric in baseline_metrics(reader, examples, dataset, half_life):
        evaluations.append(Evaluation(f"{metric.subject}_{metric.name}", metric.value, NAN))
    evaluations += _served(context, ranker, row, reader, rows, None if head is None else head[0])
    compared = None if head is None else before
    review_candidate(context, scorer, Tested(examples, rows, slices, said, compared, ranker))
    return score_rows(examples, said, before, earlier), evaluations


def _served(
    context: StepContext,
    ranker: TrainedScorer,
    row: dict[str, object],
    reader: FeatureReader,
    rows: Rows,
    head: TrainedScorer | None,
) -> list[Evaluation]:
    """What the gate's bars on lists, size and latency are held against."""
    directory = context.settings.path(context.settings.home) / str(row["directory"])
    found = [Evaluation("megabytes", megabytes(directory), NAN)]
    if context.settings.gate.max_p99_ms is not None:
        found.append(Evaluation("p99_ms", p99_ms(ranker, rows), NAN))
    if head is not None:
        churn, shown, before = list_changes(
            ranker, head, reader, rows.user.index, context.ds, context.dataset
        )
        found.append(Evaluation("list_churn", churn, NAN))
        found.append(Evaluation("list_coverage", shown, before))
    return found


def score_rows(examples: pa.Table, said: DayScores, head: DayScores, anchor: DayScores) -> pa.Table:
    """Rows of table `candidate_scores`, without its partition columns."""
    return pa.table(
        {
            **{name: examples.column(name) for name in ("example_id", "user_index", "item_index")},
            "logit": said.logits,
            "head_logit": head.logits,
            "label": examples.column("label"),
            "percentile_rank": nullable(said.percentile),
            "head_percentile_rank": nullable(head.percentile),
            "anchor_logit": nullable(anchor.logits),
            "anchor_percentile_rank": nullable(anchor.percentile),
        }
    )


def evaluation_rows(evaluations: list[Evaluation]) -> pa.Table:
    """Rows of table `evaluations`, without its partition columns."""
    return pa.table(
        {
            "metric": pa.array([e.metric for e in evaluations], pa.string()),
            "value": pa.array([e.value for e in evaluations], pa.float64()),
            "head_value": pa.array([e.head_value for e in evaluations], pa.float64()),
        }
    )


def _log(context: StepContext, scorer: str, evaluations: list[Evaluation]) -> None:
    registry = Registry(context.settings, context.lake.id)
    metrics = {f"test_{e.metric}": e.value for e in evaluations}
    metrics |= {f"test_head_{e.metric}": e.head_value for e in evaluations}
    registry.log(registry.scorer_run(context.ds, scorer), metrics=metrics)


def _result(scorer: str, examples: int, evaluations: list[Evaluation] | None) -> StepResult:
    if evaluations is None:
        return StepResult(f"{scorer}: no candidate to test on {examples} examples")
    shown = "; ".join(
        f"{e.metric.replace('_', ' ')} {e.value:.4f} "
        + ("(no head)" if np.isnan(e.head_value) else f"(head {e.head_value:.4f})")
        for e in evaluations
        if e.metric in {"auc", "log_loss", "mean_percentile_rank", "rmse"}
    )
    values = {e.metric: e.value for e in evaluations}
    return StepResult(f"{scorer} on {examples} examples: {shown}", {"metrics": values})
