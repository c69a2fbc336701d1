"""Algorithms beside each other: what they multiply against how far off they are, and who wins which layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure

from utils.plots.canvas import INK, KERNEL, PAPER, RIVAL, SOFT, UNTOUCHED, chart_axes, image

_MARKERS = "oDs^vPX"


def work_chart(points: Iterable[Mapping[str, Any]], caption: str = "") -> Image:
    """Draw errors (logarithmic) over multiplications.

    Args:
        points: dictionaries with name, work (multiplications an output and channel), error, and optionally
            chosen, for what the text is about: it is filled.
        caption: a line below.
    """
    points = list(points)
    if not points:
        raise ValueError("work_chart needs at least one point")
    figure = Figure(figsize=(7.2, 3.6))
    axes = chart_axes(figure, (0.1, 0.2 if caption else 0.14, 0.87, 0.77 if caption else 0.83))
    works, errors = [point["work"] for point in points], [point["error"] for point in points]
    axes.set_yscale("log")
    axes.set_xlim(0, 1.3 * max(works))
    axes.set_ylim(min(errors) / 3, max(errors) * 3)
    axes.grid(axis="y", color=UNTOUCHED, linewidth=0.8)
    axes.set_axisbelow(True)
    for point in points:
        face = KERNEL if point.get("chosen") else PAPER
        place = point["work"], point["error"]
        axes.plot(*place, "o", color=KERNEL, markerfacecolor=face, markeredgecolor=INK, markersize=7)
        axes.annotate(
            point["name"], place, (9, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    axes.set_xlabel("multiplications for one output and channel", fontsize=8, color=INK)
    axes.set_ylabel("largest error / largest output", fontsize=8, color=INK)
    if caption:
        figure.text(0.02, 0.02, caption, fontsize=7, color=SOFT)
    words = "; ".join(
        f"{point['name']}: {point['work']:.3g} multiplications, error {point['error']:.0e}"
        for point in points
    )
    return image(figure, f"Errors over multiplications. {words}. {caption}".rstrip())


def layers_chart(
    rows: Iterable[Mapping[str, Any]],
    algorithms: Mapping[str, Sequence[str]],
    precision: str = "fp32",
    caption: str = "",
) -> Image:
    """Draw layers below each other, on each the speed of every algorithm beside cuDNN's.

    Args:
        rows: rows of `Timings`, of several layers.
        algorithms: name -> kernels; the fastest of them counts. What has no row is left out.
        precision: the rows of this one are taken, cuDNN's too.
        caption: where and when they were measured.
    """
    rows = [row for row in rows if row["precision"] == precision]
    layers = list(dict.fromkeys(row["workload"] for row in rows))
    found: dict[str, dict[str, float]] = {layer: {} for layer in layers}
    for row in rows:
        for name, kernels in algorithms.items():
            if row["kernel"] in kernels:
                speed = row["cudnn_ms"] / row["ms"]
                found[row["workload"]][name] = max(speed, found[row["workload"]].get(name, 0))
    layers = [layer for layer in layers if found[layer]]
    if not layers:
        raise ValueError(f"layers_chart: no row of {precision} belongs to one of the algorithms")
    height = 1.15 + 0.36 * len(layers)
    figure = Figure(figsize=(7.2, height))
    axes = chart_axes(figure, (0.17, 0.62 / height, 0.8, 1 - 1.02 / height))
    axes.set_xscale("log")
    speeds = [speed for speeds in found.values() for speed in speeds.values()]
    axes.set_xlim(min([*speeds, 0.8]) / 1.4, max([*speeds, 1.25]) * 1.4)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.hlines(range(len(layers)), *axes.get_xlim(), color=UNTOUCHED, linewidth=0.8)
    axes.axvline(1, color=INK, linewidth=1.4)
    axes.annotate(
        "cuDNN", (1, -0.5), (3, 2), textcoords="offset points", fontsize=8, color=INK, annotation_clip=False
    )
    for marker, name, face in zip(
        _MARKERS, algorithms, (RIVAL, PAPER, KERNEL, PAPER, RIVAL, KERNEL, PAPER), strict=False
    ):
        places = [(found[layer][name], i) for i, layer in enumerate(layers) if name in found[layer]]
        if places:
            style = {"markerfacecolor": face, "markeredgecolor": INK, "markersize": 7, "linestyle": "none"}
            axes.plot(*zip(*places, strict=True), marker=marker, label=name, zorder=3, **style)
    axes.set_yticks(range(len(layers)), layers)
    ticks = [
        tick
        for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
        if axes.get_xlim()[0] < tick < max(speeds) * 1.4
    ]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("cuDNN's time / its time (above 1: faster than cuDNN)", fontsize=8, color=INK)
    figure.legend(
        loc="upper right", ncols=len(algorithms), fontsize=8, frameon=False, borderpad=0, handletextpad=0.1
    )
    if caption:
        figure.text(0.02, 0.06 / height, caption, fontsize=7, color=SOFT)
    words = "; ".join(
        f"{layer}: " + ", ".join(f"{name} {speed:.2g}" for name, speed in found[layer].items())
        for layer in layers
    )
    return image(
        figure, f"cuDNN's time over that of each algorithm, {precision}. {words}. {caption}".rstrip()
    )
