"""What is compared row by row, whatever the labels: a loss, smaller is better."""

from __future__ import annotations

from conf.dataset import DatasetConfig
from training.scoring.day_scores import DayScores
from training.scoring.metrics import Floats, log_losses, squared_errors


def losses_of(scores: DayScores, labels: Floats, dataset: DatasetConfig) -> Floats:
    """(n,) log loss; squared error of a `rating`'s place; 1 - percentile rank where `sampled`."""
    if dataset.labels.kind == "sampled":
        return 1 - scores.percentile
    if dataset.labels.kind == "rating":
        return squared_errors(scores.logits, labels)
    return log_losses(scores.logits, labels)


def loss_name(dataset: DatasetConfig) -> str:
    """What `losses_of` gives, in words."""
    kinds = {"sampled": "1 - percentile rank", "rating": "squared error of the place on the scale"}
    return kinds.get(dataset.labels.kind, "log loss")
