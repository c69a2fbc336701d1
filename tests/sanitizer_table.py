"""The planted bugs of tests/planted: reading them, running one, and a table of all.

Each file holds kernels with one bug each, and beside the bug its correction:

    //# name <<<launch>>>: kind, thread x y z, block x y z
    //@ the argument, where it is not the usual x
    //: words of the message

`bug  // -> fix` is the line that differs in the correct twin, and the one that the error must name, unless a
line `// <- here` is there. The error's text must also name the line `// <- other`. x counts 0, 1, 2 ... 63; y
is memory that nobody has written. correct.cu holds kernels that do unusual things and nothing wrong.

    python tests/sanitizer_table.py [forward|reverse|random [seed]]
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from simulated import Kernel, compile_kernels, read_kernels, twin

from utils.errors import KernelError
from utils.simulator import profile

FOLDER = Path(__file__).parent / "planted"


@dataclass(frozen=True)
class Expected:
    """What the error must name: `thread` and `block` are None where no thread is to blame."""

    kind: str
    line: int
    thread: tuple[int, int, int] | None
    block: tuple[int, int, int] | None
    words: str
    other_line: int | None


def planted() -> list[Kernel]:
    """All kernels with a bug."""
    return [
        kernel
        for path in sorted(FOLDER.glob("*.cu"))
        if path.stem != "correct"
        for kernel in read_kernels(path.read_text(), fill="empty")
    ]


def correct() -> list[Kernel]:
    """Kernels that do unusual things and nothing wrong."""
    return read_kernels((FOLDER / "correct.cu").read_text(), fill="empty")


def argument(kernel: Kernel) -> torch.Tensor:
    """A fresh argument for the kernel's launcher."""
    found = re.search(r"^//@ (.*)$", kernel.text, re.MULTILINE)
    return eval(found[1], {"torch": torch}) if found else torch.arange(64.0).view(8, 8)


def expected(kernel: Kernel, launcher) -> Expected:
    """What the error of a kernel must name; `launcher` is its compiled form, which knows the lines."""
    kind, *places = kernel.notes.split(", ")
    where = {"thread": None, "block": None}
    for place in places:
        what, *numbers = place.split()
        where[what] = tuple(map(int, numbers))
    words = re.search(r"^//: (.*)$", kernel.text, re.MULTILINE)[1]
    text = launcher.source.parts[-1][1]
    before = text[: text.index(kernel.text)].count("\n")

    def line_with(mark: str) -> int | None:
        lines = [k for k, line in enumerate(kernel.text.split("\n")) if mark in line]
        assert len(lines) <= 1, f"{kernel.name}: {mark} is on several lines"
        return before + lines[0] + 1 if lines else None

    line = line_with("// <- here") or line_with("// ->")
    return Expected(kind, line, words=words, other_line=line_with("// <- other"), **where)


def error_of(launcher, x: torch.Tensor, order: str = "forward", seed: int = 0) -> KernelError | None:
    """The error of one checked run, or None."""
    try:
        profile(launcher, x, order=order, seed=seed)
    except KernelError as error:
        return error
    return None


def _cell(kind, line, thread, block) -> str:
    place = f"thread {thread} block {block}".replace(", ", ",") if thread else "the launcher"
    return f"{kind:<19} line {line!s:<5} {place}"


def main(order: str = "forward", seed: str = "1") -> int:
    """Prints expected and named side by side, and returns how many were named otherwise.

    Kinds are the same in every order; lines and threads are those of the forward order.
    """
    bugs, silent = planted(), correct()
    buggy = compile_kernels(bugs)
    right = compile_kernels([*map(twin, bugs), *silent])
    wrong = 0
    print(f"{'bug':<36} {'expected':<68} {'named':<68} correct twin")
    for kernel in bugs:
        launcher = getattr(buggy, kernel.name)
        want, error = expected(kernel, launcher), error_of(launcher, argument(kernel), order, int(seed))
        expectation = _cell(want.kind, want.line, want.thread, want.block)
        named = _cell(error.kind, error.line, error.thread, error.block) if error else "nothing"
        false_alarm = error_of(getattr(right, kernel.name), argument(kernel), order, int(seed))
        wrong += named != expectation or false_alarm is not None
        alarm = f"false alarm: {false_alarm.kind}" if false_alarm else "silent"
        print(
            f"{kernel.name:<36} {expectation:<68} {named if named != expectation else 'the same':<68} {alarm}"
        )
    alarms = [
        kernel.name
        for kernel in silent
        if error_of(getattr(right, kernel.name), argument(kernel), order, int(seed))
    ]
    print(
        f"{len(bugs)} planted bugs, {len(bugs) - wrong} named by kind, line and thread; "
        f"{len(bugs) + len(silent)} correct kernels; false alarms on the unusual ones: {alarms or 'none'}"
    )
    return wrong + len(alarms)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
