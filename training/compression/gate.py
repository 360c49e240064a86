"""What a variant must show beside the version that it is made of. Pure NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from scipy.stats import spearmanr

from conf.compression import CompressionSettings
from training.features.rows import Rows
from training.promotion.comparison import Comparison
from training.scoring.metrics import Floats, sigmoid


@dataclass(frozen=True)
class Measured:
    """A version or one of its variants on the same rows."""

    name: str
    auc: float
    log_loss: float
    """Nats."""
    size: int
    """Bytes of its file."""
    deflated: int
    """Bytes of its file, compressed."""
    p50: float
    """Milliseconds of a request, median."""
    p99: float
    agreement: float = 1.0
    """Spearman's rank correlation with the version's scores."""
    apart: float = 0.0
    """Mean absolute difference of the probabilities."""


@dataclass(frozen=True)
class Verdict:
    """Whether a variant may take its version's place."""

    passed: bool
    reasons: tuple[str, ...]
    """What it did not show; empty if it passed."""


def agreement(version: Floats, variant: Floats) -> tuple[float, float]:
    """Spearman's correlation of two arrays (n,) of logits; mean difference of probabilities."""
    if np.array_equal(version, variant):
        return 1.0, 0.0
    constant = np.ptp(version) == 0 or np.ptp(variant) == 0
    ranks = 0.0 if constant else float(spearmanr(version, variant).statistic)
    return ranks, float(np.abs(sigmoid(version) - sigmoid(variant)).mean())


def latencies(score: Callable[[Rows], object], request: Rows, number: int) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds, of `number` requests after three others."""
    for _ in range(3):
        score(request)
    seconds = []
    for _ in range(number):
        begun = perf_counter()
        score(request)
        seconds.append(perf_counter() - begun)
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return float(p50), float(p99)


def judged(
    version: Measured, variant: Measured, loss: Comparison, settings: CompressionSettings
) -> Verdict:
    """Whether `variant` agrees, loses nothing that counts, and is smaller or faster.

    Args:
        version: what it is made of.
        variant: the same rows.
        loss: of the variant against the version, by the gate's margin.
        settings: the limits.
    """
    reasons = []
    if variant.agreement < settings.min_agreement:
        reasons.append(
            f"agreement {variant.agreement:.3f}, expected {settings.min_agreement} or more"
        )
    if loss.verdict not in {"superior", "non_inferior"}:
        reasons.append(loss.sentence())
    if variant.p99 > settings.max_p99_ratio * version.p99:
        reasons.append(
            f"p99 {variant.p99:.2f} ms, expected at most {settings.max_p99_ratio} times the "
            f"version's {version.p99:.2f} ms"
        )
    if variant.deflated >= version.deflated and variant.p50 >= version.p50:
        reasons.append(
            f"neither smaller ({variant.deflated:,} of {version.deflated:,} bytes) nor faster "
            f"({variant.p50:.2f} of {version.p50:.2f} ms)"
        )
    return Verdict(not reasons, tuple(reasons))
