"""Which input fields move a candidate's scores, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.plots.canvas import COLOURS, GREY, new_figure, plain

MOST = 20
"""Fields of one picture; those that add least are left out."""
_INCHES = 0.068
"""Width of one letter of a label."""


def draw_attributions(fields: Sequence[tuple[str, float, float]], rows: int) -> Any | None:
    """One bar per field, what adds most at the top; a dot marks the mean with its sign.

    Args:
        fields: name, mean of the absolute share of the logit, mean of the share; the largest first.
        rows: how many were explained.

    Returns:
        A Matplotlib figure; None without fields.
    """
    shown = list(reversed(fields[:MOST]))
    if not shown:
        return None
    left = 0.3 + _INCHES * max(len(name) for name, _, _ in shown)
    figure = new_figure(left + 4.6, 1.3 + 0.24 * len(shown), left=left, bottom=0.6)
    axis = figure.subplots()
    places = list(range(len(shown)))
    axis.barh(places, [size for _, size, _ in shown], color=COLOURS[0], alpha=0.75, height=0.7)
    axis.scatter([signed for _, _, signed in shown], places, color=COLOURS[1], s=18, zorder=3)
    axis.axvline(0.0, color=GREY, linewidth=1.2)
    axis.set_yticks(places, [name for name, _, _ in shown])
    axis.set_ylim(-0.7, len(shown) - 0.3)
    plain(axis, "what each field adds to the logit")
    axis.set_xlabel(f"bar: mean without its sign; dot: with it, over {rows:,} rows", fontsize=8)
    return figure
