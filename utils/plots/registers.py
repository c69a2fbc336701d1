"""A thread's register tile: the numbers that it reads against the products that it makes of them."""

from __future__ import annotations

from IPython.display import Image
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, SOFT, UNTOUCHED, image, page
from utils.plots.words import counted

INPUT = "#f4b65f"  # lighter than KERNEL, the weights' colour, in grey too
MOST = 16  # channels or pixels of a tile
_CELL, _SIDE, _GAP = 0.2, 0.78, 0.55  # inches


def reuse_map(*tiles: tuple[int, int], title: str = "") -> Image:
    """Draw register tiles side by side: weights at the left, inputs on top, a product where two meet.

    Args:
        tiles: (channels, pixels) of one thread, each 1 to 16.
        title: a line above the picture.

    For one tap of the filter a thread reads a weight for each of its output channels and an input for each of
    its pixels, and multiplies each with each.

    Raises:
        ValueError: no tile, or one that is too large to draw.
    """
    if not tiles:
        raise ValueError("reuse_map needs at least one tile, (channels, pixels)")
    for tile in tiles:
        if len(tile) != 2 or not all(isinstance(n, int) and 1 <= n <= MOST for n in tile):
            raise ValueError(f"a tile is (channels, pixels), each from 1 to {MOST}, not {tile!r}")
    widths = [max(_SIDE + _CELL * (pixels + 1.5), 2.3) for _, pixels in tiles]
    tall = _CELL * (max(channels for channels, _ in tiles) + 1.5)
    width = sum(widths) + _GAP * (len(tiles) - 1) + 0.3
    height = tall + 1.3 + (0.3 if title else 0)
    figure, axes = page(width, height)
    top = height - 0.1
    if title:
        axes.text(0.12, top, title, fontsize=10, fontweight="bold", color=INK, va="top")
        top -= 0.3
    left = 0.15
    for (channels, pixels), wide in zip(tiles, widths, strict=True):
        _draw(axes, channels, pixels, left, top - 0.3)
        left += wide + _GAP
    _legend(axes)
    alt = (f"{title}: " if title else "") + "; ".join(_words(*tile) for tile in tiles) + "."
    return image(figure, alt)


def _words(channels: int, pixels: int) -> str:
    tile = f"{counted(channels, 'channel')} x {counted(pixels, 'pixel')}"
    read = f"{counted(channels, 'weight')} and {counted(pixels, 'input')} read"
    made = channels * pixels
    return (
        f"{tile}: {read} for {counted(made, 'product')}, {(channels + pixels) / made:.4g} numbers a product"
    )


def _draw(axes, channels: int, pixels: int, left: float, top: float) -> None:
    """One tile, with its heading above and its sums below."""

    def box(column: float, row: float, face: str) -> None:
        corner = (x + _CELL * column, top - _CELL * (row + 1))
        axes.add_patch(Rectangle(corner, 0.9 * _CELL, 0.9 * _CELL, facecolor=face, edgecolor="none"))

    x = left + _SIDE
    heading = f"{channels} x {pixels}: {counted(channels, 'channel')}, {counted(pixels, 'pixel')}"
    axes.text(left, top + 0.12, heading, fontsize=8.5, color=INK, va="bottom")
    for pixel in range(pixels):
        box(1.25 + pixel, 0, INPUT)
    for channel in range(channels):
        box(0, 1.25 + channel, KERNEL)
        for pixel in range(pixels):
            box(1.25 + pixel, 1.25 + channel, UNTOUCHED)
            middle = (x + _CELL * (1.7 + pixel), top - _CELL * (1.8 + channel))
            axes.text(*middle, "×", fontsize=7, color=INK, ha="center", va="center")
    bottom = top - _CELL * (channels + 1.25)
    names = [("inputs", top - _CELL / 2), ("weights", top - _CELL * (1.2 + channels / 2))]
    for name, y in names:
        axes.text(x - 0.08, y, name, fontsize=7.5, color=INK, ha="right", va="center")
    made = channels * pixels
    numbers = f"{channels} + {pixels} = {channels + pixels} numbers read"
    axes.text(left, bottom - 0.12, numbers, fontsize=8, color=INK, va="top")
    products = f"{counted(made, 'product')}: {(channels + pixels) / made:.4g} numbers each"
    axes.text(left, bottom - 0.28, products, fontsize=8, color=INK, va="top")


def _legend(axes) -> None:
    x = 0.15
    for face, name in (
        (KERNEL, "weight, read"),
        (INPUT, "input, read"),
        (UNTOUCHED, "product, in a register"),
    ):
        axes.add_patch(Rectangle((x, 0.11), 0.13, 0.13, facecolor=face))
        axes.text(x + 0.19, 0.175, name, fontsize=7, color=SOFT, va="center")
        x += 1.05
