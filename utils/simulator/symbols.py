"""From an address in a compiled cell to the line of its source."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from utils.facade import Source

_known: dict[tuple[str, int], int | None] = {}


def lines_of(library: Path, source: Source, addresses: Iterable[int]) -> dict[int, int | None]:
    """The source line of each return address (an offset in the library), or None where it is not his.

    Functions that the compiler inlined count where the learner wrote them: the innermost line of his file.
    """
    addresses = set(addresses)
    unknown = sorted(a for a in addresses if (str(library), a) not in _known)
    if unknown:
        found = _ask(library, unknown, source.files, source.source_file)
        _known.update({(str(library), a): found.get(a) for a in unknown})
    return {a: _known[(str(library), a)] for a in addresses}


@functools.cache
def _tool() -> str | None:
    # GNU's loses the functions that clang has inlined; LLVM's understands both compilers.
    return shutil.which("llvm-addr2line") or shutil.which("addr2line")


def _ask(library: Path, addresses: list[int], files: tuple[str, ...], main: str) -> dict[int, int | None]:
    tool = _tool()
    if tool is None:
        return {}
    # A return address points behind the call; the byte before it is still inside.
    query = "\n".join(hex(a - 1) for a in addresses) + "\n"
    answer = subprocess.run(
        [tool, "-i", "-a", "-e", str(library)], input=query, capture_output=True, text=True
    )
    lines: dict[int, int | None] = {}
    current = None
    for text in answer.stdout.splitlines():
        if text.startswith("0x"):
            current = int(text, 16) + 1
            lines[current] = None
            continue
        name, _, number = text.split(" (")[0].rpartition(":")
        base = name.rpartition("/")[2]
        if lines.get(current) is None and base in files and number.isdigit() and int(number) > 0:
            lines[current] = int(number)
    return lines
