"""Metrics of scores against final labels. Pure NumPy.

Letter: n examples. A metric that its rows do not define (one class only, no rows) is NaN; whoever
writes it to a table leaves it out.
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


def grouped_auc(
    scores: npt.ArrayLike, labels: npt.ArrayLike, users: npt.NDArray[np.integer]
) -> float:
    """The mean over users of the AUC among their own rows, weighted by the number of those rows.

    It says how well a list of one user is ordered, which differences between users do not touch
    (Zhu et al. 2017, "Optimized cost per click in Taobao display advertising"). Users whose rows
    have one class only are left out; NaN if all are.

    Args:
        scores: (n,).
        labels: (n,); above 0 = positive.
        users: (n,) whose row it is.
    """
    s = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=np.float64) > 0
    _, user = np.unique(users, return_inverse=True)
    order = np.lexsort((s, user))
    s, positive, user = s[order], positive[order], user[order]
    place = np.arange(1, len(s) + 1, dtype=np.float64)
    # Equal scores of a user share their middle place.
    tied = np.ones(len(s), dtype=np.bool_)
    tied[1:] = (s[1:] != s[:-1]) | (user[1:] != user[:-1])
    group = np.cumsum(tied) - 1
    middle = (np.bincount(group, place) / np.bincount(group))[group] if len(s) else place
    rows = np.bincount(user)
    positives = np.bincount(user, positive)
    before = np.cumsum(rows) - rows
    place_sum = np.bincount(user, np.where(positive, middle - before[user], 0.0))
    pairs = positives * (rows - positives)
    won = place_sum - positives * (positives + 1) / 2
    judged = pairs > 0
    return _ratio(
        float((rows[judged] * won[judged] / pairs[judged]).sum()), float(rows[judged].sum())
    )


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


def squared_errors(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """(predicted - given)^2 of each rating, both as places on the scale, 0 to 1, (n,)."""
    return np.asarray((sigmoid(logits) - np.asarray(labels, dtype=np.float64)) ** 2)


def rating_metrics(
    logits: npt.ArrayLike, labels: npt.ArrayLike, scale: tuple[float, float]
) -> dict[str, float]:
    """`rmse`, `mae` and `mean_error` (predicted - given) of ratings, in units of the scale.

    Args:
        logits: (n,) whose logistic function is the predicted place on the scale.
        labels: (n,) places on the scale, 0 to 1.
        scale: lowest and highest rating.
    """
    width = scale[1] - scale[0]
    errors = width * (sigmoid(logits) - np.asarray(labels, dtype=np.float64))
    if not len(errors):
        return {}
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
        "mean_error": float(errors.mean()),
    }


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


def score_metrics(
    logits: npt.ArrayLike, labels: npt.ArrayLike, users: npt.NDArray[np.integer]
) -> dict[str, float]:
    """Every metric of log-odds against labels, by name; those that are not defined are left out.

    Accuracy, precision, recall and F1 are at the threshold of the rows' own base rate.
    """
    y = np.asarray(labels, dtype=np.float64)
    base_rate = float(y.mean()) if len(y) else float("nan")
    at_base_rate = classification(logits, labels, logit_of(base_rate))
    values = {
        "auc": auc(logits, labels),
        "gauc": grouped_auc(logits, labels, users),
        "log_loss": log_loss(logits, labels),
        "ece": calibration_error(logits, labels),
        "observed_expected": observed_expected(logits, labels),
        **asdict(at_base_rate),
    }
    return {name: value for name, value in values.items() if not np.isnan(value)}
