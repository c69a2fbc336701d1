"""What CPU and GPU do at the same time: one lane each, as a stand-in GPU recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, RIVAL, SOFT, image

_LANES = {"cpu": 1.0, "gpu": 0.0}
_READABLE = 0.075  # of the whole width: a narrower box has no room for its name
_FACES = {"kernel": KERNEL, "flush": RIVAL, "wait": PAPER}


def queue_timeline(
    gpu: Any, title: str = "", marks: Mapping[str, tuple[float, float]] | None = None
) -> Image:
    """Draw what a `utils.stand_in.StandInGpu` has recorded.

    Args:
        gpu: the stand-in, after the calls that are to be shown.
        title: a line above the picture.
        marks: what was measured: a name, and from when to when; drawn as an arrow below the lanes.

    Raises:
        ValueError: nothing was recorded.
    """
    if not gpu.trace:
        raise ValueError("this stand-in has done nothing yet: there is nothing to draw")
    marks = dict(marks or {})
    end = max([span.end for span in gpu.trace] + [stop for _, stop in marks.values()])
    narrow = [s for s in gpu.trace if s.who == "cpu" and 0 < s.end - s.start <= _READABLE * end]
    longest = max((len(span.what) for span in narrow), default=0)  # written upwards, above their boxes
    above = 0.057 * longest  # inches
    low = -0.45 - 0.42 * len(marks)
    scale = (1.0 + 0.32 * len(marks)) / (1.95 - low)  # inches a unit
    height = 1.9 + 0.32 * len(marks) + above
    figure = Figure(figsize=(8.4, height))
    axes = figure.add_axes((0.06, 0.5 / height, 0.92, 1 - 0.9 / height))
    axes.set_xlim(0, end * 1.04)
    axes.set_ylim(low, 1.95 + above / scale)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([0.3, 1.3], ["GPU", "CPU"], fontsize=9, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8, colors=INK)
    axes.set_xlabel("ms", fontsize=8, color=INK)
    for span in gpu.trace:
        y, width = _LANES[span.who], span.end - span.start
        style = ":" if span.what == "wait" else "-"
        face = _FACES.get(span.what, "#f4b65f")
        box = {"facecolor": face, "edgecolor": INK, "linewidth": 0.7, "linestyle": style}
        axes.add_patch(Rectangle((span.start, y), width, 0.6, **box))
        if span in narrow:
            axes.text(
                span.start + width / 2, 1.68, span.what, fontsize=7, color=INK, ha="center", rotation=90
            )
        elif width > _READABLE * end:
            ink = PAPER if face == KERNEL else INK
            middle = span.start + width / 2
            size = 8 if width > 0.12 * end else 7
            axes.text(middle, y + 0.3, span.what, fontsize=size, color=ink, ha="center", va="center")
    for number, event in enumerate(gpu.events, start=1):
        axes.plot([event.time, event.time], [-0.12, 0.72], color=INK, linewidth=1.8)
        text = f"event {number}"
        axes.text(event.time, 0.76, text, fontsize=7.5, color=INK, ha="center", va="bottom")
    for number, (name, (start, stop)) in enumerate(marks.items()):
        y = -0.5 - 0.42 * number
        arrow = {"arrowstyle": "|-|,widthA=0.25,widthB=0.25", "color": INK, "linewidth": 1.0}
        arrow |= {"shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (start, y), (stop, y), arrowprops=arrow)
        text = f"{name}: {stop - start:.2f} ms"
        if stop - start > 0.5 * end:
            at, align = (start + stop) / 2, "center"
        else:
            at, align = (stop + 0.012 * end, "left") if stop < 0.6 * end else (start - 0.012 * end, "right")
        behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 2}
        axes.text(at, y, text, fontsize=8, color=INK, ha=align, va="center", bbox=behind)
    if title:
        figure.text(0.02, 1 - 0.26 / height, title, fontsize=10, fontweight="bold", color=INK)
    note = "a stand-in with invented durations"
    figure.text(0.98, 1 - 0.24 / height, note, fontsize=7.5, color=SOFT, ha="right")
    return image(figure, _words(gpu, title, marks))


def _words(gpu: Any, title: str, marks: Mapping[str, tuple[float, float]]) -> str:
    lanes = [
        f"{who.upper()}: "
        + ", ".join(f"{s.what} {s.start:.2f} to {s.end:.2f} ms" for s in gpu.trace if s.who == who)
        for who in _LANES
    ]
    if gpu.events:
        lanes.append("events at " + ", ".join(f"{event.time:.2f}" for event in gpu.events) + " ms")
    lanes += [f"{name}: {stop - start:.2f} ms" for name, (start, stop) in marks.items()]
    return f"Timeline of a stand-in GPU{': ' + title if title else ''}. " + "; ".join(lanes) + "."
