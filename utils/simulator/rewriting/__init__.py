"""Turns CUDA C++ into C++ that a CPU compiler takes: launches, `__shared__`, and what must be refused.

Everything else of the language (keywords, built-in variables, functions) is done by headers. Line numbers
never change.
"""

from __future__ import annotations

from utils.simulator.rewriting.launches import rewrite_launches
from utils.simulator.rewriting.refusals import check_kernels, refuse
from utils.simulator.rewriting.shared import rewrite_shared
from utils.simulator.rewriting.tokens import in_directive, on_directives, tokenize
from utils.simulator.rewriting.variables import gather_constants, rename_dimensions

__all__ = ["rewrite"]


def rewrite(text: str) -> str:
    """The C++ for the simulator of a CUDA source, line by line, so that messages keep the learner's own.

    Raises:
        KernelError: of kind "unsupported", naming the construct and its line (inline PTX, some headers).
        CompileError: a kernel called without <<<...>>>, or a launch of what is not a kernel.
    """
    tokens = tokenize(text)
    refuse(tokens)
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
    return "".join(token.text for token in tokens)
