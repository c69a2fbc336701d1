"""The two cell magics: %%cuda compiles a cell, %%exercise checks one."""

from __future__ import annotations

import contextlib
import inspect
import io

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from utils.errors import CompileError
from utils.exercise import checking, record, render, spec
from utils.exercise.gap import same_code

BACKENDS = ("auto", "simulator", "cuda", "torch")


@magics_class
class CourseMagics(Magics):
    """%%cuda and %%exercise."""

    @magic_arguments()
    @argument("--name", default="cell", help="the name that messages give to this source")
    @argument(
        "--backend", default="auto", choices=BACKENDS, help="where to run it; auto: a GPU if there is one"
    )
    @argument(
        "--quick", action="store_true", help="in the simulator: no checking and no counting, for big shapes"
    )
    @cell_magic
    def cuda(self, line, cell):
        """Compile the cell's CUDA C++ and make its launchers callable from Python."""
        options = parse_argstring(self.cuda, line)
        module = checking.build(cell, name=options.name, backend=options.backend, quick=options.quick)
        launchers = launchers_of(module)
        if not launchers:
            raise CompileError(
                "it compiles, but there is nothing to call: write a launcher, a host function that takes\n"
                "and returns torch::Tensor, and launch the kernel in it"
            )
        self.shell.push(launchers)
        for launcher in launchers.values():
            print(f"{launcher.name}{inspect.signature(launcher)} → ready")

    @magic_arguments()
    @argument("exercise", help="the exercise's name")
    @argument(
        "--backend", default="auto", choices=BACKENDS, help="where to run it; auto: a GPU if there is one"
    )
    @argument("--quick", action="store_true", help="in the simulator: no checking and no counting")
    @cell_magic
    def exercise(self, line, cell):
        """Check the cell against an exercise in a process of its own."""
        options = parse_argstring(self.exercise, line)
        exercise = spec.load(options.exercise)
        untouched = same_code(cell, exercise.texts.starter)
        if untouched:
            print(f"○ {exercise.name}: not solved yet, the gap is still as it was.")
            if not exercise.run_starter:
                print(f"  Goal: {exercise.goal}")
                print("  It will be checked for:")
                for label, _ in exercise.steps:
                    print(f"   · {label}")
                print(f'  Stuck? hint("{exercise.name}")')
                return
        result = checking.check(exercise, cell, backend=options.backend, quick=options.quick)
        print(result.text, end="")
        if not untouched:
            record.record_attempt(exercise.name, cell, result.solved)
        if result.solved:
            ready = self._bind(exercise, cell, options)
            print(f"● {exercise.name}: solved, all {len(exercise.steps)} checks passed.{ready}")
        else:
            count = max(0, len(result.passed) - 1)  # that it compiles is no check of its own
            print(f"○ {exercise.name}: {count} of {len(exercise.steps)} checks passed.", end="")
            print(f' Stuck? hint("{exercise.name}")')

    def _bind(self, exercise, cell: str, options) -> str:
        """Make what the solved cell defines usable here: in the worker it has shown that it is harmless."""
        if exercise.kind == "cuda":
            launchers = launchers_of(checking.build(cell, backend=options.backend, quick=options.quick))
            self.shell.push(launchers)
            return f" {', '.join(launchers)} can be called now."
        if exercise.kind == "python":
            with contextlib.redirect_stdout(io.StringIO()):  # the worker's output is on the screen already
                checking.execute(cell, self.shell.user_ns)
        return ""


def launchers_of(module) -> dict[str, object]:
    """Name -> launcher of all that a compiled module offers."""
    return {launcher.name: launcher for launcher in module}


def register(ipython) -> None:
    """Add the magics to a running IPython and let it show the course's exceptions in their short form."""
    ipython.register_magics(CourseMagics)
    render.install()
