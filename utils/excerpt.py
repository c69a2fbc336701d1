"""One function or struct out of a C++ file, to be shown in a lesson beside the words about it."""

from __future__ import annotations

import re


def function_text(text: str, name: str) -> str:
    """The definition of a function or struct with its comment and template lines; ValueError without one.

    Definitions begin and end at the start of a line, as .clang-format makes them.
    """
    lines = text.splitlines()
    head = re.compile(rf"\b{re.escape(name)}\(|^struct {re.escape(name)} {{")
    heads = [i for i, line in enumerate(lines) if head.search(line) and _opens(lines, i)]
    if len(heads) != 1:
        found = "no definition" if not heads else f"{len(heads)} definitions"
        raise ValueError(f"{found} of a function or struct {name}")
    start = heads[0]
    while start and lines[start - 1].strip() and not lines[start - 1].startswith(("}", "#")):
        start -= 1
    body = next(i for i in range(heads[0], len(lines)) if lines[i].rstrip().endswith(("{", "}")))
    in_one_line = lines[body].rstrip().endswith("}")
    end = body if in_one_line else next(i for i in range(body, len(lines)) if lines[i] in ("}", "};"))
    return "\n".join(lines[start : end + 1])


def _opens(lines: list[str], i: int) -> bool:
    """Whether the signature that line i is part of belongs to a definition at the start of a line."""
    if lines[i].lstrip().startswith(("//", "*")):
        return False
    first = i
    while first and lines[first].startswith(" ") and lines[first - 1].strip():
        first -= 1
    if lines[first].startswith((" ", "}", "#", "//")):
        return False
    for line in lines[i:]:
        if line.rstrip().endswith(";"):
            return False
        if "{" in line:
            return True
    return False
