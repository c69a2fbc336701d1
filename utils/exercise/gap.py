"""From a solution with its gap marked to the starter that a learner is given.

    // >>> gap (2 lines): add the three neighbours
    const float sum = input[i] + input[i + 1] + input[i + 2];
    output[i] = sum;
    // <<< gap

becomes `// TODO (2 lines): add the three neighbours`. What follows a line `// === starter` inside the gap is
kept in the starter, below the TODO. Python uses `#`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEGIN = re.compile(r"^(?P<indent>\s*)(?P<mark>//|#) >>> gap \((?P<count>\d+) lines?\): (?P<task>.+)$")
_STARTER = re.compile(r"^\s*(//|#) === starter$")
_END = re.compile(r"^\s*(//|#) <<< gap$")
_ANY = re.compile(r"(//|#)\s*(>>>|<<<|===)\s*(gap|starter)")


class GapError(ValueError):
    """The marker lines of a solution are not as they should be."""


@dataclass(frozen=True)
class Texts:
    """A solution file read in full.

    Attributes:
        solution: the text without marker lines; what `solution(NAME)` shows.
        starter: the text with the gap open; what the lesson's cell holds.
        gaps: per gap its stated number of lines and its lines.
    """

    solution: str
    starter: str
    gaps: tuple[tuple[int, tuple[str, ...]], ...]


def split(text: str) -> Texts:
    """Read the marked text of a solution; raises GapError where its markers do not pair up."""
    solution: list[str] = []
    starter: list[str] = []
    gaps: list[tuple[int, tuple[str, ...]]] = []
    state, stated, inside = "outside", 0, []
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        begin = _BEGIN.match(line)
        if begin and state == "outside":
            state, stated, inside = "solution", int(begin["count"]), []
            lines = "1 line" if stated == 1 else f"{stated} lines"
            starter.append(f"{begin['indent']}{begin['mark']} TODO ({lines}): {begin['task']}")
        elif _STARTER.match(line) and state == "solution":
            state = "starter"
        elif _END.match(line) and state in ("solution", "starter"):
            gaps.append((stated, tuple(inside)))
            state = "outside"
        elif _ANY.search(line):
            raise GapError(f"line {number}: this marker is not expected here: {line.strip()}")
        elif state == "solution":
            solution.append(line)
            inside.append(line)
        elif state == "starter":
            starter.append(line)
        else:
            solution.append(line)
            starter.append(line)
    if state != "outside":
        raise GapError("the last gap is never closed")
    if not gaps:
        raise GapError("no gap is marked")
    return Texts("\n".join(solution) + "\n", "\n".join(starter) + "\n", tuple(gaps))


def same_code(one: str, other: str) -> bool:
    """Whether two texts are equal but for trailing blanks and blank lines at either end."""
    return _trimmed(one) == _trimmed(other)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n")).strip("\n")
