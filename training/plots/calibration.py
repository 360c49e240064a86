"""Predicted against observed: is what a model calls 10 % clicked one time in ten?

Letters: n rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from training.plots.canvas import COLOURS, GREY, new_figure, plain
from training.scoring.metrics import Floats, sigmoid

GROUPS = 12
"""Groups of rows of one model, of about equal size, by its own scores."""
CONFIDENCE = 0.95
_BARS = 30


@dataclass(frozen=True)
class Calibration:
    """One model's groups, ascending by what it predicted; arrays are (groups,)."""

    predicted: Floats
    """Mean prediction."""
    observed: Floats
    """Mean label."""
    low: Floats
    high: Floats
    """The interval of the observed rate."""
    rows: Floats


def calibration_of(logits: Floats, labels: Floats, groups: int = GROUPS) -> Calibration:
    """The groups of a model's rows.

    Where labels are 0 or 1 the interval is the exact one of a binomial share (Clopper and Pearson
    1934), else that of a mean by its standard error. Equal scores stay in one group.

    Args:
        logits: (n,) log-odds, or of a place on the scale of ratings.
        labels: (n,) 0 to 1.
        groups: most groups.
    """
    p = sigmoid(logits)
    y = np.asarray(labels, dtype=np.float64)
    values, where, counts = np.unique(p, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    raw = np.minimum((middle / max(len(p), 1) * groups).astype(np.int64), groups - 1)
    group = np.unique(raw, return_inverse=True)[1][where] if len(values) else where
    rows = np.bincount(group).astype(np.float64)
    observed = np.bincount(group, y) / rows
    binary = bool(np.isin(y, (0.0, 1.0)).all())
    spread = np.bincount(group, (y - observed[group]) ** 2) / np.maximum(rows - 1, 1)
    low, high = _binomial(observed * rows, rows) if binary else _mean(observed, spread, rows)
    return Calibration(np.bincount(group, p) / rows, observed, low, high, rows)


def draw_calibration(models: Mapping[str, tuple[Floats, Floats]]) -> Any | None:
    """Models beside the diagonal, and the histogram of their predictions below.

    Args:
        models: logits (n,) and labels (n,) by name; those without rows are left out.

    Returns:
        A Matplotlib figure; None where no model has rows.
    """
    models = {name: rows for name, rows in models.items() if len(rows[0])}
    if not models:
        return None
    figure = new_figure(7.5, 6.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    furthest = 0.0
    for colour, (name, (logits, labels)) in zip(COLOURS, models.items(), strict=False):
        found = calibration_of(logits, labels)
        reach = [found.observed - found.low, found.high - found.observed]
        above.errorbar(
            found.predicted,
            found.observed,
            np.maximum(reach, 0.0),
            color=colour,
            marker="o",
            markersize=3.5,
            linewidth=1.3,
            elinewidth=0.7,
            capsize=2,
            label=f"{name}: observed / expected {_over(labels, logits):.3f}",
        )
        shown = np.quantile(sigmoid(logits), 0.99)
        furthest = max(furthest, float(found.high.max()), float(shown))
    edge = min(1.0, furthest * 1.05)
    above.plot([0, edge], [0, edge], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    bars = np.linspace(0.0, edge, _BARS + 1)
    for colour, (logits, _) in zip(COLOURS, models.values(), strict=False):
        counts = np.histogram(np.minimum(sigmoid(logits), edge), bars)[0]
        below.stairs(counts / len(logits), bars, color=colour, linewidth=1.2)
    plain(above, f"Predicted against observed: {GROUPS} groups of equal size, 95 % intervals")
    plain(below)
    above.set_ylabel("observed mean label")
    above.legend(fontsize=8, loc="upper left")
    below.set_ylabel("share of rows")
    below.set_xlabel("predicted")
    below.set_xlim(0, edge)
    return figure


def _binomial(hits: Floats, rows: Floats) -> tuple[Floats, Floats]:
    tail = (1 - CONFIDENCE) / 2
    low = beta.ppf(tail, np.maximum(hits, 0.5), rows - hits + 1)
    high = beta.ppf(1 - tail, hits + 1, np.maximum(rows - hits, 0.5))
    return np.where(hits == 0, 0.0, low), np.where(hits == rows, 1.0, high)


def _mean(mean: Floats, variance: Floats, rows: Floats) -> tuple[Floats, Floats]:
    reach = 1.96 * np.sqrt(variance / rows)
    return mean - reach, mean + reach


def _over(labels: Floats, logits: Floats) -> float:
    return float(np.sum(labels)) / max(float(sigmoid(logits).sum()), 1e-9)
