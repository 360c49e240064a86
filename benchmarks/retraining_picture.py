"""The picture of `dayfold bench retraining` in the README: quality and cost over days, by policy.

    dayfold bench retraining_picture

Reads benchmarks/results/retraining.json and writes docs/retraining.png.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import RESULTS
from benchmarks.retraining import PLANTED, POLICIES
from training.plots.canvas import COLOURS, GREY, PROMOTED, new_figure, plain, save

PICTURE = Path(__file__).parent.parent / "docs" / "retraining.png"
_WORDS = {
    "taste": "users like\nother things",
    "ctr": "fewer clicks",
    "covariate": "other users\n(no change to learn)",
}
_PANELS = {
    "auc": "AUC of what serves, on the day before it is learned: mean of three days",
    "log_loss": "log loss of the same: lower is better",
    "cpu_seconds": "CPU-seconds of training so far",
}
_AVERAGED = 3
_EVERY = 3


def draw(rows: list[dict[str, Any]]) -> Any:
    """A Matplotlib figure: a panel per thing that is compared, a line per policy."""
    days = sorted({row["ds"] for row in rows})
    place = np.arange(len(days))
    figure = new_figure(9.5, 7.2, bottom=0.8)
    axes = dict(zip(_PANELS, figure.subplots(3, 1, sharex=True), strict=True))
    for policy, colour in zip(POLICIES, COLOURS, strict=False):
        mine = {row["ds"]: row for row in rows if row["policy"] == policy}
        if not mine:
            continue
        for name, axis in axes.items():
            values = np.array([mine[ds][name] for ds in days])
            values = np.cumsum(values) if name == "cpu_seconds" else _averaged(values)
            axis.plot(place, values, color=colour, label=policy)
        if policy == "drift":
            for at in np.flatnonzero([mine[ds]["trained"] for ds in days]):
                axes["cpu_seconds"].axvline(at, color=PROMOTED, alpha=0.5, linewidth=3, zorder=0)
    for name, axis in axes.items():
        plain(axis, _PANELS[name])
        for change in PLANTED:
            axis.axvline(days.index(change.day.isoformat()), color=GREY, linestyle="--")
    for change in PLANTED:
        axes["auc"].annotate(
            _WORDS[change.kind], (days.index(change.day.isoformat()) + 0.2, 0.98),
            xycoords=("data", "axes fraction"), fontsize=8, va="top",
        )  # fmt: skip
    axes["cpu_seconds"].legend(
        fontsize=8, loc="upper left", title="bars: days on which drift trained", title_fontsize=8
    )
    axes["cpu_seconds"].set_xticks(place[::_EVERY], days[::_EVERY], rotation=45, ha="right")
    return figure


def _averaged(values: Any) -> Any:
    """(n,) means of each value and up to two before it."""
    summed = np.cumsum(np.concatenate([[0.0], values]))
    first = np.maximum(np.arange(len(values)) - _AVERAGED + 1, 0)
    last = np.arange(1, len(values) + 1)
    return (summed[last] - summed[first]) / (last - first)


def main() -> None:
    """Write the picture."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    save(draw(json.loads((RESULTS / "retraining.json").read_text())["rows"]), PICTURE)
    print(PICTURE)


if __name__ == "__main__":
    main()
