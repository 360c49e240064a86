"""What one scorer says of the day's examples, and how good that was."""

from __future__ import annotations

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
    Floats,
    Metric,
    constant_log_loss,
    mean_percentile_rank,
    score_metrics,
)

if TYPE_CHECKING:
    from training.features.reader import FeatureReader
    from training.scorers.trained import TrainedScorer

TOP_SHARE = 0.01


@dataclass(frozen=True)
class DayScores:
    """Scores of the day's examples, aligned with them."""

    logits: Floats
    """(n,) log-odds; a score without calibration where labels are `sampled`."""
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


def day_metrics(scores: DayScores, labels: Floats, dataset: DatasetConfig) -> dict[str, float]:
    """Every metric of the scores that the day's rows define, by name.

    Where negatives are drawn they set the rate, so that only ranks say something.
    """
    if dataset.labels.kind != "sampled":
        return score_metrics(scores.logits, labels)
    ranked = scores.percentile[~np.isnan(scores.percentile)]
    if not len(ranked):
        return {}
    return {
        "mean_percentile_rank": mean_percentile_rank(ranked),
        "recall_at_1_percent": float((ranked >= 1 - TOP_SHARE).mean()),
    }


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
    """What needs no model: the best constant probability, or decayed popularity where `sampled`."""
    if dataset.labels.kind != "sampled":
        loss = constant_log_loss(examples.column("label").to_numpy())
        return [Metric("base_rate", "log_loss", loss, examples.num_rows)]
    ranks = popularity_percentile_ranks(reader, examples, half_life_days)
    said = DayScores(ranks, ranks)
    n = ranked_rows(said, dataset)
    values = day_metrics(said, examples.column("label").to_numpy(), dataset)
    subject = f"popularity_h{half_life_days}"
    return [Metric(subject, name, value, n) for name, value in values.items()]
