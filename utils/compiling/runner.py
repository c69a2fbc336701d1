"""Running a compiler: one command in, its log or one readable exception out."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from utils.compiling.diagnostics import explain
from utils.errors import CompileError

if TYPE_CHECKING:  # only the type: compiling lies below the façade
    from utils.facade.source import Source


def run_compiler(
    command: list[str],
    *,
    source: Source | None = None,
    what: str = "The source",
    cwd: Path | str | None = None,
) -> str:
    """Run the compiler and return everything it said.

    Args:
        command: the compiler and its arguments.
        source: whose lines the messages are about; with it an error shows the learner's own line.
        what: how the message names what was compiled, for instance "conv2d_naive".
        cwd: the folder to run in.

    Raises:
        CompileError: first errors with line and source line in the message, the whole output in `.log`.
    """
    environment = {**os.environ, "LC_ALL": "C", "LANG": "C"}
    try:
        # An own process group: Jupyter's interrupt then reaches Python alone, which ends the whole group.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise CompileError(
            f"{what} was not compiled: {command[0]} cannot be started ({error.strerror}).", log=str(error)
        ) from error
    try:
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    log = output.decode("utf-8", "replace")
    if process.returncode != 0:
        message, line = explain(log, source, what, process.returncode)
        raise CompileError(message, line=line, log=f"{' '.join(command)}\n{log}")
    return log
