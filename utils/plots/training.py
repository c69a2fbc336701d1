"""What training did: losses over steps, and filters before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from IPython.display import Image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, RIVAL, SOFT, UNTOUCHED, chart_axes, image, page

_STYLES = (
    {"color": RIVAL, "linewidth": 4.5},  # wide and light, so that a line on top of it hides nothing
    {"color": KERNEL, "linewidth": 1.4},
    {"color": INK, "linewidth": 1.4, "linestyle": ":"},
)


def loss_curves(curves: Mapping[str, Sequence[float]], caption: str = "") -> Image:
    """Draw losses over steps, one curve a name, the later ones on top.

    Args:
        curves: name -> the loss of every step; one to three of them.
        caption: a line below.

    Raises:
        ValueError: no curve, more than three, or an empty one.
    """
    if not 1 <= len(curves) <= len(_STYLES) or not all(len(losses) for losses in curves.values()):
        raise ValueError(f"loss_curves draws 1 to {len(_STYLES)} curves, each of a step or more")
    figure = Figure(figsize=(7.2, 3.2))
    axes = chart_axes(figure, (0.08, 0.24 if caption else 0.16, 0.89, 0.72 if caption else 0.8))
    axes.grid(axis="y", color=UNTOUCHED, linewidth=0.8)
    axes.set_axisbelow(True)
    for (name, losses), style in zip(curves.items(), _STYLES, strict=False):
        axes.plot(range(1, len(losses) + 1), losses, label=name, **style)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step", fontsize=8, color=INK)
    axes.set_ylabel("loss", fontsize=8, color=INK)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    if caption:
        figure.text(0.02, 0.03, caption, fontsize=7, color=SOFT)
    words = "; ".join(
        f"{name}: {losses[0]:.2f} at the first of {len(losses)} steps, {losses[-1]:.2f} at the last"
        for name, losses in curves.items()
    )
    return image(figure, f"Losses over steps. {words}. {caption}".rstrip())


def filter_rows(rows: Mapping[str, torch.Tensor], title: str = "") -> Image:
    """Draw filters as grey squares, one row a name: dark weights are negative, light ones positive.

    Args:
        rows: name -> weights, K x R x S, at most 16 filters; all rows share one scale.
        title: a line above the picture.

    Raises:
        ValueError: no rows, a tensor of another shape, or too many filters.
    """
    if not rows or any(weights.dim() != 3 or not 1 <= len(weights) <= 16 for weights in rows.values()):
        raise ValueError("filter_rows draws tensors K x R x S with at most 16 filters")
    rows = {name: weights.detach().cpu() for name, weights in rows.items()}
    most = max(float(weights.abs().max()) for weights in rows.values()) or 1.0
    cell, gap, left = 0.17, 0.14, 1.35
    widest = max(len(weights) * (weights.shape[2] * cell + gap) for weights in rows.values())
    tall = [weights.shape[1] * cell + gap for weights in rows.values()]
    height = sum(tall) + 0.45 + (0.3 if title else 0)
    figure, axes = page(left + widest + 0.15, height)
    top = height - (0.42 if title else 0.12)
    if title:
        axes.text(0.12, height - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")
    for (name, weights), high in zip(rows.items(), tall, strict=True):
        middle = top - (high - gap) / 2
        axes.text(left - 0.12, middle, name, fontsize=8, color=INK, ha="right", va="center")
        for k, each in enumerate(weights.tolist()):
            x = left + k * (weights.shape[2] * cell + gap)
            for r, row in enumerate(each):
                for s, value in enumerate(row):
                    corner = x + s * cell, top - (r + 1) * cell
                    grey = str(min(max(0.5 + 0.5 * value / most, 0.0), 1.0))
                    axes.add_patch(Rectangle(corner, cell, cell, facecolor=grey, edgecolor="none"))
            frame = (x, top - weights.shape[1] * cell), weights.shape[2] * cell, weights.shape[1] * cell
            axes.add_patch(Rectangle(*frame, facecolor="none", edgecolor=SOFT, linewidth=0.6))
        top -= high
    note = f"black is -{most:.2f}, the middle grey 0, white +{most:.2f}"
    axes.text(0.12, 0.1, note, fontsize=7, color=SOFT, va="bottom")
    words = "; ".join(
        f"{name}: {len(weights)} filters of {weights.shape[1]} x {weights.shape[2]}, weights from "
        f"{float(weights.min()):.2f} to {float(weights.max()):.2f}"
        for name, weights in rows.items()
    )
    return image(figure, (f"{title}: " if title else "") + words + ".")
