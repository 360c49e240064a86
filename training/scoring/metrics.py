"""Metrics of scores against final labels, and of rankings. Pure NumPy.

Letters: n examples, U users, W positions of a ranking. A metric that its rows do not define (one
class only, no rows) is NaN; whoever writes it to a table leaves it out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Metric:
    """One row of `daily_metrics`."""

    subject: str
    name: str
    value: float
    n: int


# ---- scores against labels ---------------------------------------------------------------------


def sigmoid(logits: npt.ArrayLike) -> Floats:
    """The probability of each logit; exact to rounding, without overflow at either end."""
    z = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, small) / (1.0 + small))


def logit_of(probability: float) -> float:
    """The log-odds of `probability`; -inf at 0 and +inf at 1."""
    with np.errstate(divide="ignore"):
        return float(np.log(probability) - np.log1p(-probability))


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The share of (positive, negative) pairs in which the positive scores higher.

    Exact, from ranks: ties count one half. NaN without both classes.
    """
    s = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=np.float64) > 0
    positives = int(positive.sum())
    negatives = len(s) - positives
    if not positives or not negatives:
        return float("nan")
    _, group, counts = np.unique(s, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(middle_rank[group[positive]].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_losses(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """The binary cross-entropy of each row in nats, (n,); labels may lie between 0 and 1."""
    z = np.asarray(logits, dtype=np.float64)
    y = np.asarray(labels, dtype=np.float64)
    return np.asarray(np.maximum(z, 0.0) - z * y + np.log1p(np.exp(-np.abs(z))))


def log_loss(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The mean binary cross-entropy in nats."""
    losses = log_losses(logits, labels)
    return float(losses.mean()) if len(losses) else float("nan")


def constant_log_loss(labels: npt.ArrayLike) -> float:
    """The log loss of the best constant: the entropy of the labels' own mean, in nats.

    No real constant does better, since it would have to be known before the day.
    """
    y = np.asarray(labels, dtype=np.float64)
    if not len(y):
        return float("nan")
    rates = np.array([y.mean(), 1.0 - y.mean()])
    rates = rates[rates > 0]
    return float(abs((rates * np.log(rates)).sum()))


def calibration_error(
    logits: npt.ArrayLike, labels: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> float:
    """The expected calibration error, from 0 to 1.

    `bins` bins of equal width over the probability, each left-closed (1 belongs to the last);
    |mean label - mean probability| of each bin, weighted by its share of the rows.
    """
    p = sigmoid(logits)
    y = np.asarray(labels, dtype=np.float64)
    if not len(p):
        return float("nan")
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(which, weights=y - p, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def observed_expected(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Positives that came over positives that were predicted; 1 is calibrated in the large."""
    expected = float(sigmoid(logits).sum())
    return (
        float(np.asarray(labels, dtype=np.float64).sum()) / expected if expected else float("nan")
    )


@dataclass(frozen=True)
class Classification:
    """Shares at one threshold; precision without a predicted positive, and so on, is NaN."""

    accuracy: float
    precision: float
    recall: float
    f1: float


def classification(
    logits: npt.ArrayLike, labels: npt.ArrayLike, threshold: float
) -> Classification:
    """Accuracy, precision, recall and F1 when a logit above `threshold` says positive."""
    said = np.asarray(logits, dtype=np.float64) > threshold
    true = np.asarray(labels, dtype=np.float64) > 0
    hits = int((said & true).sum())
    return Classification(
        accuracy=_ratio(int((said == true).sum()), len(true)),
        precision=_ratio(hits, int(said.sum())),
        recall=_ratio(hits, int(true.sum())),
        f1=_ratio(2 * hits, int(said.sum()) + int(true.sum())),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def score_metrics(logits: npt.ArrayLike, labels: npt.ArrayLike) -> dict[str, float]:
    """Every metric of log-odds against labels, by name; those that are not defined are left out.

    Accuracy, precision, recall and F1 are at the threshold of the rows' own base rate.
    """
    y = np.asarray(labels, dtype=np.float64)
    base_rate = float(y.mean()) if len(y) else float("nan")
    at_base_rate = classification(logits, labels, logit_of(base_rate))
    values = {
        "auc": auc(logits, labels),
        "log_loss": log_loss(logits, labels),
        "ece": calibration_error(logits, labels),
        "observed_expected": observed_expected(logits, labels),
        **asdict(at_base_rate),
    }
    return {name: value for name, value in values.items() if not np.isnan(value)}


# ---- rankings ----------------------------------------------------------------------------------


def recall_at_k(hits: Bools, relevant: Ints, k: int) -> float:
    """The share of all relevant items that stand in the first `k` positions (micro average).

    Args:
        hits: (U, W), whether the item in each position of a user's ranking is relevant.
        relevant: (U,), how many items are relevant to each user, ranked or not.
        k: positions looked at.
    """
    return _ratio(float(hits[:, :k].sum()), float(relevant.sum()))


def ndcg_at_k(hits: Bools, relevant: Ints, k: int) -> float:
    """The mean over users of DCG@k over the best DCG@k they could have (gain 1, log2 discount).

    Users without a relevant item are left out. Arguments as in `recall_at_k`.
    """
    if not (relevant > 0).any():
        return float("nan")
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    first = hits[relevant > 0, :k]
    gained = first @ discounts[: first.shape[1]]
    best = np.cumsum(discounts)[np.minimum(relevant[relevant > 0], k) - 1]
    return float((gained / best).mean())


def mean_reciprocal_rank(hits: Bools, relevant: Ints) -> float:
    """The mean over users of 1 / position of the first relevant item; 0 where there is none.

    Users without a relevant item are left out. Arguments as in `recall_at_k`.
    """
    rows = hits[relevant > 0]
    if not len(rows):
        return float("nan")
    first = rows.argmax(axis=1) + 1 if rows.shape[1] else np.ones(len(rows))
    return float(np.where(rows.any(axis=1), 1.0 / first, 0.0).mean())


def percentile_rank(below: npt.ArrayLike, equal: npt.ArrayLike, size: int) -> Floats:
    """Where an item stands in its catalogue: 1 = top, 0 = bottom; ties stand in their middle.

    Args:
        below: items of the catalogue that score lower.
        equal: other items of the catalogue that score the same.
        size: items in the catalogue, the item itself included; alone it stands at 1.
    """
    beaten = np.asarray(below, dtype=np.float64) + np.asarray(equal, dtype=np.float64) / 2
    return beaten / (size - 1) if size > 1 else np.ones_like(beaten)


def mean_percentile_rank(ranks: npt.ArrayLike) -> float:
    """The mean percentile rank of the positives that have one (NaN = not in the catalogue)."""
    values = np.asarray(ranks, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
