"""Which lane of a warp touches which address, and how many sectors a request comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, chart_axes, image, page
from utils.plots.words import active_lanes, counted, lane_ranges, tensor_of

SECTOR, WORD, LINE = 32, 4, 128  # bytes
NEIGHBOURS, APART = 4, 32  # sectors of 32 floats side by side, and of 32 floats that share none


def access_map(
    requests: Any,
    select: int | Sequence[int] | None = None,
    title: str = "",
    labels: Sequence[str] = (),
) -> Image:
    """Which lane of a warp touches which word of memory, from `utils.simulator.trace`.

    Args:
        requests: what `trace` returned, or one of its requests.
        select: which of them to draw, by position; by default the busiest one for each kind, source line and
            tensor, up to four.
        title: a line above the picture.
        labels: a name for each drawn request, in place of its line number: `x[i + 1]`, say.

    Global memory is drawn as lines of 128 bytes with sectors of 32 bytes, shared memory as rows of 32 banks.
    The number in a word is the lane that touches it; "0-31" means all of these lanes touch the same word.
    """
    chosen = _choose(requests, select)
    names = [*labels, *[""] * len(chosen)][: len(chosen)]
    panels = [_Panel(request, name) for request, name in zip(chosen, names, strict=True)]
    sources = {panel.source for panel in panels}
    shows_source = len(panels) == 1 or len(sources) > 1  # the same line beside every panel says nothing
    height = (
        sum(panel.height for panel in panels) + 0.22 * (len(panels) - 1) + (0.34 if title else 0.08) + 0.3
    )
    figure, axes = page(9.6, height)
    top = height - (0.34 if title else 0.08)
    if title:
        axes.text(0.12, height - 0.1, title, fontsize=10, fontweight="bold", color=INK, va="top")
    for panel in panels:
        panel.draw(axes, top, shows_source)
        top -= panel.height + 0.22
    axes.text(
        0.12,
        0.1,
        "one box: a word of 4 bytes; the number in it: the lane that touches it;"
        " thick frame: a sector of 32 bytes that is moved"
        if any(not panel.shared for panel in panels)
        else "one box: a word of 4 bytes; the number in it: the lane that touches it; one column: a bank",
        fontsize=7,
        color=SOFT,
        va="bottom",
    )
    return image(figure, (f"{title}: " if title else "") + " ".join(panel.alt for panel in panels))


def sectors_chart(series: Mapping[str, Mapping[Any, float]], title: str = "") -> Image:
    """Sectors a request as bars, one panel a series, with lines at the best and the worst for 32 floats.

    Args:
        series: {what is varied: {its value: sectors a request}}, such as {"stride": {1: 4, 2: 8}}.
        title: a line above the picture.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not series or not all(series.values()):
        raise ValueError("sectors_chart needs at least one series, and a value in each")
    height = 2.9 + (0.3 if title else 0)
    figure = Figure(figsize=(9.6, height))
    bars = sum(map(len, series.values()))
    left, gap = 0.06, 0.03
    room = 0.98 - left - gap * (len(series) - 1)
    for name, values in series.items():
        width = room * len(values) / bars
        axes = chart_axes(figure, (left, 0.68 / height, width, (2.9 - 0.78) / height))
        left += width + gap
        axes.set_ylim(0, APART * 1.2)
        axes.set_yticks([0, NEIGHBOURS, 8, 16, 24, APART])
        for level in (NEIGHBOURS, APART):
            axes.axhline(level, color=SOFT, linewidth=0.9, linestyle="--", zorder=0.5)
        axes.bar(range(len(values)), list(values.values()), 0.62, color=KERNEL, edgecolor=INK, linewidth=0.6)
        for place, value in enumerate(values.values()):
            text = f"{value:.3g}"
            axes.annotate(text, (place, value), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        axes.set_xticks(range(len(values)), list(map(str, values)))
        axes.set_xlabel(name, fontsize=9, color=INK)
    if title:
        figure.text(0.0125, 1 - 0.24 / height, title, fontsize=10, fontweight="bold", color=INK)
    note = f"dashed: {NEIGHBOURS} for 32 floats side by side, {APART} where each lies in a sector of its own"
    figure.text(0.0125, 0.08 / height, note, fontsize=7, color=SOFT)
    alt = "; ".join(
        f"{name} " + ", ".join(f"{key}: {value:.3g}" for key, value in values.items())
        for name, values in series.items()
    )
    return image(figure, (f"{title}: " if title else "") + f"Bar chart of sectors a request. {alt}.")


def _choose(requests: Any, select: int | Sequence[int] | None) -> list:
    requests = [requests] if hasattr(requests, "lanes") else list(requests)
    if not requests:
        raise ValueError("access_map needs at least one request; this warp touched no memory")
    if select is not None:
        return [requests[i] for i in ([select] if isinstance(select, int) else select)]
    busiest: dict[tuple, Any] = {}
    for request in requests:
        key = (request.kind, request.line, tensor_of(request))
        if key not in busiest or active_lanes(request) > active_lanes(busiest[key]):
            busiest[key] = request
    return list(busiest.values())[:4]


class _Panel:
    """One request: its words, which lanes touch them, and the rows of memory in which they are drawn."""

    ROW, MOST_ROWS = 0.24, 32  # inches, and so many rows at most

    def __init__(self, request: Any, label: str = "") -> None:
        self.request = request
        self.label = label
        self.shared = request.kind.startswith("shared")
        self.words: dict[int, list[int]] = {}
        for lane, access in enumerate(request.lanes):
            if access is not None:
                last = access.offset + access.size - 1
                for word in range(access.offset // WORD, last // WORD + 1):
                    self.words.setdefault(word, []).append(lane)
        rows = sorted({word * WORD // LINE for word in self.words})
        self.left_out = max(len(rows) - self.MOST_ROWS, 0)
        self.rows = rows[: self.MOST_ROWS]
        self.row = self.ROW if len(self.rows) <= 8 else 0.17
        self.height = (
            0.26 + self.row * (len(self.rows) + (1 if self.shared else 0)) + (0.2 if self.left_out else 0)
        )

    @property
    def sectors(self) -> int:
        return len({word * WORD // SECTOR for word in self.words})

    @property
    def headline(self) -> str:
        request = self.request
        lanes = active_lanes(request)
        where = self.label or ("unknown line" if request.line is None else f"line {request.line}")
        text = f"{where}, {request.kind.replace('_', ' ')} of {tensor_of(request)}: {lanes} "
        text += "lane" if lanes == 1 else "lanes"
        if self.shared:
            return f"{text}, {len(self.words)} words, {counted(request.wavefronts, 'wavefront')}"
        asked = len(self.words) * WORD
        return f"{text}, {counted(self.sectors, 'sector')}, {asked:,} of {self.sectors * SECTOR:,} bytes used"

    @property
    def alt(self) -> str:
        rows = counted(len(self.rows) + self.left_out, "row" if self.shared else "line")
        return f"{self.headline}; the words lie in {rows} of {'32 banks' if self.shared else '128 bytes'}."

    @property
    def source(self) -> str:
        """The request's line of the program, or nothing where it does not fit beside the headline."""
        text = (getattr(self.request, "source", None) or "").strip()
        return text if len(text) <= 150 - len(self.headline) else ""

    def draw(self, axes, top: float, shows_source: bool = True) -> None:
        axes.text(0.12, top - 0.02, self.headline, fontsize=8.5, color=INK, va="top")
        if shows_source and self.source:
            axes.text(
                9.5,
                top - 0.03,
                self.source,
                fontsize=6,
                family="monospace",
                color=SOFT,
                va="top",
                ha="right",
            )
        left, width = 1.15, 8.35 / (LINE // WORD)
        y = top - 0.26
        if self.shared:
            for bank in range(LINE // WORD):
                x = left + (bank + 0.5) * width
                axes.text(x, y - self.row / 2, str(bank), fontsize=5.5, color=SOFT, ha="center", va="center")
            axes.text(
                left - 0.08, y - self.row / 2, "bank", fontsize=6.5, color=SOFT, ha="right", va="center"
            )
            y -= self.row
        for row in self.rows:
            self._draw_row(axes, row, left, y, width)
            y -= self.row
        if self.left_out:
            axes.text(left, y - 0.02, f"... and {self.left_out} more", fontsize=7, color=SOFT, va="top")

    def _draw_row(self, axes, row: int, left: float, y: float, width: float) -> None:
        height = self.row * 0.82
        offset = f"byte {row * LINE:,}"
        axes.text(left - 0.08, y - height / 2, offset, fontsize=6.5, color=INK, ha="right", va="center")
        per_row, per_sector = LINE // WORD, SECTOR // WORD
        edges = [left + column * width for column in range(per_row + 1)]
        axes.add_patch(Rectangle((left, y - height), per_row * width, height, facecolor=UNTOUCHED))
        for column in range(per_row):
            lanes = self.words.get(row * per_row + column)
            if not lanes:
                continue
            x, text = edges[column], lane_ranges(lanes)
            axes.add_patch(Rectangle((x, y - height), width, height, facecolor=KERNEL))
            size = 5.5 if len(text) <= 3 else 4.6
            axes.text(
                x + width / 2,
                y - height / 2,
                text,
                fontsize=size,
                color=PAPER,
                ha="center",
                va="center_baseline",
            )
        axes.vlines(edges[1:-1], y - height, y, color=PAPER, linewidth=0.7, zorder=1.5)
        if self.shared:
            return
        for sector in range(per_row // per_sector):
            first = row * per_row + sector * per_sector
            if any(word in self.words for word in range(first, first + per_sector)):
                x = left + sector * per_sector * width
                axes.add_patch(
                    Rectangle(
                        (x, y - height),
                        per_sector * width,
                        height,
                        fill=False,
                        zorder=2,
                        edgecolor=INK,
                        linewidth=1.3,
                    )
                )
