"""Which part of the input a block of a tiled convolution needs: its own share, the halo, the padding."""

from __future__ import annotations

from dataclasses import dataclass

from IPython.display import Image
from matplotlib.patches import Rectangle

from kernels.workloads import output_size
from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page

HALO = "#9cc3e6"  # between KERNEL and UNTOUCHED in grey
MOST = 140  # rows or columns of a picture
_GAP, _TOP, _LEFT = 0.5, 0.32, 0.15  # inches


@dataclass(frozen=True)
class _Span:
    """One dimension: what a block needs of it, as rows (or columns) of the input, ends excluded."""

    size: int  # rows of the input
    taps: int
    outputs: int  # of a block
    stride: int
    padding: int
    dilation: int

    @property
    def windows(self) -> int:
        return output_size(self.size, self.taps, self.stride, self.padding, self.dilation)

    def tile(self, block: int) -> range:
        first = block * self.outputs * self.stride - self.padding
        return range(first, first + (self.outputs - 1) * self.stride + self.dilation * (self.taps - 1) + 1)

    def own(self, block: int) -> range:
        """The block's share when the input is dealt out without overlap."""
        step = self.outputs * self.stride
        return range(block * step, (block + 1) * step)


def tile_map(
    size: tuple[int, int],
    taps: tuple[int, int],
    tile: tuple[int, int] = (8, 32),
    block: tuple[int, int] = (0, 0),
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    title: str = "",
) -> Image:
    """Draw one block's outputs, and the tile of the input that it needs for them.

    Args:
        size: rows and columns of the input, H and W.
        taps: rows and columns of the filter, R and S.
        tile: rows and columns of the outputs that one block computes.
        block: (x, y) of the block, x along the columns, as in CUDA's blockIdx.
        stride, padding, dilation: as in `torch.nn.functional.conv2d`.
        title: a line above the picture.

    Dark is the block's own share of the input: that of an even division among the blocks. The halo is what
    the tile has besides. Crossed out is what lies outside of the input, where the tile holds zeros. A dashed
    frame is the tile of the next block along x (of the one before, for the last block).

    Raises:
        ValueError: there is no such block, no window fits, or the picture would be too large.
    """
    down, across = (
        _Span(n, t, o, stride, padding, dilation) for n, t, o in zip(size, taps, tile, strict=True)
    )
    if down.windows < 1 or across.windows < 1:
        raise ValueError("the filter is larger than the padded input: there is no tile to draw")
    x, y = block
    blocks = -(-across.windows // tile[1]), -(-down.windows // tile[0])
    if not (0 <= x < blocks[0] and 0 <= y < blocks[1]):
        raise ValueError(f"there is no block {block}: the grid is {blocks[0]} x {blocks[1]}")
    beside = x + 1 if x + 1 < blocks[0] else x - 1
    rows, columns, other = down.tile(y), across.tile(x), across.tile(beside) if beside >= 0 else None
    # What is drawn of the input's side: the padded input, and the tiles where they reach beyond it.
    last_row = max(size[0] + padding, rows.stop)
    last_column = max(size[1] + padding, columns.stop, other.stop if other else 0)
    high, wide = max(last_row + padding, down.windows), last_column + padding
    if max(high, wide, across.windows) > MOST:
        raise ValueError(f"the picture would be {high} x {wide} elements: at most {MOST} can be drawn")

    cell = min((9.6 - 2 * _LEFT - _GAP) / (wide + across.windows), 4.6 / high, 0.22)
    above = _TOP + (0.26 if title else 0)
    figure, axes = page(9.6, above + cell * high + 0.62)
    top = figure.get_figheight() - above
    if title:
        axes.text(0.12, top + above - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")

    outputs = _Plane(axes, _LEFT, top, cell, 0, 0)
    outputs.area(range(down.windows), range(across.windows), facecolor=UNTOUCHED)
    mine = [range(n * o, min((n + 1) * o, all_of)) for n, o, all_of in
            ((y, tile[0], down.windows), (x, tile[1], across.windows))]  # fmt: skip
    outputs.area(*mine, facecolor=KERNEL)
    outputs.grid(range(down.windows), range(across.windows))
    for n in range(blocks[1]):
        for m in range(blocks[0]):
            own = [range(i * o, min((i + 1) * o, w)) for i, o, w in
                   ((n, tile[0], down.windows), (m, tile[1], across.windows))]  # fmt: skip
            outputs.area(*own, facecolor="none", edgecolor=INK, linewidth=0.8, zorder=1.7)
    outputs.label(f"outputs, {down.windows} x {across.windows}: block ({x}, {y}) is dark")

    plane = _Plane(axes, _LEFT + across.windows * cell + _GAP, top, cell, -padding, -padding)
    inside = range(size[0]), range(size[1])
    whole = range(-padding, last_row), range(-padding, last_column)
    plane.area(*whole, facecolor=PAPER)
    plane.area(*inside, facecolor=UNTOUCHED)
    plane.area(_common(rows, inside[0]), _common(columns, inside[1]), facecolor=HALO)
    share = [_common(_common(need, span.own(n)), real) for need, span, n, real in
             ((rows, down, y, inside[0]), (columns, across, x, inside[1]))]  # fmt: skip
    plane.area(*share, facecolor=KERNEL)
    plane.grid(*whole)
    for row in rows:
        for column in columns:
            if row not in inside[0] or column not in inside[1]:
                plane.cross(row, column)
    if padding:
        around = range(-padding, size[0] + padding), range(-padding, size[1] + padding)
        plane.area(*around, facecolor="none", edgecolor=SOFT, linewidth=0.8, linestyle=":", zorder=1.7)
    plane.area(*inside, facecolor="none", edgecolor=SOFT, linewidth=0.8, zorder=1.7)
    plane.area(rows, columns, facecolor="none", edgecolor=INK, linewidth=1.8, zorder=2)
    if other:
        plane.area(
            rows, other, facecolor="none", edgecolor=INK, linewidth=1.3, linestyle=(0, (3, 2)), zorder=1.9
        )
    plane.label(f"input, {size[0]} x {size[1]}" + (f", and {padding} of padding around it" * (padding > 0)))

    elements = len(rows) * len(columns)
    own = len(share[0]) * len(share[1])
    zeros = elements - len(_common(rows, inside[0])) * len(_common(columns, inside[1]))
    both = len(rows) * len(_common(columns, other)) if other else 0
    bits = [f"its own share {own}", f"halo {elements - own - zeros}", f"zeros outside of the input {zeros}"]
    note = f"thick frame: the block's tile, {len(rows)} x {len(columns)} = {elements} elements"
    legend = (
        ("own share", KERNEL, ""), ("halo", HALO, ""), ("outside: zeros", PAPER, "x"),
    )  # fmt: skip
    at = 0.12
    for text, colour, mark in legend:
        axes.add_patch(Rectangle((at, 0.34), 0.15, 0.12, facecolor=colour, edgecolor=SOFT, linewidth=0.4))
        if mark:
            axes.plot([at, at + 0.15], [0.34, 0.46], color=INK, linewidth=0.6)
            axes.plot([at, at + 0.15], [0.46, 0.34], color=INK, linewidth=0.6)
        axes.text(at + 0.2, 0.4, text, fontsize=7, color=SOFT, va="center")
        at += 1.15
    note += f": {', '.join(bits)}"
    if other:
        note += f"; dashed: the tile of block ({beside}, {y}), {both} elements in common"
    axes.text(0.12, 0.1, note, fontsize=7, color=SOFT, va="bottom")
    alt = (
        (f"{title}: " if title else "")
        + f"block ({x}, {y}) computes {len(mine[0])} x {len(mine[1])} outputs of {down.windows} x "
        f"{across.windows}; its tile is {len(rows)} x {len(columns)} = {elements} elements of the input, "
        f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}: {', '.join(bits)}"
        + (f". The tile of block ({beside}, {y}) has {both} elements in common with it." if other else ".")
    )
    return image(figure, alt)


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), max(min(one.stop, other.stop), one.start, other.start))


class _Plane:
    """A plane of elements on the page: from (row, column) to inches."""

    def __init__(self, axes, left: float, top: float, cell: float, first_row: int, first_column: int) -> None:
        self.axes, self.left, self.top, self.cell = axes, left, top, cell
        self.first_row, self.first_column = first_row, first_column

    def _corner(self, row: int, column: int) -> tuple[float, float]:
        return (
            self.left + (column - self.first_column) * self.cell,
            self.top - (row - self.first_row) * self.cell,
        )

    def area(self, rows: range, columns: range, **style) -> None:
        if not rows or not columns:
            return
        left, bottom = self._corner(rows.stop, columns.start)
        wide, high = len(columns) * self.cell, len(rows) * self.cell
        self.axes.add_patch(Rectangle((left, bottom), wide, high, **{"edgecolor": "none", **style}))

    def grid(self, rows: range, columns: range) -> None:
        left, top = self._corner(rows.start, columns.start)
        right, bottom = self._corner(rows.stop, columns.stop)
        width = 0.5 if self.cell > 0.08 else 0.25
        xs = [self._corner(0, column)[0] for column in columns]
        ys = [self._corner(row, 0)[1] for row in rows]
        self.axes.vlines(xs, bottom, top, color=PAPER, linewidth=width, zorder=1.5)
        self.axes.hlines(ys, left, right, color=PAPER, linewidth=width, zorder=1.5)

    def cross(self, row: int, column: int) -> None:
        left, top = self._corner(row, column)
        right, bottom = left + self.cell, top - self.cell
        self.axes.plot([left, right], [bottom, top], color=INK, linewidth=0.4, zorder=1.6)
        self.axes.plot([left, right], [top, bottom], color=INK, linewidth=0.4, zorder=1.6)

    def label(self, text: str) -> None:
        self.axes.text(self.left, self.top + 0.08, text, fontsize=7.5, color=INK, va="bottom")
