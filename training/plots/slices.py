"""Where a candidate is better and where worse: its differences by slice, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.plots.canvas import GREY, new_figure, plain
from training.scoring.metrics import Floats
from training.scoring.slice_differences import SliceDifference

MOST = 20
"""Slices by value that one picture holds; those with the fewest rows are left out."""
BETTER, WORSE, EQUAL = "#3b8a4e", "#b3312c", "#4d4d4d"
"""Colours of an interval left of zero, right of it, and on it."""
_FEW_USERS = 30
"""A slice of fewer users does not decide how wide the picture is."""
_INCHES = 0.062
"""Width of one letter of a label."""


def draw_slices(found: Sequence[SliceDifference], *, against: str, loss: str) -> Any | None:
    """One line per slice, the most improved at the top, beside the zero line.

    All rows, and new and seen users and items, are shaded and always there.

    Args:
        found: slices; those without an interval are left out.
        against: what the candidate is compared with, in words.
        loss: what is compared, in words; smaller is better.

    Returns:
        A Matplotlib figure; None where nothing can be compared.
    """
    judged = [one for one in found if one.low is not None]
    by_value = sorted((one for one in judged if "=" in one.name), key=lambda one: -one.rows)
    judged = [one for one in judged if "=" not in one.name] + by_value[:MOST]
    judged.sort(key=lambda one: (-(one.difference or 0.0), one.name))
    if not judged:
        return None
    labels = [f"{_said(one.name)}  ({one.rows:,} rows, {one.users:,} users)" for one in judged]
    left = 0.3 + _INCHES * max(len(label) for label in labels)
    figure = new_figure(left + 5.0, 1.3 + 0.22 * len(judged), left=left, bottom=0.7)
    axis = figure.subplots()
    axis.axvline(0.0, color=GREY, linewidth=1.2)
    for place, one in enumerate(judged):
        if "=" not in one.name:
            axis.axhspan(place - 0.5, place + 0.5, color=GREY, alpha=0.18, linewidth=0)
    places = list(range(len(judged)))
    ends = np.array([(one.low, one.difference, one.high) for one in judged], dtype=np.float64)
    colours = [BETTER if high < 0 else WORSE if low > 0 else EQUAL for low, _, high in ends]
    axis.hlines(places, ends[:, 0], ends[:, 2], color=colours, linewidth=1.4)
    axis.scatter(ends[:, 1], places, color=colours, s=16, zorder=3)
    axis.set_yticks(places, labels)
    axis.set_ylim(-0.7, len(judged) - 0.3)
    plain(axis, f"{loss}: candidate minus {against}; left of zero = better")
    axis.set_xlabel(
        "difference of the mean, 95 % interval over users\n1 of 20 is off zero by chance"
    )
    axis.set_xlim(*_reach(judged, ends))
    return figure


def _reach(judged: Sequence[SliceDifference], ends: Floats) -> tuple[float, float]:
    """The ends of the axis: wide intervals of a few users are cut off, zero is always there."""
    many = np.array([one.users >= _FEW_USERS for one in judged])
    shown = ends[many] if many.any() else ends
    low, high = min(float(shown.min()), 0.0), max(float(shown.max()), 0.0)
    room = 0.08 * (high - low) or 1e-6
    return low - room, high + room


def _said(name: str) -> str:
    return "all rows" if name == "all" else name.replace("_", " ") if "=" not in name else name
