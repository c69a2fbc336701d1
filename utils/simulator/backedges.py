"""Thins out the compiler's instrumentation: of the basic blocks, only those that jump back need to tell.

The engine merges the lanes of a warp by always letting the lowest place in the code go first. A block that
runs on to a higher place says nothing that the next access would not say as well; only the last place before
a jump back must be known, so that lanes which skipped a loop's body wait there for those that did not (and
the last before a function is left, for messages about threads that have gone). Most calls of a checked kernel
would otherwise be such that change nothing. Leaving a call in is always right: code in a form that is not
recognised here (another processor's) merely runs slower.
"""

from __future__ import annotations

import re

_INTERESTING = re.compile(
    r"""
    \s+callq?\s+(?: (?P<tells>__sanitizer_cov_trace_pc)\b
                  | (?P<access>__tsan_(?:unaligned_|volatile_)?(?:read|write)\d)
                  | (?P<aside>__ubsan_handle_) )  # a detour that comes back to where it left
  | \s+(?:notrack\s+)?(?P<jump>j[a-z]+)\s+(?P<target>\S+)
  | \s+(?:callq?\s+(?P<exit>__tsan_func_exit)|ret|ud2)
  | (?P<label>\.L\w+):
    """,
    re.VERBOSE,
)


def thin_out(assembly: str) -> str:
    """x86-64 assembly (AT&T syntax) without the calls that nothing depends on."""
    lines = assembly.split("\n")
    found = [(i, match) for i, line in enumerate(lines) if (match := _INTERESTING.match(line))]
    # The labels from where the code, whichever way it goes, tells its place before it jumps back.
    telling: dict[str, int] = {}
    tells = False
    for i, match in reversed(found):
        if match["label"]:
            if tells:
                telling[match["label"]] = i
        elif match["jump"]:
            tells = match["target"] in telling and (tells or match["jump"] == "jmp")
        else:
            tells = True  # a detour, too: where it comes back to is looked at from the jump around it
    pending: int | None = None  # the latest call that may turn out superfluous
    for i, match in found:
        if match["label"] or match["aside"]:
            continue
        if pending is not None and not match["jump"]:
            if not match["exit"]:
                lines[pending] = ""
            pending = None
        if match["tells"]:
            pending = i
        elif match["jump"] and telling.get(match["target"], -1) < i:
            pending = None  # back, or who knows where: the call stays
    return "\n".join(lines)
