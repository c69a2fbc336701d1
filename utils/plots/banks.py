"""Shared memory as its 32 banks see it: which lanes meet in a bank, and in which pass each is served."""

from __future__ import annotations

from typing import Any

from IPython.display import Image
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page
from utils.plots.words import active_lanes, counted, lane_ranges, tensor_of

BANKS, WORD = 32, 4  # a bank delivers one word of 4 bytes a pass
LAST_PASS = "#cfe3f5"  # the first is KERNEL, and the passes between them lie between in brightness
MOST_ROWS = 40
_WIDTH, _LEFT, _CELL, _ROW = 9.6, 1.15, 8.35 / BANKS, 0.2  # inches


def bank_grid(
    requests: Any, select: int | None = None, title: str = "", row_length: int | None = None
) -> Image:
    """Draw one request to shared memory on its 32 banks: a column a bank, in a word the lane that touches it.

    Args:
        requests: what `utils.simulator.trace` returned, or one of its requests.
        select: which of them to draw, by position; by default the request to shared memory that takes most
            passes, the first of these.
        title: a line above the picture.
        row_length: elements of 4 bytes in a row of the array (33 for `float tile[32][33]`): a bar marks where
            each row begins.

    Words in different banks are served in one pass, different words of one bank in one pass each: the
    brighter a word, the later it is its turn. Which word goes first is the hardware's choice; here it is the
    lowest. "0-31" in a word means that all of these lanes touch it, which costs nothing. Of accesses of 8 or
    16 bytes a lane, half or a quarter of the warp is served at a time (twice as much where loading lanes
    share their words with a neighbour).

    Raises:
        ValueError: there is no request to shared memory, or the chosen one is to global memory.
    """
    request = _choose(requests, select)
    words = _words(request)
    served, together = _passes(request)
    first, last = min(words) // BANKS, max(words) // BANKS
    rows = range(first, min(last + 1, first + MOST_ROWS))
    height = _ROW * (len(rows) + 2) + 0.8 + (0.3 if title else 0)
    figure, axes = page(_WIDTH, height)

    headline = (
        f"line {request.line}, {request.kind.replace('_', ' ')} of {tensor_of(request)}:"
        f" {counted(active_lanes(request), 'lane')}, {counted(len(words), 'word')},"
        f" {counted(request.wavefronts, 'wavefront')}"
    )
    top = height - 0.1
    if title:
        axes.text(0.12, top, title, fontsize=10, fontweight="bold", color=INK, va="top")
        top -= 0.3
    axes.text(0.12, top, headline, fontsize=8.5, color=INK, va="top")
    room = 150 - len(headline)
    source = request.source if len(request.source) <= room else request.source[: room - 1] + "…"
    axes.text(9.5, top, source, fontsize=6, family="monospace", color=SOFT, va="top", ha="right")
    top -= 0.28

    load = [sum(word % BANKS == bank for word in words) for bank in range(BANKS)]
    _heading(axes, "bank", range(BANKS), top)
    for n, row in enumerate(rows):
        _draw_row(axes, row, top - _ROW * (n + 1), words, served, row_length)
    bottom = top - _ROW * (len(rows) + 1)
    _heading(axes, "words", [number or "" for number in load], bottom, bold=max(load))
    if last >= rows.stop:
        axes.text(_LEFT, bottom - _ROW, f"... and {last + 1 - rows.stop} more rows", fontsize=7, color=SOFT)
    _legend(axes, request, served, together, row_length)
    alt = (
        (f"{title}: " if title else "")
        + f"{headline}; the words lie in {counted(sum(n > 0 for n in load), 'bank')} of 32,"
        f" at most {counted(max(load), 'word')} in one bank."
    )
    return image(figure, alt)


def _choose(requests: Any, select: int | None) -> Any:
    requests = [requests] if hasattr(requests, "lanes") else list(requests)
    if select is not None:
        if not requests[select].kind.startswith("shared"):
            kind = requests[select].kind.replace("_", " ")
            raise ValueError(f"request {select} is a {kind}: only shared memory has banks")
        return requests[select]
    shared = [request for request in requests if request.kind.startswith("shared")]
    if not shared:
        raise ValueError("bank_grid needs a request to shared memory, and there is none among these")
    return max(shared, key=lambda request: request.wavefronts)


def _words(request: Any, lanes: range = range(32)) -> dict[int, list[int]]:
    """The words that these lanes touch, and which lanes touch each."""
    words: dict[int, list[int]] = {}
    for lane in lanes:
        access = request.lanes[lane]
        if access is not None:
            for word in range(access.offset // WORD, (access.offset + access.size - 1) // WORD + 1):
                words.setdefault(word, []).append(lane)
    return words


def _passes(request: Any) -> tuple[dict[int, int], int]:
    """In which pass, from 0, each word is served (first), and how many lanes are served at a time.

    Wide loads whose lanes share their words with a neighbour go twice as many at a time: the engine decides
    that, here it is told by the number of passes.
    """
    size = max(access.size for access in request.lanes if access is not None)
    part = {16: 8, 8: 16}.get(size, 32)
    for together in sorted({part, min(2 * part, 32)}):
        served: dict[int, int] = {}
        before = 0
        for start in range(0, 32, together):
            waiting = [0] * BANKS
            for word in sorted(_words(request, range(start, start + together))):
                served.setdefault(word, before + waiting[word % BANKS])
                waiting[word % BANKS] += 1
            before += max(waiting)
        if before == request.wavefronts:
            return served, together
    return dict.fromkeys(served, 0), 32


def _shade(turn: int, turns: int) -> tuple[float, float, float]:
    late = turn / (turns - 1) if turns > 1 else 0.0
    return tuple(a + late * (b - a) for a, b in zip(to_rgb(KERNEL), to_rgb(LAST_PASS), strict=True))


def _heading(axes, name: str, texts, top: float, bold: int | None = None) -> None:
    middle = top - _ROW / 2
    axes.text(_LEFT - 0.08, middle, name, fontsize=6.5, color=SOFT, ha="right", va="center")
    for bank, text in enumerate(texts):
        most = bold is not None and text == bold
        axes.text(
            _LEFT + (bank + 0.5) * _CELL,
            middle,
            str(text),
            fontsize=6.5 if most else 5.5,
            fontweight="bold" if most else "normal",
            color=INK if most else SOFT,
            ha="center",
            va="center",
        )


def _draw_row(axes, row: int, top: float, words, served, row_length: int | None) -> None:
    height, turns = _ROW * 0.86, len(set(served.values()))
    middle = top - height / 2
    axes.text(_LEFT - 0.08, middle, f"word {row * BANKS:,}", fontsize=6.5, color=INK, ha="right", va="center")
    for bank in range(BANKS):
        word, x = row * BANKS + bank, _LEFT + bank * _CELL
        lanes = words.get(word)
        face = _shade(served[word], turns) if lanes else UNTOUCHED
        axes.add_patch(Rectangle((x, top - height), _CELL * 0.94, height, facecolor=face))
        if row_length and word % row_length == 0:
            axes.add_patch(Rectangle((x - 0.025, top - height), 0.04, height, facecolor=INK))
        if lanes:
            text = lane_ranges(lanes)
            axes.text(
                x + _CELL * 0.47,
                middle,
                text,
                fontsize=5.5 if len(text) <= 3 else 4.6,
                color=PAPER if sum(face) < 1.7 else INK,
                ha="center",
                va="center_baseline",
            )


def _legend(axes, request: Any, served: dict[int, int], together: int, row_length: int | None) -> None:
    note = "number: the lane that touches the word (2x: two of them)"
    turns = len(set(served.values()))
    if together < 32:
        note += f"; {together} lanes are served at a time"
    if row_length:
        note += f"; bar: a row of {row_length} begins"
    axes.text(0.12, 0.1, note, fontsize=7, color=SOFT, va="bottom")
    if turns == 1:
        if request.wavefronts == 1:
            text = "all words are served in one pass"
            axes.text(9.5, 0.1, text, fontsize=7, color=SOFT, va="bottom", ha="right")
        return
    size = min(0.16, 2.0 / turns)
    left = 9.5 - 0.25 - size * turns
    axes.text(
        left - 0.08,
        0.1,
        f"{'first ' * (turns < request.wavefronts)}served in pass 1",
        fontsize=7,
        color=SOFT,
        va="bottom",
        ha="right",
    )
    for turn in range(turns):
        axes.add_patch(Rectangle((left + turn * size, 0.08), size, 0.14, facecolor=_shade(turn, turns)))
    axes.text(left + turns * size + 0.06, 0.1, str(turns), fontsize=7, color=SOFT, va="bottom")
