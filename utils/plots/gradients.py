"""Who gives to a gradient: the windows of a convolution, read by input, by weight, and in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from IPython.display import Image
from matplotlib.patches import Rectangle

from kernels.workloads import output_size
from utils.plots.canvas import INK, KERNEL, PAPER, RIVAL, SOFT, UNTOUCHED, image, page
from utils.plots.words import counted

MOST = 40  # elements across a picture
_STEP, _ROW = 0.3, 0.27  # inches


def contributions(
    position: int, size: int, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> list[tuple[int, int]]:
    """The pairs (output, tap) that read the input at `position`, along one dimension."""
    outputs = output_size(size, taps, stride, padding, dilation)
    found = (divmod(position + padding - tap * dilation, stride) + (tap,) for tap in range(taps))
    return [(output, tap) for output, rest, tap in found if rest == 0 and 0 <= output < outputs]


def pairs(
    tap: int, size: int, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> list[tuple[int, int]]:
    """The pairs (output, input) that one tap connects, along one dimension; those in the padding left out."""
    outputs = output_size(size, taps, stride, padding, dilation)
    places = ((output, output * stride - padding + tap * dilation) for output in range(outputs))
    return [(output, position) for output, position in places if 0 <= position < size]


def gradient_map(
    size: int,
    taps: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    inputs: Sequence[int] = (),
    tap: int | None = None,
    title: str = "",
) -> Image:
    """Draw a filter's windows, one row an output, and mark what makes up the gradients of inputs or of a tap.

    Args:
        size: number of inputs along the dimension.
        taps: width of the filter.
        stride, padding, dilation: as in `torch.nn.functional.conv1d`.
        inputs: inputs whose columns are marked; the sums of their gradients stand below.
        tap: a tap whose places are marked, and its gradient's sum.
        title: a line above the picture.

    Raises:
        ValueError: no window fits, an input or the tap does not exist, or the picture would be too large.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    outputs = output_size(size, taps, **options)
    if outputs < 1:
        raise ValueError("the filter is larger than the padded input: there is no window to draw")
    if size + 2 * padding > MOST:
        raise ValueError(f"size + 2 padding is {size + 2 * padding}: a picture shows at most {MOST} inputs")
    if any(not 0 <= position < size for position in inputs) or (tap is not None and not 0 <= tap < taps):
        raise ValueError(f"there are inputs 0 to {size - 1} and taps 0 to {taps - 1}")

    marked = {(q, s) for position in inputs for q, s in contributions(position, size, taps, **options)}
    sums = [_input_sum(position, size, taps, options) for position in inputs]
    if tap is not None:
        marked |= {(q, tap) for q, _ in pairs(tap, size, taps, **options)}
        sums.append(_tap_sum(tap, size, taps, options))
    left, below = 1.0, 0.38 + 0.2 * len(sums)
    width = max(left + _STEP * (size + 2 * padding) + 0.2, 0.2 + 0.068 * max(map(len, sums), default=0))
    height = _ROW * (outputs + 1) + below + 0.2 + (0.3 if title else 0)
    figure, axes = page(width, height)
    top = height - (0.38 if title else 0.1)
    if title:
        axes.text(0.1, height - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")

    def box(position: int, y: float, face: str, text: str, ink: str) -> None:
        x, inside = left + _STEP * (position + padding), 0 <= position < size
        style = {"linestyle": "-" if inside else ":", "edgecolor": SOFT, "linewidth": 0.7}
        axes.add_patch(Rectangle((x, y), _STEP * 0.92, _ROW * 0.86, facecolor=face, **style))
        axes.text(x + _STEP * 0.46, y + _ROW * 0.43, text, fontsize=7, color=ink, ha="center", va="center")

    axes.text(left - 0.1, top - _ROW * 0.55, "input", fontsize=8, color=INK, ha="right", va="center")
    for position in range(-padding, size + padding):
        inside, chosen = 0 <= position < size, position in inputs
        face = KERNEL if chosen else UNTOUCHED if inside else PAPER
        box(position, top - _ROW, face, str(position) if inside else "0", PAPER if chosen else INK)
    for q in range(outputs):
        y = top - _ROW * (q + 2) - 0.06
        axes.text(left - 0.1, y + _ROW * 0.43, f"output {q}", fontsize=8, color=INK, ha="right", va="center")
        for s in range(taps):
            chosen = (q, s) in marked
            face = KERNEL if chosen else RIVAL
            box(q * stride - padding + s * dilation, y, face, str(s), PAPER if chosen else INK)
    for number, line in enumerate(sums):
        axes.text(0.1, below - 0.12 - 0.2 * number, line, fontsize=8, color=INK, va="center")
    note = "a number in a window: the tap that reads there" + ("; dotted: padding" if padding else "")
    axes.text(0.1, 0.08, note, fontsize=7, color=SOFT, va="bottom")
    alt = (
        (f"{title}: " if title else "")
        + f"{outputs} windows of {counted(taps, 'tap')} over {size} inputs, stride {stride}, "
        + f"padding {padding}, dilation {dilation}. "
        + " ".join(f"{line}." for line in sums)
    )
    return image(figure, alt.rstrip())


def _input_sum(position: int, size: int, taps: int, options: dict[str, int]) -> str:
    terms = [f"w[{s}] dy[{q}]" for q, s in contributions(position, size, taps, **options)]
    return f"dx[{position}] = " + (" + ".join(terms) or "0, as no output reads it")


def _tap_sum(tap: int, size: int, taps: int, options: dict[str, int]) -> str:
    terms = [f"dy[{q}] x[{position}]" for q, position in pairs(tap, size, taps, **options)]
    return f"dw[{tap}] = " + (" + ".join(terms) or "0, as it meets padding alone")


def touch_map(
    size: tuple[int, int],
    taps: tuple[int, int],
    pixels: Sequence[tuple[int, int]],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    title: str = "",
) -> Image:
    """Draw input pixels, and for each the outputs whose windows it lies in, with the taps that read it.

    Args:
        size: rows and columns of the input, H and W.
        taps: rows and columns of the filter, R and S.
        pixels: one to four pixels (h, w).
        stride, padding, dilation: as in `torch.nn.functional.conv2d`.
        title: a line above the picture.

    Raises:
        ValueError: no window fits, a pixel does not exist, or there are too many of them or of elements.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    P, Q = (output_size(n, t, **options) for n, t in zip(size, taps, strict=True))
    if P < 1 or Q < 1:
        raise ValueError("the filter is larger than the padded input: there is no window to draw")
    if not 1 <= len(pixels) <= 4 or any(not (0 <= h < size[0] and 0 <= w < size[1]) for h, w in pixels):
        raise ValueError(f"touch_map draws 1 to 4 pixels of the {size[0]} x {size[1]} input")
    if size[1] + len(pixels) * (Q + 1) > 2 * MOST:
        raise ValueError(f"the picture would be too wide: {size[1]} inputs and {len(pixels)} x {Q} outputs")

    gap, above = 0.35, 0.62 + (0.28 if title else 0)
    cell = min(0.3, 9.6 / (size[1] + len(pixels) * (Q + 1)))
    panel = max(Q * cell, 1.05)
    width = 0.3 + size[1] * cell + len(pixels) * (panel + gap)
    height = above + cell * max(size[0], P) + 0.4
    figure, axes = page(width, height)
    top = height - above
    if title:
        axes.text(0.12, height - 0.08, title, fontsize=10, fontweight="bold", color=INK, va="top")

    def plane(left: float, rows: int, columns: int, texts: dict[tuple[int, int], str], heading: str) -> None:
        axes.text(left, top + 0.08, heading, fontsize=7.5, color=INK, va="bottom", linespacing=1.3)
        for row in range(rows):
            for column in range(columns):
                x, y = left + column * cell, top - (row + 1) * cell
                text = texts.get((row, column))
                face = UNTOUCHED if text is None else KERNEL
                axes.add_patch(Rectangle((x, y), cell * 0.93, cell * 0.93, facecolor=face, edgecolor="none"))
                if text is not None:
                    middle = x + cell * 0.465, y + cell * 0.465
                    axes.text(*middle, text, fontsize=22 * cell, color=PAPER, ha="center", va="center")

    letters = {pixel: "ABCD"[i] for i, pixel in enumerate(pixels)}
    plane(0.15, *size, letters, f"input, {size[0]} x {size[1]}")
    words, left = [], 0.15 + size[1] * cell + gap
    for (h, w), letter in letters.items():
        rows = contributions(h, size[0], taps[0], **options)
        columns = contributions(w, size[1], taps[1], **options)
        texts = {(p, q): f"{r},{s}" for p, r in rows for q, s in columns}
        heading = f"{letter}: h = {h}, w = {w}\n{len(rows)} x {len(columns)} taps"
        plane(left, P, Q, texts, heading)
        left += panel + gap
        each = ", ".join(f"output ({p}, {q}) by tap ({tap})" for (p, q), tap in texts.items()) or "no output"
        words.append(f"pixel ({h}, {w}) is read by {each}")
    note = f"outputs, {P} x {Q}: blue where the window contains the pixel; in it the tap r,s that reads it"
    axes.text(0.12, 0.1, note, fontsize=7, color=SOFT, va="bottom")
    alt = (f"{title}: " if title else "") + "; ".join(words) + "."
    return image(figure, alt)
