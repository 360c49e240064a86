"""AUC of scores that lie in several places: each gives two histograms, and these are added.

Partitions of a table, ranks of a training or days of a period need not send their scores: what they
send is counts, whose sum does not depend on the order of adding. Pure NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.scoring.metrics import Bools, Floats, Ints, sigmoid

BINS = 1 << 20
"""Of equal width over the probability: scores of one bin count as equal."""


@dataclass(frozen=True)
class Histogram:
    """Counts of negatives and of positives by bin of their score."""

    negatives: Ints
    """(bins,)."""
    positives: Ints
    """(bins,)."""

    @classmethod
    def of(cls, logits: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS) -> Histogram:
        """The histogram of log-odds (n,), by their probability; a label above 0 is positive.

        Raises:
            ValueError: a score is NaN, or there are not as many labels as scores.
        """
        return cls.of_shares(sigmoid(logits), labels, bins)

    @classmethod
    def of_shares(cls, scores: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS) -> Histogram:
        """The histogram of scores between 0 and 1 (n,), such as probabilities.

        Raises:
            ValueError: a score is NaN or not between 0 and 1, or labels are more or fewer.
        """
        shares: Floats = np.asarray(scores, dtype=np.float64)
        positive: Bools = np.asarray(labels, dtype=np.float64) > 0
        if shares.shape != positive.shape:
            raise ValueError(f"labels: {positive.shape}, expected as many as scores {shares.shape}")
        wrong = ~((shares >= 0) & (shares <= 1))
        if wrong.any():
            raise ValueError(f"score {shares[wrong][0]}: expected a number from 0 to 1")
        place = np.minimum((shares * bins).astype(np.int64), bins - 1)
        negatives, positives = (
            np.bincount(place[rows], minlength=bins) for rows in (~positive, positive)
        )
        return cls(negatives, positives)

    @classmethod
    def empty(cls, bins: int = BINS) -> Histogram:
        """The histogram of nothing."""
        return cls(np.zeros(bins, dtype=np.int64), np.zeros(bins, dtype=np.int64))

    def merged(self, other: Histogram) -> Histogram:
        """The histogram of both sets of scores.

        Raises:
            ValueError: they have not as many bins.
        """
        if len(self.negatives) != len(other.negatives):
            raise ValueError(
                f"histograms of {len(self.negatives)} and {len(other.negatives)} bins cannot be "
                "added: expected as many"
            )
        return Histogram(self.negatives + other.negatives, self.positives + other.positives)

    def auc(self) -> float:
        """The share of (positive, negative) pairs in which the positive scores higher.

        Pairs within one bin count one half, as ties do. NaN without both classes.
        """
        pairs = float(self.negatives.sum()) * float(self.positives.sum())
        if not pairs:
            return float("nan")
        below = np.cumsum(self.negatives) - self.negatives
        return float(self.positives @ (below + self.negatives / 2)) / pairs

    def error_bound(self) -> float:
        """How far `auc` may be from the AUC of the scores: half the pairs within bins."""
        pairs = float(self.negatives.sum()) * float(self.positives.sum())
        within = float(self.negatives.astype(np.float64) @ self.positives)
        return within / 2 / pairs if pairs else float("nan")


def merged(histograms: Iterable[Histogram], bins: int = BINS) -> Histogram:
    """The histogram of all of them; they are added one by one, so that few are held at once."""
    total = Histogram.empty(bins)
    for histogram in histograms:
        total = total.merged(histogram)
    return total
