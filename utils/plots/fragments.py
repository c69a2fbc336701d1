"""The matrices of one tensor-core instruction: which lane of the warp holds which element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.display import Image
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page

BAND = "#dbe7f2"  # every second group of four lanes; between UNTOUCHED and KERNEL in grey
_CELL, _GAP = 0.235, 0.75  # inches


def fragment_map(requests: Any, shapes: Mapping[str, tuple[int, int]], lane: int, title: str = "") -> Image:
    """Draw a x b = sum as a warp holds them: in every element the lane that touches it.

    Args:
        requests: what `trace` returned for a kernel in which each lane loads its elements of two matrices
            from global memory and stores those of the third, 4 bytes at a time.
        shapes: the matrices' names in that kernel and their rows and columns, in the order a, b, sum.
        lane: its elements are marked, numbered in the order in which it touches them.
        title: a line above the picture.

    Raises:
        ValueError: an element that no lane or more than one touches, or not three matrices.
    """
    if len(shapes) != 3:
        raise ValueError(f"fragment_map draws three matrices, a, b and their product, not {len(shapes)}")
    held = {name: _holders(requests, name, shape) for name, shape in shapes.items()}
    (a, b, total), (rows, inner), (_, columns) = held, *list(shapes.values())[:2]
    width = 0.75 + _CELL * (inner + columns) + _GAP + 0.3
    height = _CELL * (rows + inner) + _GAP + 0.75 + (0.3 if title else 0)
    figure, axes = page(width, height)
    top = height - 0.1
    if title:
        axes.text(0.12, top, title, fontsize=10, fontweight="bold", color=INK, va="top")
        top -= 0.3
    left, right = 0.55, 0.55 + _CELL * inner + _GAP
    top -= 0.25
    _draw(axes, b, held[b], shapes[b], lane, right, top)
    low = top - _CELL * inner - _GAP
    _draw(axes, a, held[a], shapes[a], lane, left, low)
    _draw(axes, total, held[total], shapes[total], lane, right, low)
    note = f"number: the lane; dark: lane {lane},\nits registers counted from 0"
    axes.text(0.12, top, note, fontsize=7, color=SOFT, va="top")
    said = "; ".join(
        f"{name}, {shapes[name][0]} x {shapes[name][1]}: lane {lane} has (row, column) "
        + ", ".join(map(str, (place for place, who in _in_order(held[name]) if who == lane)))
        for name in held
    )
    return image(figure, (f"{title}: " if title else "") + said + ".")


def _holders(requests: Any, name: str, shape: tuple[int, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(row, column) -> (the lane that touches it, how many of this matrix it has touched before)."""
    places: dict[tuple[int, int], tuple[int, int]] = {}
    seen = [0] * 32
    for request in requests:
        for lane, access in enumerate(request.lanes):
            if access is None or access.tensor != name:
                continue
            place = divmod(access.offset // 4, shape[1])
            if place in places:
                raise ValueError(f"lanes {places[place][0]} and {lane} both touch {name}{list(place)}")
            places[place] = lane, seen[lane]
            seen[lane] += 1
    if len(places) != shape[0] * shape[1]:
        raise ValueError(f"{len(places)} of {shape[0] * shape[1]} elements of {name} are touched")
    return places


def _in_order(places: dict[tuple[int, int], tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    return [(place, lane) for place, (lane, _) in sorted(places.items(), key=lambda item: item[1])]


def _draw(axes, name: str, places, shape: tuple[int, int], chosen: int, left: float, top: float) -> None:
    rows, columns = shape
    heading = f"{name}: {rows} x {columns}"
    axes.text(left, top + 0.18, heading, fontsize=8.5, color=INK, va="bottom")
    for column in range(columns):
        x = left + _CELL * (column + 0.46)
        axes.text(x, top + 0.03, str(column), fontsize=5.5, color=SOFT, ha="center", va="bottom")
    for row in range(rows):
        middle = top - _CELL * (row + 0.5)
        axes.text(left - 0.06, middle, str(row), fontsize=5.5, color=SOFT, ha="right", va="center")
        for column in range(columns):
            lane, turn = places[row, column]
            mine = lane == chosen
            face = KERNEL if mine else BAND if lane // 4 % 2 else UNTOUCHED
            x = left + _CELL * column
            axes.add_patch(
                Rectangle((x, top - _CELL * (row + 1)), 0.92 * _CELL, 0.92 * _CELL, facecolor=face)
            )
            text, ink = (f"r{turn}", PAPER) if mine else (str(lane), INK)
            axes.text(
                x + _CELL * 0.46,
                middle + _CELL * 0.02,
                text,
                fontsize=6.5,
                fontweight="bold" if mine else "normal",
                color=ink,
                ha="center",
                va="center",
            )
