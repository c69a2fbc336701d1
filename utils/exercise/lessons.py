"""Which lesson holds which exercise: read off the notebooks, so that no second list has to be kept."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from utils.exercise import spec

NOTEBOOKS = spec.ROOT / "notebooks"
_MAGIC = re.compile(r"^%%exercise\s+(\w+)", re.MULTILINE)
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """A lesson's title and the names of its exercises in order."""

    title: str
    exercises: tuple[str, ...]


def lessons(notebooks: Path | None = None, solutions: Path | None = None) -> list[Lesson]:
    """All lessons with exercises, in reading order; what no lesson holds comes last, as one more lesson."""
    known = spec.names(solutions)
    found: list[Lesson] = []
    for path in sorted((notebooks or NOTEBOOKS).glob("*.ipynb")):
        title, inside = _read(path)
        names = tuple(dict.fromkeys(name for name in inside if name in known))
        if names:
            found.append(Lesson(title or path.stem, names))
    placed = {name for lesson in found for name in lesson.exercises}
    rest = tuple(name for name in known if name not in placed)
    return [*found, Lesson("more exercises", rest)] if rest else found


def _read(path: Path) -> tuple[str, list[str]]:
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError):
        return "", []  # a notebook that cannot be read must not keep the others' progress from being shown
    headings = [match[1] for kind, text in texts if kind == "markdown" for match in _HEADING.finditer(text)]
    names = [match[1] for kind, text in texts if kind == "code" for match in _MAGIC.finditer(text)]
    return (headings[0].strip() if headings else ""), names
