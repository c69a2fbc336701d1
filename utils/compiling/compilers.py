"""Finding the C++ compiler, and knowing a compiler again without starting it."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from utils.compiling.cache import build
from utils.errors import CompileError


def find_cxx() -> str:
    """Path of the C++ compiler: the environment variable CXX, g++ or clang++; else CompileError."""
    wanted = os.environ.get("CXX")
    for name in (wanted,) if wanted else ("g++", "clang++"):
        found = shutil.which(name)
        if found:
            return found
    reason = (
        f"CXX names {wanted!r}, which is not there" if wanted else "there is no g++ or clang++ on the PATH"
    )
    raise CompileError(
        f"No C++ compiler: {reason}. Install one: 'sudo apt install g++' (Debian, Ubuntu), "
        "'sudo dnf install gcc-c++' (Fedora), 'xcode-select --install' (macOS), or "
        "'conda install -c conda-forge cxx-compiler'; then run the cell again."
    )


def compiler_identity(executable: str) -> str:
    """What tells this compiler from another without starting it: path, size and time of its file."""
    path = os.path.realpath(shutil.which(executable) or executable)
    status = os.stat(path)
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def compiler_version(executable: str) -> str:
    """The text of `executable --version`, remembered on disk for as long as the file does not change."""
    try:
        return _version(executable, compiler_identity(executable))
    except OSError as error:
        raise CompileError(f"The compiler {executable} cannot be started: {error.strerror}.") from error


def is_gcc(executable: str) -> bool:
    """Whether it understands what only GCC does; every other C++ compiler is taken for a clang."""
    return "clang" not in compiler_version(executable)


def fills_variables(executable: str) -> bool:
    """Whether it can fill uninitialised local variables with a pattern: g++ from 12 on, clang++ from 8 on."""
    found = re.search(r"(?:\)|version) (\d+)\.", compiler_version(executable))
    return bool(found) and int(found[1]) >= (12 if is_gcc(executable) else 8)


@functools.lru_cache(maxsize=32)
def _version(executable: str, identity: str) -> str:
    def make(path: Path) -> None:
        path.write_text(_ask(executable), encoding="utf-8")

    try:
        return build(["compiler version", identity], ".version", make).read_text(encoding="utf-8")
    except CompileError:
        # The common cache cannot be written, but the build itself may go to a directory that can.
        return _ask(executable)


def _ask(executable: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    answer = subprocess.run(
        [executable, "--version"], capture_output=True, text=True, errors="replace", env=environment
    )
    return answer.stdout.strip() or answer.stderr.strip()
