"""The drift tests over days: what was measured, what is normal, and where drift begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.plots.canvas import COLOURS, GREY, PROMOTED, new_figure, plain

TITLES = {
    "label": "log(observed / expected clicks): 0 = as many as predicted",
    "rank": "mean percentile rank of what users took: 1 = always on top",
    "auc": "AUC of the champion: 1 = all that was clicked above all that was not",
    "calibration": "calibration error per click: 0 = every group of scores at its own rate",
    "score": "divergence of the scores from those of the days before: 0 = the same",
}
_MOST_TICKS = 14


def of_the_day(test: Mapping[str, Any]) -> float:
    """What `test` measured of its day: `alone` where its value is of several days."""
    alone = test.get("alone")
    return float(test.get("value", np.nan) if alone is None else alone)


def draw_drift_tests(
    days: Sequence[str],
    tests: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    trained: set[str],
) -> Any | None:
    """One panel per test.

    Args:
        days: all days of the chart, ascending.
        tests: by test, by day: value, normal and threshold; `alone` where the value is of several
            days, the day's own.
        trained: the days that trained.

    Returns:
        A Matplotlib figure; None where no test was made.
    """
    shown = [name for name in TITLES if tests.get(name)]
    if not shown:
        return None
    figure = new_figure(9.5, 1.2 + 1.9 * len(shown), right=0.2, bottom=0.8)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    place = np.arange(len(days))
    for axis, name in zip(axes, shown, strict=True):
        made = tests[name]
        value = np.array([of_the_day(made.get(ds, {})) for ds in days])
        normal, limit = (
            np.array([made.get(ds, {}).get(key, np.nan) for ds in days], dtype=float)
            for key in ("normal", "threshold")
        )
        # a two-sided test has a limit on either side, as far from normal
        other = 2 * normal - limit if name in ("label", "rank") else normal
        other = np.zeros(len(days)) if name in ("score", "calibration") else other
        axis.fill_between(
            place, np.fmin(other, limit), np.fmax(other, limit), color=GREY, alpha=0.3, step="mid",
            label="as usual",
        )  # fmt: skip
        axis.step(place, normal, where="mid", color=GREY, linewidth=1, label="normal")
        axis.plot(place, value, color=COLOURS[0], marker="o", markersize=3, label="the day")
        for position in np.flatnonzero([ds in trained for ds in days]):
            axis.axvline(position, color=PROMOTED, alpha=0.5, linewidth=3, zorder=0)
        plain(axis, TITLES[name])
    axes[0].legend(fontsize=8, loc="upper left")
    step = max(-(-len(days) // _MOST_TICKS), 1)
    axes[-1].set_xticks(place[::step], [days[p] for p in place[::step]], rotation=45, ha="right")
    return figure
