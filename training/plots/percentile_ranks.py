"""Where the positives stand in the whole catalogue, where negatives are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.plots.canvas import COLOURS, GREY, new_figure, plain
from training.scoring.metrics import Floats

_BARS = 25


def draw_percentile_ranks(models: Mapping[str, Floats]) -> Any | None:
    """The share of positives by their percentile rank; a level line is what chance gives.

    Args:
        models: (n,) percentile ranks by name, 1 = top; NaN = not ranked.

    Returns:
        A Matplotlib figure; None where nothing was ranked.
    """
    ranked = {name: ranks[~np.isnan(ranks)] for name, ranks in models.items()}
    ranked = {name: ranks for name, ranks in ranked.items() if len(ranks)}
    if not ranked:
        return None
    figure = new_figure(7.5, 4.2)
    axis = figure.subplots()
    edges = np.linspace(0.0, 1.0, _BARS + 1)
    for colour, (name, ranks) in zip(COLOURS, ranked.items(), strict=False):
        shares = np.histogram(ranks, edges)[0] / len(ranks)
        label = f"{name}: mean {ranks.mean():.4f} of {len(ranks):,}"
        axis.stairs(shares, edges, color=colour, linewidth=1.4, label=label)
    axis.axhline(1 / _BARS, color=GREY, linestyle="--", linewidth=1, label="by chance")
    plain(axis, "Percentile rank of the positives in the catalogue")
    axis.set_xlim(0, 1)
    axis.set_xlabel("percentile rank, 1 = top")
    axis.set_ylabel("share of positives")
    axis.legend(fontsize=8, loc="upper left")
    return figure
