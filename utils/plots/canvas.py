"""What all pictures share: the colours, and how a figure becomes an image with words for it."""

from __future__ import annotations

import io
from collections.abc import Sequence

from IPython.display import Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Picture

INK, SOFT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"
KERNEL, RIVAL, UNTOUCHED = "#1f6fb2", "#c9c9c9", "#ececec"  # dark, middle and light in grey, too
_DPI = 200


def image(figure: Figure, alt: str) -> Image:
    """The finished figure as a PNG on white with alt text; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    drawn, data = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=PAPER)
    # A palette makes the file a third as large, which is what a notebook's diff shows.
    Picture.open(drawn).convert("RGB").quantize(64, dither=Picture.Dither.NONE).save(data, format="png")
    return Image(data.getvalue(), format="png", width=round(figure.get_figwidth() * _DPI / 2), alt=alt)


def page(width: float, height: float, *, downwards: bool = False):
    """(figure, axes) of a drawing: the axes fill the figure, and count inches from its lower left corner.

    `downwards`: from the upper left one.
    """
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(*((height, 0) if downwards else (0, height)))
    axes.axis("off")
    return figure, axes


def chart_axes(figure: Figure, box: Sequence[float]):
    """Axes for a chart, in `box` (left, bottom, width, height as parts of the figure)."""
    axes = figure.add_axes(box)
    axes.tick_params(colors=INK, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes
