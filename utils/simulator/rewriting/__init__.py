"""Turns CUDA C++ into C++ that a CPU compiler takes: launches, `__shared__`, inline PTX, and refusals.

Everything else of the language (keywords, built-in variables, functions) is done by headers. Line numbers
never change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from utils.simulator.rewriting.headers import Headers
from utils.simulator.rewriting.launches import rewrite_launches
from utils.simulator.rewriting.ptx import rewrite_ptx
from utils.simulator.rewriting.refusals import check_kernels, refuse
from utils.simulator.rewriting.shared import rewrite_shared
from utils.simulator.rewriting.tokens import in_directive, on_directives, tokenize
from utils.simulator.rewriting.variables import gather_constants, rename_dimensions

__all__ = ["rewrite", "rewrite_all"]

_CUDA = re.compile(r"\b__(?:device|global|shared|constant)__\b|<<<")


def rewrite_all(text: str, include_paths: Iterable[str | Path], copies: Path) -> str:
    """As `rewrite`, with the headers that the source includes from `include_paths`: `copies` is for these."""
    headers = Headers(include_paths, copies, lambda header, place: rewrite(header, headers, place))
    return rewrite(text, headers)


def rewrite(text: str, headers: Headers | None = None, place: Path | None = None) -> str:
    """The C++ for the simulator of a CUDA source, line by line, so that messages keep the learner's own.

    Args:
        headers: where copies of headers are; without it, includes stay as they are.
        place: the folder that the text itself lies in, if it is a header.

    Raises:
        KernelError: of kind "unsupported", naming the construct and its line (most of PTX, some headers).
        CompileError: a kernel called without <<<...>>>, a launch of what is not a kernel, or inline PTX with
            wrong operands.
    """
    tokens = tokenize(text)
    if place is not None and not _CUDA.search(text):  # plain C++: only what it includes is of interest
        headers.redirect(tokens, place)
        return "".join(token.text for token in tokens)
    refuse(tokens)
    if headers is not None:
        headers.redirect(tokens, place)
    tokens = rewrite_ptx(tokens)
    ptx = any(token.kind == "ptx" for token in tokens)
    check_kernels([t for t in tokens if t.solid], on_directives(tokens))
    for i, token in enumerate(tokens):
        # A launch copies its arguments before it converts them, and a copy of g++'s NULL is a plain number.
        if token.text == "NULL" and not in_directive(tokens, i):
            token.text = "nullptr"
        # No macro does this: the C++ library writes __attribute__((__noinline__)) in headers of its own.
        elif token.text == "__noinline__" and (i == 0 or tokens[i - 1].text != "("):
            token.text = "__attribute__((noinline))"
    gather_constants(tokens)
    rename_dimensions(tokens)
    tokens = rewrite_shared(tokens)
    tokens = rewrite_launches(tokens)
    rewritten = "".join(token.text for token in tokens)
    return f'#include "sim/ptx.h"\n#line 1\n{rewritten}' if ptx else rewritten
