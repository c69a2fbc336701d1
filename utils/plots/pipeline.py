"""A pipeline in steps: which tile lies in which buffer, from a trace; and what overlap could be, modelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, PAPER, SOFT, UNTOUCHED, chart_axes, image, page
from utils.plots.timeline import COLOURS
from utils.plots.words import counted

_LOAD, _STORE, _MULTIPLY = COLOURS["global_load"], COLOURS["shared_store"], COLOURS["shared_load"]
_FACES = {"load": _LOAD, "store": _STORE, "stage": _STORE, "copy": _STORE, "multiply": _MULTIPLY}
_WORDS = {
    "load": "load tile {} into registers",
    "store": "store tile {} into buffer {}",
    "stage": "load tile {} and store it into buffer {}",
    "copy": "start to copy tile {} into buffer {}",
    "multiply": "multiply tile {} of buffer {}",
}
_LEGEND = {
    "load": "load into registers",
    "store": "store into shared memory",
    "stage": "load, wait, store",
    "copy": "start to copy",
    "multiply": "multiply",
}
MOST_COLUMNS = 22


@dataclass(frozen=True)
class _Phase:
    """What a warp does at a time: one action on one tile."""

    interval: int
    action: str
    tile: int
    buffer: int | None


def stage_timeline(trace: Any, array: str, stage_bytes: int, title: str = "", source: str = "input") -> Image:
    """Draw which tile a block loads, stores and multiplies between its barriers, in the order of the program.

    Args:
        trace: what `utils.simulator.trace(...)` returned; its last launch is drawn.
        array: the name of the array in shared memory that holds the tiles.
        stage_bytes: of one tile in it; so it says which buffer an address lies in.
        title: a line above the picture.
        source: the tensor that the tiles come from.

    A row is a buffer, a column one thing that the block's first traced warp does, a dark bar a barrier. The
    number is the tile's. White: the tile lies there. Hatched: it is under way, to registers or as a copy. The
    width of a column means nothing: a trace knows the order, not the time.

    Raises:
        ValueError: nothing of the array was traced.
    """
    phases = _phases(trace, array, stage_bytes, source)
    if not any(phase.action == "multiply" for phase in phases):
        raise ValueError(f"no warp of the trace reads {array!r}")
    shown = phases[:MOST_COLUMNS]
    buffers = 1 + max(phase.buffer or 0 for phase in phases)
    rows = [f"buffer {n}" for n in range(buffers)]
    registers = any(phase.action == "load" for phase in phases)
    rows += ["registers"] if registers else []

    each, bar, tall, left = 0.36, 0.15, 0.34, 0.95
    places, x = [], left
    for n, phase in enumerate(shown):
        x += bar if n and phase.interval != shown[n - 1].interval else 0
        places.append(x)
        x += each
    width, top = max(x + 0.2, 6.9), 0.62 if title else 0.32
    height = top + tall * len(rows) + 0.42
    figure, axes = page(width, height, downwards=True)
    if title:
        axes.text(0.12, 0.2, title, fontsize=10, fontweight="bold", color=INK, va="center")
    for row, name in enumerate(rows):
        y = top + row * tall
        axes.text(left - 0.1, y + tall / 2, name, fontsize=8, color=INK, ha="right", va="center")
        axes.add_patch(Rectangle((left, y + 0.03), x - left, tall - 0.06, facecolor=UNTOUCHED))
    for n, phase in enumerate(shown):
        _draw_life(axes, phase, n, shown, places, each, top, tall, buffers, cut=len(shown) < len(phases))
    for n, phase in enumerate(shown):
        row = buffers if phase.buffer is None else phase.buffer
        y = top + row * tall + 0.03
        face = _FACES[phase.action]
        axes.add_patch(Rectangle((places[n] + 0.02, y), each - 0.04, tall - 0.06, facecolor=face))
        ink = PAPER if face == _STORE else INK
        middle = places[n] + each / 2
        axes.text(middle, y + tall / 2 - 0.03, phase.tile, fontsize=8, color=ink, ha="center", va="center")
        if n and phase.interval != shown[n - 1].interval:
            axes.add_patch(Rectangle((places[n] - bar + 0.04, top), 0.07, tall * len(rows), facecolor=INK))
    _legend(axes, shown, height - 0.2, left_out=len(phases) - len(shown), width=width)
    return image(figure, _alt(trace, title, shown, len(phases) - len(shown)))


def _phases(trace: Any, array: str, stage_bytes: int, source: str) -> list[_Phase]:
    last = len(trace.launches) - 1
    mine = [request for request in trace if request.launch == last]
    warp = min((request.warp for request in mine), default=0)
    mine = [request for request in mine if request.warp == warp]
    touched = [request for request in mine if _first(request).tensor == array]
    stores = {request.line for request in touched if request.kind == "shared_store"}
    phases: list[_Phase] = []
    filled: dict[int, int] = {}  # buffer -> its tile
    loaded = stored = 0
    previous = None
    for request in mine:
        first = _first(request)
        if request.kind == "global_load" and first.tensor == source and request.line not in stores:
            action, buffer = "load", None
        elif first.tensor == array and request.kind == "shared_store":
            direct = any(r.line == request.line and r.kind == "global_load" for r in mine)
            action = "copy" if "async" in (request.source or "") else "stage" if direct else "store"
            buffer = first.offset // stage_bytes
        elif first.tensor == array and request.kind == "shared_load":
            action, buffer = "multiply", first.offset // stage_bytes
        else:
            continue
        if (request.epoch, action, buffer) == previous:
            continue
        previous = request.epoch, action, buffer
        if action == "load":
            tile, loaded = loaded, loaded + 1
        elif action == "multiply":
            tile = filled.get(buffer, 0)
        else:
            tile, stored = stored, stored + 1
            filled[buffer] = tile
        phases.append(_Phase(request.epoch, action, tile, buffer))
    return phases


def _first(request: Any) -> Any:
    return next(lane for lane in request.lanes if lane)


def _draw_life(axes, phase, n, shown, places, each, top, tall, buffers, cut) -> None:
    """From where a tile begins to be somewhere to where it is needed no more: hatched, then white."""
    if phase.action == "multiply":
        return
    later = range(n + 1, len(shown))
    if phase.action == "load":
        end = next((m for m in later if shown[m].action == "store" and shown[m].tile == phase.tile), None)
        row = buffers
    else:
        reads = [m for m in later if shown[m].action == "multiply" and shown[m].tile == phase.tile]
        end = reads[0] if reads else None
        row = phase.buffer
    if end is None and not cut:
        return
    start = places[n] + each
    stop = places[end] if end is not None else places[-1] + each
    y = top + row * tall + tall / 2
    style = {"facecolor": PAPER, "edgecolor": SOFT, "linewidth": 0.6}
    if phase.action in ("load", "copy"):
        style |= {"hatch": "//////"}
        if end is not None and phase.action == "copy":  # a wait, then a barrier: there it has arrived
            first = next(m for m, other in enumerate(shown) if other.interval == shown[end].interval)
            stop = max(start, places[first] - 0.11)
    if stop - start > 0.03:
        axes.add_patch(Rectangle((start, y - 0.07), stop - start, 0.14, **style))
    if phase.action == "copy" and end is not None and places[end] - stop > 0.03:
        axes.add_patch(
            Rectangle(
                (stop, y - 0.07), places[end] - stop, 0.14, facecolor=PAPER, edgecolor=SOFT, linewidth=0.6
            )
        )


def _legend(axes, shown, y, left_out, width) -> None:
    x = 0.12
    for action in dict.fromkeys(phase.action for phase in shown):
        axes.add_patch(Rectangle((x, y - 0.06), 0.16, 0.12, facecolor=_FACES[action]))
        axes.text(x + 0.21, y, _LEGEND[action], fontsize=7, color=SOFT, va="center")
        x += 0.36 + 0.063 * len(_LEGEND[action])
    if any(phase.action in ("load", "copy") for phase in shown):
        style = {"facecolor": PAPER, "edgecolor": SOFT, "linewidth": 0.6, "hatch": "//////"}
        axes.add_patch(Rectangle((x, y - 0.06), 0.16, 0.12, **style))
        axes.text(x + 0.21, y, "under way", fontsize=7, color=SOFT, va="center")
        x += 0.95
    axes.add_patch(Rectangle((x, y - 0.06), 0.16, 0.12, facecolor=PAPER, edgecolor=SOFT, linewidth=0.6))
    axes.text(x + 0.21, y, "lies there", fontsize=7, color=SOFT, va="center")
    x += 0.9
    axes.add_patch(Rectangle((x + 0.05, y - 0.08), 0.06, 0.16, facecolor=INK))
    axes.text(x + 0.18, y, "barrier", fontsize=7, color=SOFT, va="center")
    if left_out:
        text = f"{counted(left_out, 'more column')} not drawn"
        axes.text(width - 0.1, y, text, fontsize=7, color=SOFT, va="center", ha="right")


def _alt(trace: Any, title: str, shown: Sequence[_Phase], left_out: int) -> str:
    parts, interval = [], -1
    for phase in shown:
        words = _WORDS[phase.action].format(phase.tile, phase.buffer)
        if phase.interval != interval:
            parts.append(f"{'barrier; ' if parts else ''}{words}")
            interval = phase.interval
        else:
            parts[-1] += f", {words}"
    name = trace.launches[-1].name
    text = (f"{title}: " if title else "") + f"Order of one warp's work in {name}: " + "; ".join(parts)
    return text + (f"; {counted(left_out, 'more step')} not drawn." if left_out else ".")


@dataclass(frozen=True)
class Overlap:
    """A modelled multiprocessor: blocks that wait for tiles and multiply them, one block at a time.

    Attributes:
        latency: from the start of a tile's loads to their arrival.
        multiply: how long the multiprocessor multiplies one tile of one block.
        stages: tiles of a block in shared memory; with 1 a tile's loads start when the last one is done.
        blocks: that share the multiprocessor.
        steps: tiles of a block.
        late: with 2 stages or more, the loads start after the multiplication, not before it.
    """

    latency: int
    multiply: int
    stages: int = 1
    blocks: int = 1
    steps: int = 4
    late: bool = False

    def bars(self) -> list[tuple[int, int, int, int, int]]:
        """(block, step, loads start, multiplication starts, multiplication ends), in the order of time."""
        free = 0
        begun: list[list[int]] = [[] for _ in range(self.blocks)]
        done: list[list[int]] = [[] for _ in range(self.blocks)]
        found = []
        for _ in range(self.blocks * self.steps):
            ready = []
            for block in range(self.blocks):
                step = len(done[block])
                if step < self.steps:
                    start = self._loads_start(step, begun[block], done[block])
                    last = done[block][-1] if step else 0
                    ready.append((max(start + self.latency, last), step, block, start))
            arrived, step, block, start = min(ready)
            begin = max(arrived, free)
            free = begin + self.multiply
            begun[block].append(begin)
            done[block].append(free)
            found.append((block, step, start, begin, free))
        return found

    def _loads_start(self, step: int, begun: list[int], done: list[int]) -> int:
        ahead = max(self.stages - 1, 1)
        if step < self.stages - 1 or step == 0:
            return 0
        after = done if self.stages == 1 or self.late else begun
        return after[step - ahead]

    @property
    def total(self) -> int:
        return max(end for *_, end in self.bars())

    @property
    def busy(self) -> float:
        """The part of the time in which something is multiplied."""
        return self.blocks * self.steps * self.multiply / self.total


def overlap_chart(rows: Mapping[str, Overlap], title: str = "", unit: str = "cycles") -> Image:
    """Draw modelled multiprocessors below each other: when each block's tiles are under way, when multiplied.

    Args:
        rows: a name for each `Overlap`.
        title: a line above the picture, which says `modelled` in any case.
        unit: of the latencies and multiplications.
    """
    lanes = sum(model.blocks for model in rows.values())
    height = 0.95 + 0.3 * lanes + 0.3 * len(rows)
    figure = Figure(figsize=(9.2, height))
    axes = chart_axes(figure, (0.2, 0.5 / height, 0.78, 1 - 0.95 / height))
    end = max(model.total for model in rows.values())
    y, marks, words = 0.0, [], []
    for name, model in rows.items():
        middle = y + (model.blocks - 1) / 2
        label = f"{name}\n{model.busy:.0%} of the time multiplied"
        marks.append((middle, label))
        words.append(f"{name}: {model.total:,} {unit}, {model.busy:.0%} of them multiplied")
        for block, step, start, begin, stop in model.bars():
            lane = y + block
            style = {"facecolor": PAPER, "edgecolor": SOFT, "linewidth": 0.5, "hatch": "//////"}
            axes.add_patch(Rectangle((start, lane - 0.42), model.latency, 0.26, **style))
            box = {"facecolor": _MULTIPLY, "edgecolor": PAPER, "linewidth": 0.6}
            axes.add_patch(Rectangle((begin, lane - 0.16), stop - begin, 0.52, **box))
            axes.text((begin + stop) / 2, lane + 0.1, step, fontsize=7, color=INK, ha="center", va="center")
        y += model.blocks + 0.9
    axes.set_xlim(0, end * 1.01)
    axes.set_ylim(y - 0.9 + 0.1, -0.75)
    axes.set_yticks([at for at, _ in marks], [label for _, label in marks], fontsize=7.5, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        f"{unit}, modelled; hatched: a tile's loads are under way; number: the tile multiplied",
        fontsize=8,
        color=INK,
    )
    text = f"Modelled, not measured. {title}".strip()
    figure.text(0.02, 1 - 0.24 / height, text, fontsize=10, fontweight="bold", color=INK)
    return image(figure, f"{text}: " + "; ".join(words) + ".")
