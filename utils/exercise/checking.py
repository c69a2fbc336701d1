"""Check a learner's cell: the part that runs in the worker process, and the part that waits for it."""

from __future__ import annotations

import contextlib
import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from utils.errors import CompileError, KernelError
from utils.exercise import spec, worker

BUILD_SECONDS = 120.0  # nvcc on a server where thirty people compile at once
BUILDS = {"cuda": "compiles", "python": "runs", "answer": "runs"}
CELL_FILE = "<cell>"


@dataclass(frozen=True)
class Failure:
    """The first thing that went wrong: at which check, and what a learner should read about it."""

    label: str
    message: str
    kind: str = ""  # KernelError.kind, "compile", the ending of the worker, or the exception's name


@dataclass
class Result:
    """What the checks of one cell found.

    Attributes:
        passed: labels of the checks that passed, in order.
        failure: the first failure, or None when the exercise is solved.
        blocks: what to show, in order: output of the learner's own and one line per check.
        backend: where the cell ran ("simulator", "cuda", ...; "" when it did not get so far).
    """

    passed: list[str] = field(default_factory=list)
    failure: Failure | None = None
    blocks: list[str] = field(default_factory=list)
    backend: str = ""

    @property
    def solved(self) -> bool:
        return self.failure is None

    @property
    def text(self) -> str:
        """The blocks as one text that ends with a line break."""
        lines = [block if block.endswith("\n") else block + "\n" for block in self.blocks]
        return "".join(lines)


def check(
    exercise: spec.Exercise,
    text: str,
    *,
    backend: str = "auto",
    quick: bool = False,
    folder: Path | None = None,
) -> Result:
    """Run the exercise's checks on a cell's text in a worker process.

    `text` is the cell below its magic line. What fails on a GPU is run again in the simulator, which says
    where. Nothing that the text does raises here.
    """
    result = _check_once(exercise, text, backend, quick, folder)
    on_gpu = exercise.kind == "cuda" and result.backend in ("cuda", "torch")
    if result.solved or not on_gpu or result.failure.kind == "compile":
        return result
    diagnosis = _check_once(exercise, text, "simulator", False, folder)
    if not diagnosis.solved:
        return diagnosis
    result.blocks.append("  (only the GPU shows this: in the simulator every check passes)")
    return result


def _check_once(exercise, text, backend, quick, folder) -> Result:
    result = Result()
    labels = [BUILDS[exercise.kind], *(label for label, _ in exercise.steps)]

    def on_event(event) -> None:
        kind, content = event
        if kind == "backend":
            result.backend = content
        elif kind == "passed":
            result.passed.append(content)
            result.blocks.append(f"✓ {content}")
        elif kind == "failed":
            result.failure = Failure(*content)

    def on_output(piece: str) -> None:
        result.blocks.append(piece)

    ending = worker.run(
        run_checks,
        exercise.name,
        str(folder) if folder else None,
        text,
        backend,
        quick,
        seconds=exercise.seconds,
        megabytes=exercise.megabytes,
        on_event=on_event,
        on_output=on_output,
    )
    if ending.kind != "finished":
        result.failure = Failure(labels[len(result.passed)], ending.message, ending.kind)
    if result.failure:
        lines = result.failure.message.splitlines() or [""]
        result.blocks.append("\n    ".join([f"✗ {result.failure.label}: {lines[0]}", *lines[1:]]))
    return result


def run_checks(send: Callable, name: str, folder: str | None, text: str, backend: str, quick: bool) -> None:
    """In the worker: build the cell, run the checks up to the first failure, send an event for each."""
    import torch

    torch.set_num_threads(1)  # the tensors are small, and on a server thirty people check at once
    exercise = spec.load(name, Path(folder) if folder else None)
    label = BUILDS[exercise.kind]
    try:
        if exercise.kind == "cuda":
            send(("backend", resolve_backend(backend)), BUILD_SECONDS)
            cell = build(text, backend=backend, quick=quick)
            _prepare_simulator()
        else:
            cell = execute(text)
        send(("passed", label))
        for label, function in exercise.steps:
            function(cell)
            send(("passed", label))
    except (Exception, SystemExit) as error:
        send(("failed", (label, describe(error), _kind(error))))


def resolve_backend(backend: str) -> str:
    from utils.inline import resolve_backend  # here, so that plain Python exercises need no compiler

    return resolve_backend(backend)


def build(text: str, *, name: str = "cell", backend: str = "auto", quick: bool = False):
    """Compile a cell's C++. The empty first line stands for the magic: line numbers are the editor's own."""
    from kernels import INCLUDE
    from utils.inline import load_inline

    return load_inline(
        name,
        cuda_sources="\n" + text,
        extra_include_paths=[INCLUDE],
        backend=backend,
        checked=not quick,
    )


def _prepare_simulator() -> None:
    """Compile it within the time for building: some checks of a cell that runs on a GPU profile it there.

    They have seconds, and on a machine that has never simulated anything this takes ten or more.
    """
    from utils.simulator import prepare

    with contextlib.suppress(Exception):  # a check that needs it says why there is none
        prepare()


def execute(text: str, namespace: dict | None = None) -> dict:
    """Run a cell's Python with line numbers that count the magic line; returns its names."""
    namespace = {"__name__": "__main__"} if namespace is None else namespace
    source = "\n" + text
    linecache.cache[CELL_FILE] = (len(source), None, source.splitlines(keepends=True), CELL_FILE)
    exec(compile(source, CELL_FILE, "exec"), namespace)
    return namespace


def describe(error: BaseException) -> str:
    """An exception in words for a learner: its message, and the cell's line where that is known."""
    if isinstance(error, (KernelError, CompileError)):
        return str(error)
    if isinstance(error, SystemExit):
        return "it left the program (exit): an exercise must return instead"
    if isinstance(error, SyntaxError):
        shown = f": {error.text.strip()}" if error.text else ""
        return f"{type(error).__name__}: {error.msg} (line {error.lineno}{shown})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == CELL_FILE]
    where = f" (line {own[-1].lineno}: {own[-1].line})" if own else ""
    if isinstance(error, AssertionError):
        last = frames[-1].line if frames else ""
        return (str(error) or f"not true: {last}") + where
    return f"{type(error).__name__}: {error}{where}"


def _kind(error: BaseException) -> str:
    if isinstance(error, KernelError):
        return error.kind
    return "compile" if isinstance(error, CompileError) else type(error).__name__
