"""What a learner asks for beside the checks: the next hint, the solution, the progress so far."""

from __future__ import annotations

import html
from dataclasses import dataclass

from utils.exercise import record, spec
from utils.exercise.lessons import Lesson, lessons

_COLOURS = {"solved": "#2e7d32", "tried": "#f9a825", "untouched": "#bdbdbd"}
_MARKS = {"solved": "●", "tried": "◐", "untouched": "○"}


def hint(name: str) -> None:
    """Print the next hint for an exercise; after the last one they begin again."""
    exercise = spec.load(name)
    count = len(exercise.hints)
    with record.change(name) as entry:
        number = entry["hints"] % count
        entry["hints"] += 1
    print(f"Hint {number + 1} of {count}: {exercise.hints[number]}")
    if number + 1 == count:
        print(f'That was the last hint. solution("{name}") shows the solution; hint("{name}") begins again.')


def solution(name: str) -> Solution:
    """The solution of an exercise beside the learner's own last attempt, to be displayed."""
    exercise = spec.load(name)
    return Solution(exercise, record.entry(name)["attempt"])


def progress() -> Progress:
    """A picture of all exercises in the order of the lessons: solved, tried, untouched."""
    states = {name: entry["state"] for name, entry in record.read().items()}
    return Progress(tuple(lessons()), states)


@dataclass(frozen=True)
class Solution:
    """Two texts side by side."""

    exercise: spec.Exercise
    attempt: str

    def __repr__(self) -> str:
        yours = self.attempt.strip("\n") or "(you have not tried it yet)"
        return "\n".join(
            [
                f"--- yours: {self.exercise.name}",
                yours,
                "--- solution",
                self.exercise.texts.solution.strip("\n"),
            ]
        )

    def _repr_html_(self) -> str:
        yours = self._coloured(self.attempt) if self.attempt.strip() else "<p>You have not tried it yet.</p>"
        columns = (
            (f"Yours: {self.exercise.name}", yours),
            ("Solution", self._coloured(self.exercise.texts.solution)),
        )
        cells = "".join(
            '<div style="flex:1 1 24em;min-width:0;overflow-x:auto;text-align:left">'
            f"<p><strong>{html.escape(title)}</strong></p>{body}</div>"
            for title, body in columns
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{cells}</div>'

    def _coloured(self, text: str) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_by_name

        lexer = get_lexer_by_name("cuda" if self.exercise.kind == "cuda" else "python")
        # A light ground of its own: the colours are readable in JupyterLab's dark theme too.
        style = "background:#f8f8f8;color:#222;padding:.5em;line-height:1.35"
        return highlight(text, lexer, HtmlFormatter(noclasses=True, style="default", cssstyles=style))


@dataclass(frozen=True)
class Progress:
    """All exercises and their states."""

    lessons: tuple[Lesson, ...]
    states: dict[str, str]

    def _state(self, name: str) -> str:
        return self.states.get(name, "untouched")

    def __repr__(self) -> str:
        names = [name for lesson in self.lessons for name in lesson.exercises]
        solved = sum(self._state(name) == "solved" for name in names)
        lines = [f"{solved} of {len(names)} exercises solved"]
        for lesson in self.lessons:
            lines.append(lesson.title)
            lines += [
                f"  {_MARKS[self._state(name)]} {name} ({self._state(name)})" for name in lesson.exercises
            ]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle = {"text/plain": repr(self), "image/svg+xml": self.svg()}
        return bundle, {
            "image/svg+xml": {"unconfined": True}
        }  # in the page itself, where its description is read out

    def svg(self) -> str:
        """A row or more a lesson, one box an exercise; the description says the same in words."""
        wide, high, left, most = 146, 30, 200, 4  # 784 wide: what JupyterLab shows without scrolling
        rows = [
            (lesson.title if start == 0 else "", lesson.exercises[start : start + most])
            for lesson in self.lessons
            for start in range(0, len(lesson.exercises), most)
        ]
        width, height = left + most * wide, max(1, len(rows)) * high + 10
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" style="max-width:100%;height:auto"'
            ' font-family="sans-serif" font-size="12">',
            f"<title>{html.escape(repr(self))}</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]
        for row, (title, names) in enumerate(rows):
            top = row * high + 5
            parts.append(f'<text x="8" y="{top + 19}" fill="#222222">{html.escape(_short(title, 30))}</text>')
            for column, name in enumerate(names):
                x, state = left + column * wide, self._state(name)
                ink = "#222222" if state != "solved" else "#ffffff"
                label = html.escape(f"{_MARKS[state]} {_short(name, 18)}")
                parts.append(
                    f'<rect x="{x}" y="{top + 2}" width="{wide - 6}" height="{high - 6}" rx="4"'
                    f' fill="{_COLOURS[state]}"/><text x="{x + 8}" y="{top + 19}" fill="{ink}">{label}</text>'
                )
        return "".join([*parts, "</svg>"])


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
