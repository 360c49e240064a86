"""Two models on the same rows: a paired bootstrap that draws whole users.

The rows of one user are alike, so users are drawn, not rows. A loss is per row and smaller is
better: the log loss, the squared error of a rating, or, where negatives are drawn, 1 - percentile
rank of the positive.

    difference = mean loss of the candidate - mean loss of the reference
    superior        the interval of the difference ends below 0
    non_inferior    it ends below the margin (a share of the reference's mean loss)
    inconclusive    it holds 0 and is wider than twice the margin
    inferior        none of these

A daily update is no worse if it is superior or non_inferior; if inconclusive, only where it is not
worse on average and a one-sided bound of its own (`gate.inconclusive_confidence`) is within the
margin. The average alone lets through many harmful updates of small days (docs/gate.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from conf.settings import GateSettings

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]
Verdict = Literal["superior", "non_inferior", "inconclusive", "inferior"]

MAX_CLUSTERS = 5_000
"""More users than this are grouped at random into this many clusters, which costs no validity."""
_BLOCK = 50


@dataclass(frozen=True)
class Comparison:
    """A candidate against one reference, on the same rows."""

    reference: str
    rows: int
    users: int
    reference_loss: float
    """Mean loss of the reference."""
    difference: float
    """Mean loss of the candidate minus the reference's; negative = better."""
    low: float
    high: float
    margin: float
    """Largest difference that counts as no worse."""
    verdict: Verdict
    fewest_users: int = 0
    """With fewer it is inconclusive, whatever the interval: it stands on too few people."""
    bound: float = float("inf")
    """One-sided upper bound of the difference: what decides where it is inconclusive."""

    @property
    def no_worse(self) -> bool:
        """Whether a daily update may follow the reference."""
        if self.users < self.fewest_users:
            return False
        if self.verdict == "inconclusive":
            return self.difference <= 0 and self.bound <= self.margin
        return self.verdict in ("superior", "non_inferior")

    @property
    def rows_to_decide(self) -> int:
        """How many rows have an interval of twice the margin: its width falls with their root."""
        width = max(self.high - self.low, 0.0) / (2 * max(self.margin, 1e-12))
        users = self.fewest_users / max(self.users, 1)
        return int(np.ceil(self.rows * max(max(width, 1.0) ** 2, users)))

    def sentence(self) -> str:
        """Which bar, and by how much."""
        rule = ""
        if self.users < self.fewest_users:
            rule = f" ({self.users} users have rows, {self.fewest_users} are needed)"
        elif self.verdict == "inconclusive":
            rule = (
                f" (such an update passes with a difference of at most 0 and a one-sided bound "
                f"within the margin; its bound is {self.bound:+.5f})"
            )
        return (
            f"against {self.reference} the loss changes by {self.difference:+.5f} "
            f"[{self.low:+.5f}, {self.high:+.5f}] from {self.reference_loss:.5f}, "
            f"at most {self.margin:+.5f} is no worse: {self.verdict.replace('_', '-')}{rule}"
        )


def bootstrap_interval(
    user: Integers, difference: Floats, *, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """The interval of the mean of `difference` (n,) when users are drawn with replacement."""
    tail = (1 - confidence) / 2
    means = bootstrap_means(user, difference, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_means(user: Integers, difference: Floats, *, resamples: int, seed: int) -> Floats:
    """(resamples,) means of `difference` (n,) when users are drawn with replacement.

    How often a user is drawn is Poisson(1): the bootstrap whose draws are independent, so that
    sums per user are all it needs.
    """
    _, cluster = np.unique(user, return_inverse=True)
    clusters = int(cluster.max()) + 1
    if clusters > MAX_CLUSTERS:
        cluster = np.random.default_rng([seed, clusters]).integers(0, MAX_CLUSTERS, clusters)[
            cluster
        ]
        clusters = MAX_CLUSTERS
    sums = np.bincount(cluster, weights=difference, minlength=clusters)
    counts = np.bincount(cluster, minlength=clusters).astype(np.float64)
    drawn = _draws(seed, clusters, resamples)
    means = []
    for start in range(0, resamples, _BLOCK):
        times = drawn[start : start + _BLOCK].astype(np.float64)
        means.append(times @ sums / np.maximum(times @ counts, 1.0))
    return np.concatenate(means)


@lru_cache(maxsize=2)
def _draws(seed: int, clusters: int, resamples: int) -> npt.NDArray[np.uint8]:
    """(resamples, clusters) how often each cluster is drawn; a day's comparisons share them."""
    return np.random.default_rng(seed).poisson(1.0, (resamples, clusters)).astype(np.uint8)


def compare(
    reference: str,
    *,
    user: Integers,
    loss: Floats,
    reference_loss: Floats,
    gate: GateSettings,
    seed: int,
    candidates: int = 1,
) -> Comparison:
    """The candidate against `reference`, on the same rows.

    Args:
        reference: what it is called in sentences.
        user: (n,) who each row belongs to.
        loss: (n,) the candidate's loss.
        reference_loss: (n,) the reference's.
        gate: margin, confidence and number of resamples.
        seed: of the resampling.
        candidates: how many are compared that day; the level is divided by it (Bonferroni).
    """
    difference = loss - reference_loss
    means = bootstrap_means(user, difference, resamples=gate.resamples, seed=seed)
    tail = (1 - gate.confidence) / candidates / 2
    low, high, bound = (
        float(value) for value in np.quantile(means, [tail, 1 - tail, gate.inconclusive_confidence])
    )
    mean = float(reference_loss.mean())
    margin = gate.margin * mean
    users = len(np.unique(user))
    return Comparison(
        reference=reference,
        rows=len(loss),
        users=users,
        fewest_users=gate.min_users,
        reference_loss=mean,
        difference=float(difference.mean()),
        low=low,
        high=high,
        margin=margin,
        verdict=_verdict(low, high, margin) if users >= gate.min_users else "inconclusive",
        bound=bound,
    )


def _verdict(low: float, high: float, margin: float) -> Verdict:
    if high < 0:
        return "superior"
    if high <= margin:
        return "non_inferior"
    if low <= 0 and high - low > 2 * margin:
        return "inconclusive"
    return "inferior"
