"""What an exercise is: solutions/NAME/spec.py says it in `exercise = Exercise(...)`."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from utils.exercise.gap import Texts, split

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = ROOT / "solutions"
KINDS = ("cuda", "python", "answer")

Check = tuple[str, Callable[[object], None]]


class UnknownExercise(LookupError):
    """There is no exercise of that name."""

    def __str__(self) -> str:
        return str(self.args[0])

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Answer:
    """A value to predict: the cell has to assign it to `name`.

    Attributes:
        value: the right value: a number, a string (upper and lower case are equal), or a tuple of them.
        explain: wrong value -> what it tells about the mistake.
        otherwise: said for a wrong value that `explain` does not list.
        tolerance: how far a number may be off, relative to the right one.
    """

    name: str
    value: object
    explain: Mapping[object, str] = field(default_factory=dict)
    otherwise: str = ""
    tolerance: float = 0.0

    def check(self, cell: Mapping[str, object]) -> None:
        """Raise AssertionError with an explanation unless the cell has the right value."""
        given = _plain(cell.get(self.name, ...))
        if given is ... or (isinstance(given, tuple) and ... in given):
            raise AssertionError(f"{self.name} has no value yet: replace ... by your answer")
        if isinstance(given, tuple) != isinstance(self.value, tuple):
            shape = (
                f"a tuple of {len(self.value)} values"
                if isinstance(self.value, tuple)
                else "one value, no tuple"
            )
            raise AssertionError(f"{self.name} should be {shape}, not {given!r}")
        if isinstance(given, tuple) and _of_tuples(self.value) and not _of_tuples(given):
            raise AssertionError(
                f"{self.name} should be a tuple of tuples, not {given!r}. A single one has a comma behind it,"
                " as in ((9, 0),)"
            )
        if _equal(given, _plain(self.value), self.tolerance):
            return
        for wrong, text in self.explain.items():
            if _equal(given, _plain(wrong), self.tolerance):
                raise AssertionError(f"{self.name} = {given!r}: {text}")
        if isinstance(given, tuple) and len(given) != len(self.value):
            values = "value" if len(self.value) == 1 else "values"
            raise AssertionError(f"{self.name} should have {len(self.value)} {values}, not {len(given)}")
        raise AssertionError(f"{self.name} = {given!r} is not right. {self.otherwise}".rstrip())


def _plain(value: object) -> object:
    """Lists as tuples, one-element arrays and tensors as numbers, so that answers compare as they look."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value.item() if hasattr(value, "item") else value


def _of_tuples(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, tuple) for value in values)


def _equal(given: object, right: object, tolerance: float) -> bool:
    if isinstance(right, tuple):
        pairs = (
            zip(given, right, strict=True) if isinstance(given, tuple) and len(given) == len(right) else None
        )
        return pairs is not None and all(_equal(g, r, tolerance) for g, r in pairs)
    if isinstance(right, str) or isinstance(given, str):
        return (
            isinstance(given, str)
            and isinstance(right, str)
            and given.strip().lower() == right.strip().lower()
        )
    if isinstance(given, (int, float)) and isinstance(right, (int, float)):
        return abs(given - right) <= tolerance * abs(right)
    return given == right


@dataclass(frozen=True)
class Wrong:
    """A mistake that the checks must reject.

    Attributes:
        because: text that the failure's message must contain.
        replace: old -> new on the solution's text; every `old` must occur in it exactly once.
        text: the whole wrong text, where replacing is not enough.
    """

    name: str
    because: str
    replace: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None

    def source(self, solution: str) -> str:
        """The wrong text; raises ValueError where a replacement does not fit the solution any more."""
        if self.text is not None:
            return self.text
        if not self.replace:
            raise ValueError(f"wrong kernel {self.name!r} changes nothing: give `replace` or `text`")
        for old, new in self.replace.items():
            if solution.count(old) != 1:
                raise ValueError(
                    f"wrong kernel {self.name!r}: {old!r} occurs {solution.count(old)} times, not once"
                )
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        title, goal: one line each.
        kind: "cuda" (checks get the module that load_inline made of the cell), "python" or "answer" (checks
            get the cell's names as a dictionary).
        hints: two or more, from a nudge to nearly all of it.
        checks: (label, function) in the order in which a learner should meet them.
        answers: what to predict, for kind "answer".
        wrong: mistakes that must be rejected, three or more.
        starter_fails: text that the failure of the untouched starter must contain.
        run_starter: check an untouched starter too, where its failure is what the learner should look at.
        starter_compiles: False where the one mistake of the starter is that it does not compile.
        seconds, megabytes: limits of one check.
        name, texts: filled in by `load`.
    """

    title: str
    goal: str
    hints: Sequence[str]
    starter_fails: str
    kind: str = "cuda"
    checks: Sequence[Check] = ()
    answers: Sequence[Answer] = ()
    wrong: Sequence[Wrong] = ()
    run_starter: bool = False
    starter_compiles: bool = True
    seconds: float = 20.0
    megabytes: float = 2000.0
    name: str = ""
    texts: Texts | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, not {self.kind!r}")
        if bool(self.answers) != (self.kind == "answer") or bool(self.checks) == (self.kind == "answer"):
            raise ValueError(
                "an exercise of kind 'answer' has answers, every other kind has checks, none has both"
            )

    @property
    def steps(self) -> tuple[Check, ...]:
        """All checks, the comparisons of answers included."""
        return tuple(self.checks) or tuple((answer.name, answer.check) for answer in self.answers)


def names(folder: Path | None = None) -> list[str]:
    """The names of all exercises, in alphabetical order."""
    folder = folder or SOLUTIONS
    return sorted(path.parent.name for path in folder.glob("*/spec.py"))


def load(name: str, folder: Path | None = None) -> Exercise:
    """Read one exercise; raises UnknownExercise with close matches, or GapError."""
    folder = folder or SOLUTIONS
    home = folder / name
    known = names(folder)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        advice = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(known)}."
        raise UnknownExercise(f"there is no exercise {name!r}. {advice}")
    module_spec = importlib.util.spec_from_file_location(f"exercise_{name}", home / "spec.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    texts = split(solution_file(home, module.exercise.kind).read_text("utf-8"))
    return replace(module.exercise, name=name, texts=texts)


def solution_file(home: Path, kind: str) -> Path:
    """The file with the marked solution of the exercise in folder `home`."""
    return home / ("solution.cu" if kind == "cuda" else "solution.py")
