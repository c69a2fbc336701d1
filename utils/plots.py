"""The course's pictures: the ladder of kernels, the roofline, and which lane of a warp touches which address.

Every function returns an IPython Image (PNG on white, readable in light and dark themes and in grey) whose
alt text says in words what there is to see. The same data give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.display import Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image as Picture

SECTOR, WORD, LINE = 32, 4, 128  # bytes
INK, SOFT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"
KERNEL, RIVAL, UNTOUCHED = "#1f6fb2", "#c9c9c9", "#ececec"  # dark, middle and light in grey, too
_DPI = 200


def _image(figure: Figure, alt: str) -> Image:
    FigureCanvasAgg(figure)
    drawn, data = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=PAPER)
    # A palette makes the file a third as large, which is what a notebook's diff shows.
    Picture.open(drawn).convert("RGB").quantize(64, dither=Picture.Dither.NONE).save(data, format="png")
    return Image(data.getvalue(), format="png", width=round(figure.get_figwidth() * _DPI / 2), alt=alt)


def _axes(figure: Figure, box: Sequence[float]):
    axes = figure.add_axes(box)
    axes.tick_params(colors=INK, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def ladder_chart(rows: Iterable[Mapping[str, Any]], caption: str = "") -> Image:
    """Bars of TFLOP/s, one per kernel, for one workload; cuDNN's are hatched.

    `rows` are rows of `Timings`, all of one workload, in the order of the ladder. `caption` says where and
    when they were measured.
    """
    rows = list(rows)
    if not rows:
        raise ValueError("ladder_chart needs at least one row")
    names = {row["workload"] for row in rows}
    if len(names) > 1:
        raise ValueError(f"ladder_chart draws one workload, not {', '.join(sorted(names))}")
    rows = sorted(rows, key=lambda row: row["kernel"] == "cudnn")  # stable: cuDNN below the ladder

    height = 0.95 + 0.36 * len(rows) + (0.2 if caption else 0)
    figure = Figure(figsize=(7.2, height))
    bottom = (0.5 + (0.2 if caption else 0)) / height
    axes = _axes(figure, (0.24, bottom, 0.74, 1 - bottom - 0.42 / height))
    labels = [row["kernel"] if row["kernel"] != "cudnn" else f"cuDNN {row['precision']}" for row in rows]
    for position, row in enumerate(rows):
        rival = row["kernel"] == "cudnn"
        axes.barh(
            position,
            row["tflops"],
            height=0.66,
            color=RIVAL if rival else KERNEL,
            edgecolor=INK,
            linewidth=0.6,
            hatch="////" if rival else None,
        )
        text = f"{row['tflops']:.3g} TFLOP/s, {row['ms']:.3g} ms"
        if not rival:
            text += f" ({row['ratio']:.2g}x cuDNN)"
        axes.annotate(
            text,
            (row["tflops"], position),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_xlim(0, 1.9 * max(row["tflops"] for row in rows))  # room for the words behind the longest bar
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("TFLOP/s", fontsize=8, color=INK)
    figure.text(0.02, 1 - 0.24 / height, next(iter(names)), fontsize=10, fontweight="bold", color=INK)
    if caption:
        figure.text(0.02, 0.1 / height, caption, fontsize=7, color=SOFT)
    alt = f"Bar chart of {next(iter(names))} in TFLOP/s: " + "; ".join(
        f"{label} {row['tflops']:.3g}" for label, row in zip(labels, rows, strict=True)
    )
    return _image(figure, alt + (f". {caption}" if caption else "."))


def roofline(points: Iterable[Mapping[str, Any]], ceilings: Mapping[str, Any], caption: str = "") -> Image:
    """Attainable speed over arithmetic intensity, on logarithmic axes, with kernels as points.

    Args:
        points: dictionaries with name, intensity (floating-point operations per byte), tflops, and
            optionally roof, the name of the compute ceiling it is held to (the first one, if not given).
        ceilings: {"memory": GB/s, "compute": {name: TFLOP/s, ...}}.
        caption: where and when.
    """
    points = list(points)
    bandwidth = ceilings["memory"] / 1000  # TB/s: with intensity in FLOP/B this gives TFLOP/s
    compute: Mapping[str, float] = ceilings["compute"]
    ridges = [peak / bandwidth for peak in compute.values()]
    lowest = min([point["intensity"] for point in points] + ridges)
    highest = max([point["intensity"] for point in points] + ridges)
    left, right = lowest / 6, highest * 6
    peak = max(compute.values())
    slowest = min([point["tflops"] for point in points] + [left * bandwidth])

    figure = Figure(figsize=(7.2, 4.2))
    axes = _axes(figure, (0.1, 0.17, 0.87, 0.79))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(slowest / 2.5, peak * 3)
    axes.grid(which="major", color=UNTOUCHED, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.plot([left, peak / bandwidth], [left * bandwidth, peak], color=INK, linewidth=1.4)
    start = left * 1.25
    axes.annotate(
        f"memory: {ceilings['memory']:,.0f} GB/s",
        (start, start * bandwidth),
        (0, 5),
        textcoords="offset points",
        rotation=_slope_in_degrees(axes, figure),
        rotation_mode="anchor",
        fontsize=8,
        color=INK,
    )
    for style, (name, value) in zip(("-", "--", "-.", ":") * len(compute), compute.items(), strict=False):
        axes.plot([value / bandwidth, right], [value, value], color=INK, linewidth=1.4, linestyle=style)
        axes.annotate(
            f"{name}: {value:,.3g} TFLOP/s",
            (right, value),
            (-4, 4),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )
    taken: list[float] = []  # heights of the labels so far, to keep the next one clear of them
    for marker, point in zip("osD^vPX*<>" * (len(points) // 10 + 1), points, strict=False):
        roof = compute[point.get("roof", next(iter(compute)))]
        limit = min(roof, point["intensity"] * bandwidth)
        axes.plot(
            point["intensity"], point["tflops"], marker, color=KERNEL, markeredgecolor=INK, markersize=7
        )
        on_left = point["intensity"] > (left * right) ** 0.5
        low, high = axes.get_ylim()
        points_high = axes.get_position().height * figure.get_figheight() * 72
        at = math.log(point["tflops"] / low) / math.log(high / low) * points_high
        label = at
        while any(abs(label - other) < 11 for other in taken):
            label += 11
        taken.append(label)
        axes.annotate(
            f"{point['name']}: {point['tflops']:.3g} ({point['tflops'] / limit:.0%} of the roof)",
            (point["intensity"], point["tflops"]),
            (-8 if on_left else 8, label - at),
            textcoords="offset points",
            ha="right" if on_left else "left",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_xlabel("arithmetic intensity: floating-point operations per byte of memory traffic", fontsize=8)
    axes.set_ylabel("TFLOP/s", fontsize=8)
    if caption:
        figure.text(0.02, 0.02, caption, fontsize=7, color=SOFT)
    alt = (
        f"Roofline: a slope for memory at {ceilings['memory']:,.0f} GB/s, flat roofs at "
        + ", ".join(f"{value:,.3g} TFLOP/s ({name})" for name, value in compute.items())
        + "; "
        + "; ".join(
            f"{point['name']} at {point['intensity']:.3g} operations per byte: {point['tflops']:.3g} TFLOP/s"
            for point in points
        )
    )
    return _image(figure, f"{alt}." + (f" {caption}" if caption else ""))


def _slope_in_degrees(axes, figure: Figure) -> float:
    """The angle on paper of a line of slope 1 on logarithmic axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    box = axes.get_position()
    across = box.width * figure.get_figwidth() / math.log10(right / left)
    up = box.height * figure.get_figheight() / math.log10(high / low)
    return math.degrees(math.atan2(up, across))


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
    height = (
        sum(panel.height for panel in panels) + 0.22 * (len(panels) - 1) + (0.34 if title else 0.08) + 0.3
    )
    figure = Figure(figsize=(9.6, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 9.6)
    axes.set_ylim(0, height)
    axes.axis("off")
    top = height - (0.34 if title else 0.08)
    if title:
        axes.text(0.12, height - 0.1, title, fontsize=10, fontweight="bold", color=INK, va="top")
    for panel in panels:
        panel.draw(axes, top)
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
    return _image(figure, (f"{title}: " if title else "") + " ".join(panel.alt for panel in panels))


def _choose(requests: Any, select: int | Sequence[int] | None) -> list:
    requests = [requests] if hasattr(requests, "lanes") else list(requests)
    if not requests:
        raise ValueError("access_map needs at least one request; this warp touched no memory")
    if select is not None:
        return [requests[i] for i in ([select] if isinstance(select, int) else select)]
    busiest: dict[tuple, Any] = {}
    for request in requests:
        key = (request.kind, request.line, _tensor(request))
        if key not in busiest or _active(request) > _active(busiest[key]):
            busiest[key] = request
    return list(busiest.values())[:4]


def _active(request: Any) -> int:
    return sum(access is not None for access in request.lanes)


def _tensor(request: Any) -> str | None:
    return next((access.tensor for access in request.lanes if access is not None), None)


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
        lanes = _active(request)
        where = self.label or ("unknown line" if request.line is None else f"line {request.line}")
        text = f"{where}, {request.kind.replace('_', ' ')} of {_tensor(request)}: {lanes} "
        text += "lane" if lanes == 1 else "lanes"
        if self.shared:
            return f"{text}, {len(self.words)} words, {_count(request.wavefronts, 'wavefront')}"
        asked = len(self.words) * WORD
        return f"{text}, {_count(self.sectors, 'sector')}, {asked:,} of {self.sectors * SECTOR:,} bytes used"

    @property
    def alt(self) -> str:
        rows = _count(len(self.rows) + self.left_out, "row" if self.shared else "line")
        return f"{self.headline}; the words lie in {rows} of {'32 banks' if self.shared else '128 bytes'}."

    def draw(self, axes, top: float) -> None:
        axes.text(0.12, top - 0.02, self.headline, fontsize=8.5, color=INK, va="top")
        source = getattr(self.request, "source", None)
        if source:
            shown = source.strip()
            room = 150 - len(self.headline)
            shown = shown if len(shown) <= room else shown[: room - 1] + "…"
            axes.text(
                9.5, top - 0.03, shown, fontsize=6, family="monospace", color=SOFT, va="top", ha="right"
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
            x, text = edges[column], _ranges(lanes)
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _ranges(lanes: Sequence[int]) -> str:
    """[0, 1, 2, 3] is "0-3"; lanes that do not follow each other are counted: "5 lanes" is "5x"."""
    if len(lanes) == 1:
        return str(lanes[0])
    if lanes[-1] - lanes[0] == len(lanes) - 1:
        return f"{lanes[0]}-{lanes[-1]}"
    return f"{len(lanes)}x"
