"""The champion's scores of the day beside those of the days before."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.measures.sketch import BINS, bin_edges
from training.plots.canvas import COLOURS, GREY, new_figure, plain
from training.scoring.metrics import Floats, sigmoid

TOGETHER = 2
"""Bins of the sketch that are drawn as one."""
_OUTSIDE = 0.001
"""Share of the rows that may lie left of what is drawn, and right of it."""
BAND = (0.05, 0.95)
"""Quantiles of the days before, bin by bin."""
_TICKS = 8


def draw_score_histogram(
    today: Floats, before: Floats, *, version: int, probabilities: bool
) -> Any | None:
    """The share of the day's rows by score, and the band in which nine of ten earlier days lay.

    Args:
        today: (BINS,) rows per bin.
        before: (days, BINS) rows per bin of each earlier day, in the terms of the same version.
        version: registered version whose scores they are.
        probabilities: whether a score is the log-odds of a probability.

    Returns:
        A Matplotlib figure; None on a day without rows.
    """
    if not today.sum():
        return None
    edges = bin_edges()[::TOGETHER]
    now = _shares(today[None])[0]
    days = _shares(before[before.sum(axis=1) > 0])
    figure = new_figure(7.5, 4.2)
    axis = figure.subplots()
    if len(days):
        low, high = np.quantile(days, BAND, axis=0)
        axis.stairs(
            high, edges, baseline=low, fill=True, color=GREY, alpha=0.45,
            label=f"{BAND[0]:.0%} to {BAND[1]:.0%} of {len(days)} days before",
        )  # fmt: skip
        axis.stairs(np.median(days, axis=0), edges, color=GREY, label="their median")
    axis.stairs(now, edges, color=COLOURS[0], linewidth=1.6, label=f"today, {today.sum():,.0f}")
    _frame(axis, edges, now + (days.mean(axis=0) if len(days) else 0), probabilities)
    plain(axis, f"Scores of version {version}: today against the days before")
    axis.legend(fontsize=8)
    axis.set_ylabel("share of rows")
    return figure


def _shares(counts: Floats) -> Floats:
    """(days, bins drawn) shares of rows."""
    grouped = counts.reshape(len(counts), BINS // TOGETHER, TOGETHER).sum(axis=2)
    return np.asarray(grouped / np.maximum(grouped.sum(axis=1, keepdims=True), 1))


def _frame(axis: Any, edges: Floats, weight: Floats, probabilities: bool) -> None:
    """Show where the rows are, and name places by probability where they have one."""
    share = np.cumsum(weight) / weight.sum()
    first = int(np.searchsorted(share, _OUTSIDE))
    last = int(np.searchsorted(share, 1 - _OUTSIDE)) + 1
    low, high = float(edges[max(first - 1, 0)]), float(edges[min(last + 1, len(edges) - 1)])
    axis.set_xlim(low, high)
    if probabilities:
        ticks = np.linspace(low, high, _TICKS)
        axis.set_xticks(ticks, [f"{float(sigmoid(tick)):.2g}" for tick in ticks])
        axis.set_xlabel("predicted, on the scale of log-odds")
    else:
        axis.set_xlabel("score")
