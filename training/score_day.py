"""Score the day with the champion before anything trains on it, and measure yesterday's lists.

Writes one score per example, the sketch that the drift check merges, and the day's metrics. Without
a champion, or on a day without examples, the scores are empty and only the lists are measured.
"""

from __future__ import annotations

import pyarrow as pa

from feature_store.days import ordinal, shift
from feature_store.step import StepContext, StepResult
from feature_store.tables import DAILY_METRICS, EXAMPLES, INPUT_COUNTS, SCORES, SKETCHES
from training.features.reader import FeatureReader
from training.measures.cold_start import measure_cold_start
from training.measures.day_sketch import day_sketch
from training.measures.input_counts import input_counts
from training.measures.lists import measure_lists, measure_spread
from training.registry.serving import champion_before
from training.scorers.schema import schema_on
from training.scoring.catalogue_ranks import Cascade
from training.scoring.composite import Composite
from training.scoring.day_scores import (
    DayScores,
    baseline_metrics,
    day_metrics,
    nullable,
    ranked_rows,
    score_examples,
    sliced_metrics,
)
from training.scoring.metrics import Metric
from training.scoring.slices import new_and_seen
from training.text.kept import keep_texts_of


def run(context: StepContext) -> StepResult:
    """Write scores, sketches, input_counts and daily_metrics of `context.ds`."""
    lake, ds = context.lake, context.ds
    # Sorted, so that what is drawn does not depend on the order of the files.
    examples = lake.read(EXAMPLES, [ds]).sort_by("example_id")
    composite = champion_before(lake, context.settings, ds) if examples.num_rows else None
    scores, sketches, inputs, metrics = _of_examples(context, composite, examples)
    metrics += measure_lists(lake, ds)
    lineage = {"step": "score_day", "ds": ds}
    lake.replace(SCORES, {"ds": ds}, scores, lineage)
    lake.replace(SKETCHES, {"ds": ds}, sketches, lineage)
    lake.replace(INPUT_COUNTS, {"ds": ds}, inputs, lineage)
    lake.replace(DAILY_METRICS, {"ds": ds}, metric_rows(metrics), lineage)
    return _result(examples.num_rows, composite, metrics)


def _of_examples(
    context: StepContext, composite: Composite | None, examples: pa.Table
) -> tuple[pa.Table, pa.Table, pa.Table, list[Metric]]:
    """Scores, sketches, input counts (all without `ds`) and metrics of the day's examples."""
    lake, ds, dataset = context.lake, context.ds, context.dataset
    scores, sketches, inputs = (
        lake.schema(t).empty_table().drop_columns("ds") for t in (SCORES, SKETCHES, INPUT_COUNTS)
    )
    if not examples.num_rows:
        return scores, sketches, inputs, []
    keep_texts_of(context.settings)
    reads_text = composite is not None and composite.ranker.reads_text
    reader = FeatureReader(lake, ds, ds, with_text=reads_text)
    half_life = context.settings.recommend.popularity_half_life_days
    metrics = baseline_metrics(reader, examples, dataset, half_life)
    catalogue = reader.catalogue(reader.start_of(ordinal(ds)), ordinal(ds))
    metrics += measure_spread(lake, ds, len(catalogue))
    if composite is None:
        return scores, sketches, inputs, metrics
    rows = reader.rows(examples)
    recall_k = context.settings.recommend.recall_k
    cascade = Cascade(composite.ranker, composite.retriever, recall_k)
    said = score_examples(cascade, reader, examples, rows, dataset)
    seed = [context.settings.training.seed, ordinal(ds)]
    sketches = day_sketch(composite, reader, examples, rows, said, dataset, seed)
    values = day_metrics(said, examples, dataset)
    n = ranked_rows(said, dataset)
    metrics += [Metric("champion", name, value, n) for name, value in values.items()]
    known = schema_on(lake, shift(ds, -1))
    slices = new_and_seen(examples, known)
    sliced = sliced_metrics(said, examples, dataset, slices)
    metrics += [Metric("champion", name, value, rows) for name, value, rows in sliced]
    metrics += measure_cold_start(composite, reader, lake, ds, recall_k)
    counts = input_counts(rows, dataset, known)
    return score_rows(examples, said, composite.version), sketches, counts, metrics


def score_rows(examples: pa.Table, said: DayScores, version: int) -> pa.Table:
    """Rows of table `scores`, without `ds`."""
    return pa.table(
        {
            **{name: examples.column(name) for name in ("example_id", "user_index", "item_index")},
            "model_version": pa.array([version] * examples.num_rows, pa.int32()),
            "logit": said.logits,
            "label": examples.column("label"),
            "percentile_rank": nullable(said.percentile),
        }
    )


def metric_rows(metrics: list[Metric]) -> pa.Table:
    """Rows of table `daily_metrics`, without `ds`."""
    return pa.table(
        {
            "subject": pa.array([m.subject for m in metrics], pa.string()),
            "metric": pa.array([m.name for m in metrics], pa.string()),
            "value": pa.array([m.value for m in metrics], pa.float64()),
            "n": pa.array([m.n for m in metrics], pa.int64()),
        }
    )


def _result(examples: int, composite: Composite | None, metrics: list[Metric]) -> StepResult:
    values = {f"{m.subject}.{m.name}": m.value for m in metrics}
    by_whom = f"version {composite.version} ({composite.scorer})" if composite else "no champion"
    shown = [
        f"{name.replace('.', ' ').replace('_', ' ')} {values[name]:.4f}"
        for name in (
            "champion.auc",
            "champion.log_loss",
            "champion.mean_percentile_rank",
            "lists.recall_at_10",
            "popularity_7d.recall_at_10",
        )
        if name in values
    ]
    summary = "; ".join([f"{examples} examples, {by_whom}", *shown])
    version = composite.version if composite else None
    return StepResult(summary, {"examples": examples, "version": version, "metrics": values})
