"""What one scorer says of the day's examples, and how good that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from conf.dataset import DatasetConfig
from conf.errors import TrainingError
from training.features.rows import Rows
from training.scoring.catalogue_ranks import (
    Cascade,
    percentile_ranks,
    popularity_percentile_ranks,
)
from training.scoring.metrics import (
    Bools,
    Floats,
    Metric,
    constant_log_loss,
    logit_of,
    rating_metrics,
    score_metrics,
)
from training.scoring.rankings import mean_percentile_rank

if TYPE_CHECKING:
    from training.features.reader import FeatureReader
    from training.scorers.trained import TrainedScorer

TOP_SHARE = 0.01


@dataclass(frozen=True)
class DayScores:
    """Scores of the day's examples, aligned with them."""

    logits: Floats
    """(n,) log-odds; a score without calibration where labels are `sampled`; of a `rating`, what
    the logistic function makes its predicted place on the scale."""
    percentile: Floats
    """(n,) percentile rank of each positive in the catalogue, 1 = top (`sampled`); else NaN."""


def score_examples(
    cascade: Cascade,
    reader: FeatureReader,
    examples: pa.Table,
    rows: Rows,
    dataset: DatasetConfig,
) -> DayScores:
    """The ranker's scores of `examples`, whose features are `rows`.

    Raises:
        TrainingError: the scorer gave numbers that are not finite.
    """
    logits = finite_logits(cascade.ranker, rows)
    if dataset.labels.kind == "sampled":
        return DayScores(logits, percentile_ranks(cascade, reader, examples, dataset))
    return DayScores(logits, np.full(len(logits), np.nan))


def finite_logits(scorer: TrainedScorer, rows: Rows) -> Floats:
    """(n,) logits of `rows`.

    Raises:
        TrainingError: some are not finite.
    """
    logits = scorer.logits(rows)
    bad = int((~np.isfinite(logits)).sum())
    if bad:
        raise TrainingError(
            f"Scorer {scorer.name!r} gave {bad} of {len(logits)} logits that are not finite. "
            "Its weights are broken. Next: run the day that trained it again (`dayfold status` "
            "tells which): dayfold run --from DAY --to DAY --force"
        )
    return logits


def day_metrics(scores: DayScores, examples: pa.Table, dataset: DatasetConfig) -> dict[str, float]:
    """Every metric of the scores that the day's rows define, by name.

    Where negatives are drawn they set the rate, so that only ranks say something.

    Args:
        scores: of `examples`.
        examples: columns label and user_index.
        dataset: how labels come about.
    """
    if dataset.labels.kind != "sampled":
        labels, users = (examples.column(name).to_numpy() for name in ("label", "user_index"))
        if dataset.labels.kind == "rating":
            return rating_metrics(scores.logits, labels, dataset.labels.rating_scale)
        return score_metrics(scores.logits, labels, users)
    ranked = scores.percentile[~np.isnan(scores.percentile)]
    if not len(ranked):
        return {}
    return {
        "mean_percentile_rank": mean_percentile_rank(ranked),
        "std_percentile_rank": float(ranked.std()),
        "recall_at_1_percent": float((ranked >= 1 - TOP_SHARE).mean()),
    }


def sliced_metrics(
    scores: DayScores,
    examples: pa.Table,
    dataset: DatasetConfig,
    slices: Mapping[str, Bools],
) -> Iterator[tuple[str, float, int]]:
    """Name `METRIC_SLICE`, value and number of rows of each metric of `day_metrics` by slice.

    Args:
        scores: of `examples`.
        examples: as for `day_metrics`.
        dataset: how labels come about.
        slices: (n,) rows by name.
    """
    for name, rows in slices.items():
        part = DayScores(scores.logits[rows], scores.percentile[rows])
        values = day_metrics(part, examples.filter(pa.array(rows)), dataset)
        for metric, value in values.items():
            yield f"{metric}_{name}", value, ranked_rows(part, dataset)


def ranked_rows(scores: DayScores, dataset: DatasetConfig) -> int:
    """How many rows the metrics are over."""
    if dataset.labels.kind != "sampled":
        return len(scores.logits)
    return int((~np.isnan(scores.percentile)).sum())


def nullable(values: Floats) -> pa.Array:
    """`values` as an Arrow column in which NaN is null."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def baseline_metrics(
    reader: FeatureReader, examples: pa.Table, dataset: DatasetConfig, half_life_days: int
) -> list[Metric]:
    """What needs no model: the best constant probability, or decayed popularity where `sampled`.

    Where labels are a `rating`, the mean of the day's own ratings.
    """
    if dataset.labels.kind == "rating":
        labels = examples.column("label").to_numpy()
        constant = np.full(len(labels), logit_of(float(labels.mean())) if len(labels) else 0.0)
        values = rating_metrics(constant, labels, dataset.labels.rating_scale)
        return [Metric("mean_rating", name, values[name], len(labels)) for name in values]
    if dataset.labels.kind != "sampled":
        loss = constant_log_loss(examples.column("label").to_numpy())
        return [Metric("base_rate", "log_loss", loss, examples.num_rows)]
    ranks = popularity_percentile_ranks(reader, examples, half_life_days)
    said = DayScores(ranks, ranks)
    n = ranked_rows(said, dataset)
    values = day_metrics(said, examples, dataset)
    subject = f"popularity_h{half_life_days}"
    return [Metric(subject, name, value, n) for name, value in values.items()]
