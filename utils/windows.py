"""A picture of where a filter's windows lie on its input, in one dimension."""

from __future__ import annotations

from IPython.display import Image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils.plots import INK, KERNEL, PAPER, SOFT, UNTOUCHED, _image


def output_size(size: int, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """How many windows fit: the output's height or width, as PyTorch computes it."""
    return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


def window_map(
    size: int, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1, title: str = ""
) -> Image:
    """Draw every window of a filter of `taps` over `size` inputs: one row an output, dark where it reads.

    Args:
        size: number of inputs along the dimension, at most 60.
        taps: width of the filter.
        stride, padding, dilation: as in `torch.nn.functional.conv1d`.
        title: a line above the picture.

    Raises:
        ValueError: the picture would be too large, or no window fits.
    """
    if size + 2 * padding > 60:
        raise ValueError(f"size + 2 padding is {size + 2 * padding}: a picture shows at most 60 inputs")
    outputs = output_size(size, taps, stride, padding, dilation)
    if outputs < 1:
        raise ValueError("the filter is larger than the padded input: there is no window to draw")
    step, left, row = 0.26, 1.0, 0.27
    width = left + step * (size + 2 * padding) + 0.2
    height = row * (outputs + 1) + 0.55 + (0.3 if title else 0)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    top = height - (0.34 if title else 0.1)
    if title:
        axes.text(0.1, height - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")

    def box(position: int, y: float, face: str, text: str = "", ink: str = INK) -> None:
        x = left + step * (position + padding)
        inside = 0 <= position < size
        style = {"linestyle": "-" if inside else ":", "edgecolor": SOFT, "linewidth": 0.7}
        axes.add_patch(Rectangle((x, y), step * 0.92, row * 0.86, facecolor=face, **style))
        axes.text(x + step * 0.46, y + row * 0.43, text, fontsize=6.5, color=ink, ha="center", va="center")

    axes.text(left - 0.1, top - row * 0.55, "input", fontsize=8, color=INK, ha="right", va="center")
    for position in range(-padding, size + padding):
        inside = 0 <= position < size
        box(position, top - row, UNTOUCHED if inside else PAPER, str(position) if inside else "0")
    for q in range(outputs):
        y = top - row * (q + 2) - 0.06
        axes.text(left - 0.1, y + row * 0.43, f"output {q}", fontsize=8, color=INK, ha="right", va="center")
        for tap in range(taps):
            box(q * stride - padding + tap * dilation, y, KERNEL, str(tap), PAPER)
    axes.text(
        0.1,
        0.08,
        "blue: what the output reads, with the number of the filter's tap; dotted: padding, which counts as 0",
        fontsize=7,
        color=SOFT,
        va="bottom",
    )
    last = (outputs - 1) * stride - padding
    alt = (
        (f"{title}: " if title else "")
        + f"{outputs} windows of {taps} taps over {size} inputs with padding {padding}, stride {stride}, dilation "
        f"{dilation}; the first begins at {-padding}, the last at {last}."
    )
    return _image(figure, alt)
