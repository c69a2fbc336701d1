"""How the course's exceptions look in a notebook: a few plain lines, no long coloured traceback."""

from __future__ import annotations

import traceback

from utils.diagnosis import CheckError
from utils.errors import CompileError, KernelError, TorchCheckError


def render(error: BaseException) -> list[str]:
    """The lines of the short report: the message, then the notebook's own line that led to it."""
    lines = [f"{type(error).__name__}: {error}"]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_cell(frame.filename)]
    calls = [frame for frame in frames if frame.line and "run_cell_magic" not in frame.line]
    if calls:
        lines.append(f"  called in line {calls[-1].lineno} of the cell: {calls[-1].line}")
    return lines


def _is_cell(filename: str) -> bool:
    return "ipykernel_" in filename or filename.startswith("<ipython-input")


def install() -> None:
    """Let IPython show the course's exceptions in the short form, wherever in a notebook they come from."""
    for error in (KernelError, CompileError, TorchCheckError, CheckError):
        error._render_traceback_ = render
