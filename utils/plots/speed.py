"""How fast kernels are: the ladder as a bar chart, and the roofline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from IPython.display import Image
from matplotlib.figure import Figure

from utils.plots.canvas import INK, KERNEL, PAPER, RIVAL, SOFT, UNTOUCHED, chart_axes, image


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
    axes = chart_axes(figure, (0.24, bottom, 0.74, 1 - bottom - 0.42 / height))
    labels = [_label(row) for row in rows]
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
    return image(figure, alt + (f". {caption}" if caption else "."))


def _label(row: Mapping[str, Any]) -> str:
    if row["kernel"] == "cudnn":
        return f"cuDNN {row['precision']}"
    return row["kernel"] if row["precision"] == "fp32" else f"{row['kernel']} {row['precision']}"


def roofline(points: Iterable[Mapping[str, Any]], ceilings: Mapping[str, Any], caption: str = "") -> Image:
    """Attainable speed over arithmetic intensity, on logarithmic axes, with kernels as points.

    Args:
        points: dictionaries with name, intensity (floating-point operations per byte), tflops, and
            optionally roof, the name of the compute ceiling it is held to (the first one, if not given).
            With group as well, one group is one kernel on several layers: a marker and a legend for each
            group, and every name once, on a line at its intensity.
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
    groups = list(dict.fromkeys(point["group"] for point in points if "group" in point))

    figure = Figure(figsize=(7.2, 4.2))
    axes = chart_axes(figure, (0.1, 0.17, 0.87, 0.79))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(slowest / (12 if groups else 2.5), peak * 3)  # room for the layers' names
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
    _draw_groups(axes, [point for point in points if "group" in point], groups)
    taken: list[float] = []  # heights of the labels so far, to keep the next one clear of them
    single = [point for point in points if "group" not in point]
    for marker, point in zip("osD^vPX*<>" * (len(single) // 10 + 1), single, strict=False):
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
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},  # legible where it crosses a line
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
            f"{point['group'] + ', ' if 'group' in point else ''}{point['name']}"
            f" at {point['intensity']:.3g} operations per byte: {point['tflops']:.3g} TFLOP/s"
            for point in points
        )
    )
    return image(figure, f"{alt}." + (f" {caption}" if caption else ""))


def _draw_groups(axes, points: list[Mapping[str, Any]], groups: list[str]) -> None:
    """Layers as dotted lines with their names at the foot, kernels as markers on them."""
    low, _ = axes.get_ylim()
    for name, intensity in {point["name"]: point["intensity"] for point in points}.items():
        axes.axvline(intensity, color=SOFT, linewidth=0.7, linestyle=":", zorder=0)
        at = (intensity, low)
        axes.annotate(
            name, at, (-2, 3), textcoords="offset points", rotation=90, ha="right", fontsize=7.5, color=INK
        )
    for marker, group in zip("os^Dv", groups, strict=False):
        chosen = [point for point in points if point["group"] == group]
        xs, ys = ([point[key] for point in chosen] for key in ("intensity", "tflops"))
        style = {"markerfacecolor": KERNEL if marker in "o^v" else RIVAL, "markeredgecolor": INK}
        axes.plot(xs, ys, marker, markersize=7, label=group, **style)
    if groups:
        axes.legend(loc="upper left", fontsize=8, frameon=False)


def _slope_in_degrees(axes, figure: Figure) -> float:
    """The angle on paper of a line of slope 1 on logarithmic axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    box = axes.get_position()
    across = box.width * figure.get_figwidth() / math.log10(right / left)
    up = box.height * figure.get_figheight() / math.log10(high / low)
    return math.degrees(math.atan2(up, across))
