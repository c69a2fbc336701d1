"""C++ text as tokens, without comments and preprocessor lines; enough to find function signatures."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple


class Token(NamedTuple):
    kind: str  # "word", "number", "string", "mark"
    text: str


_TOKEN = re.compile(
    r"""
    (?P<skip>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?(?:\*/|\Z)
      |^[ \t]*\#(?:[^\n\\/]|\\\n|\\.|/\*.*?\*/|//[^\n]*|/)*|\n|[^\S\n]+)
  | (?P<string>(?:u8|[uUL])?R"(?P<guard>[^()\s\\]{0,16})\(.*?\)(?P=guard)"
      |(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')
  | (?P<number>\.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark>::|->|<<<|>>>|<<|>>|[<>=!+\-*/%&|^]=|.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


@functools.lru_cache(maxsize=64)  # a cell is run again and again, and read twice each time
def scan(text: str) -> tuple[Token, ...]:
    """The tokens of C++ text."""
    return tuple(
        Token(match.lastgroup or "mark", match.group())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "skip"
    )
