"""How far off sums are, over their length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from IPython.display import Image
from matplotlib.figure import Figure

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, chart_axes, image


def error_chart(
    terms: Sequence[int],
    measured: Mapping[str, Sequence[float]],
    bound: Sequence[float],
    bound_name: str = "the bound",
    marked: Sequence[int] = (),
    caption: str = "",
) -> Image:
    """Draw errors over the number of terms, on logarithmic axes.

    Args:
        terms: lengths of sums.
        measured: name -> error at each length; points joined by a thin line.
        bound: what the error may be at each length; a thick line with everything above it shaded.
        bound_name: what to write beside it.
        marked: lengths to put a dotted line and their number at.
        caption: a line below.
    """
    figure = Figure(figsize=(7.2, 3.9))
    axes = chart_axes(figure, (0.11, 0.18 if caption else 0.12, 0.86, 0.78 if caption else 0.84))
    axes.set_xscale("log")
    axes.set_yscale("log")
    every = [*bound, *(error for errors in measured.values() for error in errors)]
    axes.set_xlim(min(terms) / 1.3, max(terms) * 1.3)
    axes.set_ylim(min(every) / 3, max(every) * 3)
    axes.fill_between(terms, bound, max(every) * 3, color=UNTOUCHED, linewidth=0)
    axes.plot(terms, bound, color=INK, linewidth=2.2)
    axes.set_axisbelow(True)
    for length in marked:
        axes.axvline(length, color=SOFT, linewidth=0.7, linestyle=":")
    last = len(terms) - 1
    at = max(1, last // 4)
    note = {"textcoords": "offset points", "fontsize": 8, "color": INK}
    axes.annotate(f"{bound_name}; above it: wrong", (terms[at], bound[at]), (6, -12), **note)
    for marker, (name, errors) in zip("os^D", measured.items(), strict=False):
        filled = KERNEL if marker == "o" else PAPER
        axes.plot(terms, errors, color=KERNEL, linewidth=0.9)
        axes.plot(terms, errors, marker, color=KERNEL, markerfacecolor=filled, markersize=5.5)
        far = max(range(len(terms)), key=lambda i: abs(math.log(errors[i] / bound[i])))  # room for words
        where = {"ha": "left" if far < last / 2 else "right", "va": "center"}
        axes.annotate(
            name, (terms[far], errors[far]), (0, 12 if errors[far] > bound[far] else -12), **note, **where
        )
    ticks = sorted({min(terms), *marked, max(terms)})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("terms in the sum", fontsize=8, color=INK)
    axes.set_ylabel("largest error / sum of |x| |w|", fontsize=8, color=INK)
    if caption:
        figure.text(0.02, 0.02, caption, fontsize=7, color=SOFT)
    parts = [
        f"{name}: {errors[0]:.0e} at {terms[0]} terms, {errors[last]:.0e} at {terms[last]:,}"
        for name, errors in {bound_name: bound, **measured}.items()
    ]
    return image(figure, "Error over the length of a sum. " + "; ".join(parts) + f". {caption}".rstrip())
