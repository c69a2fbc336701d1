"""A convolution as a product of two matrices, of which the second is never stored."""

from __future__ import annotations

from IPython.display import Image
from matplotlib.patches import Rectangle

from kernels.workloads import output_size
from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page
from utils.plots.words import counted

WINDOW = "#f4b65f"  # lighter than KERNEL, in grey too
MOST = 40  # rows or columns of a matrix
_CELL, _GAP, _LEFT = 0.2, 0.55, 0.15  # inches


def product_map(
    size: tuple[int, int],
    taps: tuple[int, int],
    channels: int = 1,
    filters: int = 1,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    column: int = 0,
    element: tuple[int, int, int] | None = None,
    title: str = "",
) -> Image:
    """Draw weight matrix times input matrix for one image: each cell says which input number it holds.

    Args:
        size: rows and columns of the image.
        taps: rows and columns of a filter.
        channels: C, filters: K.
        stride, padding, dilation: as in `torch.nn.functional.conv2d`.
        column: the pixel whose window is framed, in the image and in the matrix.
        element: (channel, row, column) of an input number; every place of it is dark.
        title: a line above the picture.

    Raises:
        ValueError: no window fits; there is no such column or element; a matrix is too large to draw.
    """
    (H, W), (R, S) = size, taps
    P, Q = output_size(H, R, stride, padding, dilation), output_size(W, S, stride, padding, dilation)
    if P < 1 or Q < 1:
        raise ValueError("the filter is larger than the padded input: there is no window to draw")
    rows, columns = channels * R * S, P * Q
    if max(rows, columns, filters) > MOST:
        raise ValueError(f"a matrix of {rows} x {columns} and {filters} filters: at most {MOST} can be drawn")
    if not 0 <= column < columns:
        raise ValueError(f"column {column} does not exist: there are {columns}")
    if element is not None and not all(0 <= i < n for i, n in zip(element, (channels, H, W), strict=True)):
        raise ValueError(f"the input has no element {element}")

    def source(row: int, pixel: int) -> tuple[int, int, int] | None:
        """The input element at a place of the matrix; None for padding."""
        h = pixel // Q * stride - padding + row // S % R * dilation
        w = pixel % Q * stride - padding + row % S * dilation
        return (row // (R * S), h, w) if 0 <= h < H and 0 <= w < W else None

    left_wide = _CELL * max(rows, W)
    width = _LEFT + left_wide + _GAP + max(_CELL * columns, 3.8) + _LEFT  # room for the words, too
    width = max(width, 7.0)
    upper = _CELL * max(rows, channels * (H + 1.6) - 1.6)
    above = 0.5 if title else 0.25
    height = above + upper + 0.45 + _CELL * filters + 0.4
    figure, axes = page(width, height)
    if title:
        axes.text(_LEFT, height - 0.1, title, fontsize=10, fontweight="bold", color=INK, va="top")
    top, right = height - above, _LEFT + left_wide + _GAP
    below = top - upper - 0.45

    def cell(x: float, y: float, face: str, text: str = "", ink: str = INK) -> None:
        style = {"facecolor": face, "edgecolor": PAPER, "linewidth": 0.6}
        axes.add_patch(Rectangle((x, y - _CELL), _CELL, _CELL, **style))
        if text:
            axes.text(
                x + _CELL / 2, y - _CELL / 2 - 0.004, text, fontsize=5.5, color=ink, ha="center", va="center"
            )

    def frame(x: float, y: float, wide: int, high: int) -> None:
        style = {"facecolor": "none", "edgecolor": INK, "linewidth": 1.4, "zorder": 3}
        axes.add_patch(Rectangle((x, y - _CELL * high), _CELL * wide, _CELL * high, **style))

    def label(x: float, y: float, text: str) -> None:
        axes.text(x, y + 0.06, text, fontsize=7.5, color=INK, va="bottom")

    def number(c: int, h: int, w: int) -> str:
        return str((c * H + h) * W + w)

    window = {source(row, column) for row in range(rows)} - {None}
    for c in range(channels):
        y0 = top - _CELL * c * (H + 1.6)
        label(_LEFT, y0, f"input, channel {c}" if channels > 1 else "input")
        for h in range(H):
            for w in range(W):
                here = (c, h, w)
                face = KERNEL if here == element else WINDOW if here in window else UNTOUCHED
                ink = PAPER if here == element else INK
                cell(_LEFT + _CELL * w, y0 - _CELL * h, face, number(*here), ink)

    places = 0
    label(right, top, f"input matrix, {rows} x {columns}: a row for each tap, a column for each pixel")
    for row in range(rows):
        text = f"{row // (R * S)}, {row // S % R}, {row % S}"
        axes.text(
            right - 0.06, top - _CELL * (row + 0.5), text, fontsize=5.5, color=SOFT, ha="right", va="center"
        )
        for pixel in range(columns):
            x, y = right + _CELL * pixel, top - _CELL * row
            here = source(row, pixel)
            if here is None:
                cell(x, y, PAPER, "·", SOFT)
            else:
                places += here == element
                face = KERNEL if here == element else WINDOW if pixel == column else UNTOUCHED
                cell(x, y, face, number(*here), PAPER if here == element else INK)
    frame(right + _CELL * column, top, 1, rows)

    label(_LEFT, below, f"weights, {filters} x {rows}")
    label(right, below, f"output, {filters} x {columns}")
    for k in range(filters):
        for row in range(rows):
            cell(_LEFT + _CELL * row, below - _CELL * k, UNTOUCHED)
        for pixel in range(columns):
            face = WINDOW if pixel == column else UNTOUCHED
            cell(right + _CELL * pixel, below - _CELL * k, face)
    frame(right + _CELL * column, below, 1, filters)

    pixel = f"pixel ({column // Q}, {column % Q})"
    note = f"left of a row: c, r, s of its tap; a dot: padding, 0; framed: column {column}, {pixel}"
    if element is not None:
        note += f"; dark: input {number(*element)}, {counted(places, 'time')} in the matrix"
    axes.text(_LEFT, 0.08, note, fontsize=7, color=SOFT, va="bottom")
    zeros = sum(source(row, pixel) is None for row in range(rows) for pixel in range(columns))
    alt = (
        (f"{title}: " if title else "")
        + f"weights of {filters} x {rows} times an input matrix of {rows} x {columns} make an output of "
        f"{filters} x {columns}; the input has {counted(channels * H * W, 'number')}, the matrix "
        f"{rows * columns} places, {zeros} of them zeros of the padding; column {column} holds the window of "
        f"{pixel}"
        + (
            f"; input {number(*element)} stands in {counted(places, 'place')}."
            if element is not None
            else "."
        )
    )
    return image(figure, alt)
