"""One number in the formats of tensor cores: which of its bits each of them keeps."""

from __future__ import annotations

import struct

from IPython.display import Image
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page

FRACTION = {"float32": 23, "TF32": 10, "BF16": 7}  # bits; each has a sign and 8 bits of exponent
INPUT = "#f4b65f"  # as in reuse_map: lighter than KERNEL in grey, too
_LEFT, _CELL, _ROW = 1.0, 0.205, 0.5  # inches


def number_formats(value: float, title: str = "") -> Image:
    """Draw the bits of `value` in float32, TF32 and BF16, rounded to nearest, a row each.

    Args:
        value: any number that float32 can hold.
        title: a line above the picture.

    Halfway cases go as the GPU's conversions do: TF32's away from zero, BF16's to even.
    """
    rows = {name: _bits(value, fraction) for name, fraction in FRACTION.items()}
    width = _LEFT + 32 * _CELL + 1.7
    height = _ROW * len(rows) + 0.75 + (0.3 if title else 0)
    figure, axes = page(width, height)
    top = height - 0.1
    if title:
        axes.text(0.12, top, title, fontsize=10, fontweight="bold", color=INK, va="top")
        top -= 0.3
    for left, wide, name in ((0, 1, "sign"), (1, 8, "exponent"), (9, 23, "fraction")):
        x = _LEFT + (left + wide / 2) * _CELL
        axes.text(x, top, name, fontsize=7.5, color=SOFT, ha="center", va="top")
    for name, bits in rows.items():
        top -= _ROW
        _draw(axes, name, bits, FRACTION[name], top)
    note = "light cells: bits that the format does not have"
    axes.text(_LEFT, 0.12, note, fontsize=7, color=SOFT, va="bottom")
    said = "; ".join(
        f"{name}: 1 bit of sign, 8 of exponent, {FRACTION[name]} of fraction, {_number(bits)}"
        for name, bits in rows.items()
    )
    return image(figure, (f"{title}: " if title else "") + said + ".")


def _bits(value: float, fraction: int) -> int:
    """The float32 bits of `value` rounded to so many bits of fraction."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    dropped = 23 - fraction
    if dropped == 0:
        return bits
    half = 1 << dropped - 1
    if fraction == FRACTION["BF16"]:
        half += (bits >> dropped & 1) - 1
    return (bits + half) >> dropped << dropped


def _number(bits: int) -> str:
    return f"{struct.unpack('<f', struct.pack('<I', bits))[0]:.9g}"


def _draw(axes, name: str, bits: int, fraction: int, bottom: float) -> None:
    height = 0.3
    middle = bottom + height / 2
    axes.text(_LEFT - 0.12, middle, name, fontsize=9, color=INK, ha="right", va="center")
    for place in range(32):
        kept = place < 9 + fraction
        face = (KERNEL if place == 0 else INPUT if place < 9 else "#9cc3e6") if kept else UNTOUCHED
        x = _LEFT + place * _CELL
        axes.add_patch(Rectangle((x, bottom), _CELL * 0.92, height, facecolor=face))
        if kept:
            ink = PAPER if place == 0 else INK
            text = str(bits >> 31 - place & 1)
            axes.text(x + _CELL * 0.46, middle, text, fontsize=7.5, color=ink, ha="center", va="center")
    axes.text(_LEFT + 32 * _CELL + 0.12, middle, _number(bits), fontsize=8.5, color=INK, va="center")
