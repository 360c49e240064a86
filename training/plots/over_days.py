"""Metrics over days: who served, what wanted to, and when the champion changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.plots.canvas import COLOURS, GREY, PROMOTED, new_figure, plain

Lines = Mapping[str, Mapping[str, float]]
"""Name of what is measured to its value by day."""
CHAMPION = "champion"
_MARKERS = "sD^vP"
_MOST_TICKS = 14
_TITLES = {
    "auc": "AUC",
    "observed_expected": "observed / expected",
    "rmse": "RMSE",
    "mae": "MAE",
    "recall_at_1_percent": "recall at 1 %",
}
_WANTED = {"observed_expected": 1.0, "mean_error": 0.0}
"""What an unbiased model has."""


def draw_over_days(
    days: Sequence[str], panels: Mapping[str, Lines], promotions: Mapping[str, int]
) -> Any | None:
    """One panel per metric: the champion as a line, candidates as marks.

    Args:
        days: all days of the chart, ascending; those without a value stay empty.
        panels: by metric as tables call it, what to draw; a panel without a value is left out.
        promotions: the version by the day that promoted it.

    Returns:
        A Matplotlib figure; None where there is nothing to draw.
    """
    panels = {metric: lines for metric, lines in panels.items() if any(lines.values())}
    if not panels:
        return None
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    candidates = [name for name in names if name != CHAMPION]
    figure = new_figure(9.5, 1.2 + 1.9 * len(panels), right=2.2, bottom=0.8)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    place = np.arange(len(days))
    for axis, (metric, lines) in zip(axes, panels.items(), strict=True):
        for day, _ in promotions.items():
            if day in days:
                axis.axvline(days.index(day), color=PROMOTED, alpha=0.6, linewidth=2.5, zorder=0)
        for name, values in lines.items():
            series = [values.get(day, np.nan) for day in days]
            axis.plot(place, series, **_style(name, candidates))
        if metric in _WANTED:
            axis.axhline(_WANTED[metric], color=GREY, linestyle="--", linewidth=1, zorder=0)
        plain(axis, _TITLES.get(metric, metric.replace("_", " ")))
    top, bottom = axes[0], axes[-1]
    top.set_title(top.get_title(loc="left"), loc="left", fontsize=10, pad=14)
    for day, version in promotions.items():
        if day in days:
            top.annotate(
                f"v{version}", (days.index(day), 1), xycoords=("data", "axes fraction"),
                ha="center", va="bottom", fontsize=7, color="#8a5a1c", annotation_clip=False,
            )  # fmt: skip
    every = -(-len(days) // _MOST_TICKS)
    bottom.set_xticks(place[::-every][::-1], list(days[::-every][::-1]), rotation=45, ha="right")
    top.legend(*_legend(axes), fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _style(name: str, candidates: Sequence[str]) -> dict[str, Any]:
    if name == CHAMPION:
        return {"color": COLOURS[0], "linewidth": 1.6, "marker": "o", "markersize": 3.5,
                "label": "champion, before training"}  # fmt: skip
    number = candidates.index(name)
    return {
        "color": COLOURS[1 + number % (len(COLOURS) - 1)],
        "linestyle": "none",
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 5,
        "alpha": 0.85,
        "label": name,
    }


def _legend(axes: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Each name once, and what the bars mean."""
    from matplotlib.lines import Line2D

    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found["promoted (its version above)"] = Line2D([], [], color=PROMOTED, linewidth=2.5)
    return list(found.values()), list(found)
