"""A version's model card: what it was made of, how good it was and for whom, what it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from conf.dataset import DatasetConfig

_OVERALL = ("auc", "gauc", "log_loss", "rmse", "mean_percentile_rank", "recall_at_10", "ndcg_at_10")
_SLICED = ("auc_", "log_loss_", "ece_", "rmse_", "mean_percentile_rank_")
_LIMITS = {
    "impressions": "Scores are log-odds of a positive among what was shown: what the log never "
    "showed is judged by its attributes and popularity alone.",
    "threshold": "Scores are log-odds of a rating at or above the threshold among what was rated: "
    "they say nothing of whether somebody would take the item up.",
    "sampled": "Negatives were drawn: scores order items, and are no probabilities.",
    "rating": "Scores are log-odds of a rating's place on the scale, among what was rated.",
}


def model_card(
    dataset: DatasetConfig,
    tags: Mapping[str, object],
    evaluations: Sequence[Mapping[str, Any]],
    *,
    name: str,
    users: int,
    items: int,
) -> str:
    """Markdown.

    Args:
        dataset: that it was trained on.
        tags: of the version: ds, scorer, parent, training_days, blocked_days, vocabulary_day.
        evaluations: rows of table `evaluations` of the version's scorer and day.
        name: what answers call the version.
        users: whom it knows.
        items: that it can recall.
    """
    overall = [row for row in evaluations if row["metric"] in _OVERALL]
    slices = [
        row
        for row in evaluations
        if row["metric"].startswith(_SLICED) and row["metric"].endswith(("_users", "_items"))
    ]
    parts = [
        f"# {name}",
        f"A recommender of dataset `{dataset.name}`: a retriever recalls items of the whole "
        f"catalogue, `{tags['scorer']}` ranks them.",
        "## Data",
        _table(
            ("what", "value"),
            [
                ("trained on the days", tags["training_days"]),
                ("of them left out, as blocked", tags["blocked_days"]),
                ("tested on the day, which it has not seen", tags["ds"]),
                ("vocabulary as of the end of", tags["vocabulary_day"]),
                ("continues version", tags["parent"] or "none, trained from nothing"),
                ("users known, as of the end of the test day", f"{users:,}"),
                ("items it can recall", f"{items:,}"),
                ("labels", dataset.labels.kind),
            ],
        ),
        "## How good, on the test day",
        _metrics(overall),
        "## For whom",
        _metrics(slices),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(dataset)),
    ]
    return "\n\n".join(parts) + "\n"


def _limits(dataset: DatasetConfig) -> list[str]:
    attributes = ", ".join(a.name for a in dataset.user_attributes) or "none is declared"
    return [
        _LIMITS[dataset.labels.kind],
        f"A user whom it does not know is served by profile ({attributes}) and by the history of "
        "the request; without both, by popularity.",
        "Counts and histories are those at the end of the test day: what happened since is known "
        "only as far as the request says it.",
        "It was compared with the version before it, not with people: the gate's evidence is in "
        "its MLflow run.",
    ]


def _metrics(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Nothing was measured."
    return _table(
        ("metric", "this version", "the one it continues"),
        [
            (row["metric"], _number(row["value"]), _number(row["head_value"]))
            for row in sorted(rows, key=lambda row: str(row["metric"]))
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
