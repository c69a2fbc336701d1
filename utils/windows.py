"""Pictures of how work is laid out: a filter's windows on its input, and a grid's blocks on an output."""

from __future__ import annotations

from IPython.display import Image
from matplotlib.patches import Rectangle

from kernels.workloads import output_size
from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page


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
    figure, axes = page(width, height)
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
    note = "blue: what an output reads" + ("; dotted: padding, which counts as 0" if padding else "")
    axes.text(0.1, 0.08, note, fontsize=7, color=SOFT, va="bottom")
    last = (outputs - 1) * stride - padding
    alt = (
        (f"{title}: " if title else "")
        + f"{outputs} windows of {taps} taps over {size} inputs with padding {padding}, stride {stride}, "
        f"dilation {dilation}; the first begins at {-padding}, the last at {last}."
    )
    return image(figure, alt)


def block_map(rows: int, columns: int, block: tuple[int, int] = (32, 8), title: str = "") -> Image:
    """Draw the blocks of threads that cover an output plane, its warps, and the threads without an output.

    Args:
        rows, columns: size of the output plane, P and Q.
        block: threads of a block along x (columns) and y (rows); a warp is 32 neighbours along x.
        title: a line above the picture.
    """
    across, down = -(-columns // block[0]), -(-rows // block[1])
    cell = 5.0 / (across * block[0])
    width, height = 5.0 + 1.1, cell * down * block[1] + 0.75 + (0.3 if title else 0)
    figure, axes = page(width, height)
    left, top = 0.9, height - (0.62 if title else 0.32)
    if title:
        axes.text(0.1, height - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")

    def area(column: float, row: float, wide: float, high: float, **style) -> None:
        corner = (left + cell * column, top - cell * (row + high))
        axes.add_patch(Rectangle(corner, cell * wide, cell * high, **style))

    area(0, 0, across * block[0], down * block[1], facecolor=UNTOUCHED, edgecolor="none")
    area(0, 0, columns, rows, facecolor=KERNEL, edgecolor="none")
    for row in range(down * block[1]):
        for x in range(across):
            area(x * block[0], row, block[0], 1, facecolor="none", edgecolor=PAPER, linewidth=0.5)
    for y in range(down):
        middle = top - cell * (y + 0.5) * block[1]
        axes.text(left - 0.08, middle, f"block y {y}", fontsize=7, color=INK, ha="right", va="center")
        for x in range(across):
            area(x * block[0], y * block[1], *block, facecolor="none", edgecolor=INK, linewidth=1.6)
    for x in range(across):
        middle = left + cell * (x + 0.5) * block[0]
        axes.text(middle, top + 0.06, f"block x {x}", fontsize=7, color=INK, ha="center", va="bottom")
    threads = across * down * block[0] * block[1]
    idle = threads - rows * columns
    note = f"blue: {rows} x {columns} outputs; grey: {idle} threads without one; thin: a warp; thick: a block"
    axes.text(0.1, 0.08, note, fontsize=7, color=SOFT, va="bottom")
    alt = (
        (f"{title}: " if title else "")
        + f"{across} x {down} blocks of {block[0]} x {block[1]} threads cover {columns} columns and {rows} "
        f"rows; {idle} of {threads} threads, at the right and at the bottom, have no output."
    )
    return image(figure, alt)
