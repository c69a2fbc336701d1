"""What pictures of requests say in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def active_lanes(request: Any) -> int:
    return sum(access is not None for access in request.lanes)


def tensor_of(request: Any) -> str | None:
    return next((access.tensor for access in request.lanes if access is not None), None)


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def lane_ranges(lanes: Sequence[int]) -> str:
    """[0, 1, 2, 3] is "0-3"; lanes that do not follow each other are counted: "5 lanes" is "5x"."""
    if len(lanes) == 1:
        return str(lanes[0])
    if lanes[-1] - lanes[0] == len(lanes) - 1:
        return f"{lanes[0]}-{lanes[-1]}"
    return f"{len(lanes)}x"
