"""Figures without pyplot and its state: the same arrays give the same file, byte for byte."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

DPI = 90
SHADES = 128
_TOP = 0.5
"""Inches above the first panel, for its title."""
COLOURS = ("#1f5f99", "#d1701a", "#3b8a4e", "#8a4a9c", "#8c6d3f", "#4d4d4d")
"""Of the first, second, ... thing that a chart compares; the champion is always the first."""
GREY = "#9aa5b1"
PROMOTED = "#e8a04c"


def new_figure(
    width: float, height: float, *, left: float = 0.75, right: float = 0.2, bottom: float = 0.6
) -> Any:
    """An empty figure of `width` x `height` inches with given margins, in inches.

    Given, because laying a figure out by what is in it takes as long as drawing it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - _TOP / height,
        hspace=0.3,
    )
    return figure


def plain(axis: Any, title: str = "") -> None:
    """Give `axis` a light grid, no box, and a title at its left."""
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    if title:
        axis.set_title(title, loc="left", fontsize=10)


def save(figure: Any, path: Path) -> None:
    """Write `figure` as PNG; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure))


def png(figure: Any) -> bytes:
    """`figure` as PNG of SHADES colours, a third of its size in all."""
    import numpy as np
    from PIL import Image

    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    buffer = io.BytesIO()
    image.quantize(SHADES, method=Image.Quantize.FASTOCTREE).save(buffer, "png", optimize=True)
    return buffer.getvalue()
