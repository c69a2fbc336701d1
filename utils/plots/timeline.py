"""A block's threads over its barriers: who touches which memory in which interval, and who stands by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from IPython.display import Image
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page
from utils.plots.words import counted, lane_ranges, tensor_of

# Global memory is blue, shared memory orange; what is written is darker than what is read.
COLOURS = {
    "global_load": "#6fb0e6",
    "global_store": KERNEL,
    "global_atomic": "#0b3a63",
    "shared_load": "#f4b65f",
    "shared_store": "#b35c00",
}
MOST_STEPS = 14  # columns of a picture
_WIDTH, _LEFT, _BARRIER = 9.6, 1.0, 0.24  # inches
_NARROWEST = 0.48  # a step: the picture grows wider rather


@dataclass
class _Step:
    """One column: what one line of the source does to one tensor, and how often each thread takes part."""

    line: int | None
    kind: str
    tensor: str
    times: dict[int, int] = field(default_factory=dict)

    @property
    def threads(self) -> list[int]:
        return sorted(self.times)

    def __str__(self) -> str:
        text = f"{self.kind.replace('_', ' ')} of {self.tensor}"
        return text if self.line is None else f"{text} at line {self.line}"


def thread_timeline(trace: Any, launch: int = 0, title: str = "", first: int = 0) -> Image:
    """Draw what the threads of a block do to memory between its barriers: a row a thread, time to the right.

    Args:
        trace: what `utils.simulator.trace(..., warp=None)` returned; of a single warp only that one is drawn.
        launch: which of the call's kernel launches, counted from 0.
        title: a line above the picture.
        first: the interval between barriers to begin with; the picture ends with the last one that fits.

    A column is one line's access to one tensor: blue for global memory, orange for shared memory, dark where
    it writes. Light grey is a thread that takes no part: it has left, or its branch does not come there. A
    dark bar is a barrier. Between two barriers the warps of a block run in any order.

    Raises:
        ValueError: no such launch or interval, or the traced block is not one of that launch.
    """
    intervals, barriers = _intervals(trace, launch), _barriers(trace, launch)
    if not 0 <= first < len(intervals):
        raise ValueError(f"first must be from 0 to {len(intervals) - 1}, the intervals between barriers")
    shown = range(first, first + _fitting(intervals[first:]))
    threads = _threads(trace, launch)
    columns = sum(max(len(intervals[n]), 1) for n in shown)
    bars = sum(n in barriers for n in shown)
    room = _WIDTH - _LEFT - 0.15 - bars * _BARRIER
    step = max(min(room / columns, 2.2), _NARROWEST)
    width = max(_WIDTH, _WIDTH - room + columns * step)
    lines = _sources(trace, launch, shown, intervals, barriers)

    tall = min(max(len(threads) * 0.05, 1.2), 4.4)
    height = tall + 0.95 + 0.16 * len(lines) + 0.45 + (0.3 if title else 0)
    figure, axes = page(width, height)
    top = height - 0.1
    if title:
        axes.text(0.12, top, title, fontsize=10, fontweight="bold", color=INK, va="top")
        top -= 0.3
    top -= 0.78

    _label_warps(axes, threads, top, tall)
    x = _LEFT
    for n in shown:
        x = _draw_interval(axes, intervals[n], n, threads, x, top, tall, step)
        if n in barriers:
            axes.add_patch(Rectangle((x, top - tall), _BARRIER, tall, facecolor=INK))
            axes.text(
                x + _BARRIER / 2,
                top - tall / 2,
                f"barrier, line {barriers[n].line}",
                fontsize=7,
                color=PAPER,
                rotation=90,
                ha="center",
                va="center",
            )
            x += _BARRIER
    y = top - tall - 0.16
    for line, source in lines:
        axes.text(0.12, y, f"line {line}", fontsize=6.5, color=INK, va="center")
        axes.text(0.75, y, _cut(source, 140), fontsize=6.5, family="monospace", color=INK, va="center")
        y -= 0.16
    left_out = len(intervals) - shown.stop
    _legend(axes, {step.kind for n in shown for step in intervals[n]}, left_out)
    return image(figure, _alt(trace, launch, title, shown, intervals, barriers, threads))


def _intervals(trace: Any, launch: int) -> list[list[_Step]]:
    """The steps of each interval between barriers, in the order in which the warps come to them."""
    if not hasattr(trace, "barriers"):
        raise ValueError("thread_timeline draws what trace(fn, ..., warp=None) returns, not a part of it")
    if not 0 <= launch < len(trace.launches):
        raise ValueError(
            f"there is no launch {launch}: the call made {counted(len(trace.launches), 'launch')}"
        )
    grid = trace.launches[launch].grid
    if any(n >= size for n, size in zip(trace.block, grid, strict=True)):
        raise ValueError(f"launch {launch} has no block {trace.block}: its grid is {grid}")
    requests = [request for request in trace if request.launch == launch]
    ends = [barrier.epoch for barrier in trace.barriers if barrier.launch == launch]
    steps: list[dict[tuple, _Step]] = [{} for _ in range(len(ends) + 1)]
    places: dict[tuple, int] = {}  # how many other steps the warp had begun before this one, at least
    begun: dict[tuple[int, int], list[tuple]] = {}
    for request in requests:
        key = (request.line, request.kind, tensor_of(request))
        mine = begun.setdefault((request.epoch, request.warp), [])
        if key not in mine:
            mine.append(key)
            place = (request.epoch, key)
            places[place] = min(places.get(place, len(mine)), len(mine))
        step = steps[request.epoch].setdefault(key, _Step(*key))
        for lane, access in enumerate(request.lanes):
            if access is not None:
                thread = 32 * request.warp + lane
                step.times[thread] = step.times.get(thread, 0) + 1
    return [
        [
            step
            for key, step in sorted(found.items(), key=lambda item: (places[epoch, item[0]], item[0][0] or 0))
        ]
        for epoch, found in enumerate(steps)
    ]


def _barriers(trace: Any, launch: int) -> dict[int, Any]:
    return {barrier.epoch: barrier for barrier in trace.barriers if barrier.launch == launch}


def _threads(trace: Any, launch: int) -> range:
    x, y, z = trace.launches[launch].block
    every = range(x * y * z)
    return every if trace.warp is None else every[32 * trace.warp : 32 * trace.warp + 32]


def _fitting(intervals: list[list[_Step]]) -> int:
    """How many intervals fit side by side: one at least."""
    columns = 0
    for n, steps in enumerate(intervals):
        columns += max(len(steps), 1)
        if columns > MOST_STEPS:
            return max(n, 1)
    return len(intervals)


def _sources(trace: Any, launch: int, shown: range, intervals, barriers) -> list[tuple[int, str]]:
    """The lines of the source that the picture names, in their order."""
    wanted = {step.line for n in shown for step in intervals[n]}
    lines = {r.line: r.source for r in trace if r.launch == launch and r.line in wanted and r.line}
    lines |= {barriers[n].line: barriers[n].source for n in shown if n in barriers}
    return sorted(lines.items())


def _label_warps(axes, threads: range, top: float, tall: float) -> None:
    each = tall / len(threads)
    for start in range(threads.start, threads.stop, 32):
        stop = min(start + 32, threads.stop)
        middle = top - ((start + stop) / 2 - threads.start) * each
        small = 32 * each < 0.26
        name = f"warp {start // 32}" + ("" if small else f"\nthreads {start}-{stop - 1}")
        size = 6 if small else 7
        axes.text(_LEFT - 0.08, middle, name, fontsize=size, color=INK, ha="right", va="center")


def _draw_interval(axes, steps: list[_Step], number: int, threads: range, x, top, tall, width) -> float:
    """Draws one interval from x on; returns where it ends."""
    columns = max(len(steps), 1)
    middle = x + columns * width / 2
    axes.text(middle, top + 0.72, f"interval {number}", fontsize=8, color=INK, ha="center", va="center")
    axes.plot([x + 0.03, x + columns * width - 0.03], [top + 0.62] * 2, color=SOFT, linewidth=0.8)
    axes.add_patch(Rectangle((x, top - tall), columns * width, tall, facecolor=UNTOUCHED))
    each = tall / len(threads)
    for n, step in enumerate(steps):
        left = x + n * width
        most = max(step.times.values())
        kind, name = step.kind.replace("_", " "), _cut(step.tensor, int(width / 0.055))
        where = "" if step.line is None else f"line {step.line}"
        often = f" x{most}" if most > 1 else ""
        label = f"{where}{often}\n{kind if width >= 0.72 else kind.replace(' ', chr(10))}\n{name}"
        axes.text(left + width / 2, top + 0.05, label, fontsize=6.2, color=INK, ha="center", va="bottom")
        for start, stop in _runs(step.threads):
            high = max((stop - start) * each, 0.03)  # one thread of many shall be seen, too
            corner = (left + 0.03, max(top - (start - threads.start) * each - high, top - tall))
            axes.add_patch(Rectangle(corner, width - 0.06, high, facecolor=COLOURS[step.kind]))
    if not steps:
        axes.text(
            middle, top + 0.05, "no access\nto memory", fontsize=6.2, color=SOFT, ha="center", va="bottom"
        )
    for border in range(threads.start + 32, threads.stop, 32):
        y = top - (border - threads.start) * each
        axes.plot([x, x + columns * width], [y, y], color=PAPER, linewidth=0.9, solid_capstyle="butt")
    return x + columns * width


def _runs(threads: list[int]) -> list[tuple[int, int]]:
    """Neighbours together: [0, 1, 2, 7] gives (0, 3) and (7, 8)."""
    runs: list[tuple[int, int]] = []
    for thread in threads:
        if runs and runs[-1][1] == thread:
            runs[-1] = (runs[-1][0], thread + 1)
        else:
            runs.append((thread, thread + 1))
    return runs


def _legend(axes, kinds: set[str], left_out: int) -> None:
    x = 0.12
    for kind, colour in {**COLOURS, "takes no part": UNTOUCHED}.items():
        if kind in kinds or kind not in COLOURS:
            axes.add_patch(Rectangle((x, 0.11), 0.16, 0.12, facecolor=colour))
            axes.text(x + 0.22, 0.17, kind.replace("_", " "), fontsize=7, color=SOFT, va="center")
            x += 1.05
    if left_out:
        text = f"{counted(left_out, 'more interval')} not drawn"
        axes.text(9.5, 0.17, text, fontsize=7, color=SOFT, va="center", ha="right")


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _alt(trace: Any, launch: int, title: str, shown: range, intervals, barriers, threads: range) -> str:
    name, total = trace.launches[launch].name, len(threads)
    what = f"{total} threads of block {trace.block} of {name}"
    parts = []
    for n in shown:
        doing = [f"{step} by {_who(step.threads, threads)}" for step in intervals[n]]
        parts.append(f"interval {n}: " + (", ".join(doing) or "no access to memory"))
        if n in barriers:
            parts.append(f"barrier at line {barriers[n].line}")
    left_out = len(intervals) - shown.stop
    if left_out:
        parts.append(f"{counted(left_out, 'more interval')} not drawn")
    return (f"{title}: " if title else "") + f"Timeline of {what}: " + "; ".join(parts) + "."


def _who(some: list[int], threads: range) -> str:
    if len(some) == len(threads):
        return "all threads"
    if len(some) == 1:
        return f"thread {some[0]}"
    named = lane_ranges(some)
    return f"threads {named}" if "-" in named else f"{len(some)} of {len(threads)} threads"
