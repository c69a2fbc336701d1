"""A source's tokens, and what all steps of rewriting ask of them."""

from __future__ import annotations

import re

from utils.errors import KernelError

_TOKEN = re.compile(
    r"""
    (?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
  | (?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")
  | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.|\\\n)*"|'(?:[^'\\\n]|\\.)+')
  | (?P<number>\.?\d(?:[eEpP][+-]|['\w.])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<space>\s+|\\\n)
  | (?P<mark><<<|>>>|::|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token:
    __slots__ = ("kind", "line", "text")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line

    @property
    def solid(self):
        return self.kind not in ("space", "comment")


def tokenize(text: str) -> list[Token]:
    """Tokens with the learner's own line numbers: a `#line N` says what the next line is called."""
    tokens: list[Token] = []
    line, named = 1, None
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "delimiter" else "raw"
        token = Token(kind, match.group(), line)
        tokens.append(token)
        if kind == "number" and [t.text for t in tokens[-4:-1] if t.solid] == ["#", "line"]:
            named = int(token.text)
        newlines = token.text.count("\n")
        if newlines and named is not None:
            line, named = named + newlines - 1, None
        else:
            line += newlines
    return tokens


def not_supported(what: str, token: Token, tokens: list[Token], advice: str) -> KernelError:
    source = line_around(tokens, tokens.index(token))
    return KernelError(
        f"{what} is not supported by the simulator (line {token.line}: {source}). {advice}",
        kind="unsupported",
        line=token.line,
        source=source,
    )


def line_around(tokens: list[Token], i: int) -> str:
    """The text of the line that token i stands on."""
    first, last = i, i
    while first and "\n" not in tokens[first - 1].text:
        first -= 1
    while last + 1 < len(tokens) and "\n" not in tokens[last + 1].text:
        last += 1
    return "".join(token.text for token in tokens[first : last + 1]).strip()


def on_directives(tokens: list[Token]) -> set[Token]:
    """The tokens on preprocessor lines, as in a macro's definition."""
    found: set[Token] = set()
    inside = False
    for token in tokens:
        if token.kind == "space" and "\n" in token.text and not token.text.startswith("\\"):
            inside = False
        inside |= token.text == "#"
        if inside:
            found.add(token)
    return found


def in_directive(tokens, i):
    """Whether token i stands on a preprocessor line, as a macro's body does."""
    while i > 0:
        i -= 1
        if tokens[i].kind == "space" and "\n" in tokens[i].text and not tokens[i].text.startswith("\\"):
            return False
        if tokens[i].text == "#":
            return True
    return False


def closing_parenthesis(texts: list[str], i: int) -> int:
    """Index of the parenthesis that closes the one at i."""
    depth = 0
    for k in range(i, len(texts)):
        depth += (texts[k] == "(") - (texts[k] == ")")
        if depth == 0:
            return k
    return len(texts) - 1


def kernel_name(solid: list[Token], texts: list[str], i: int) -> int | None:
    """Where the name of the kernel stands whose `__global__` is token i."""
    j = i + 1
    while j + 1 < len(texts):
        if solid[j].kind == "name" and texts[j + 1] == "(":
            if texts[j] not in ("__launch_bounds__", "__maxnreg__"):
                return j
            j = closing_parenthesis(texts, j + 1)
        j += 1
    return None
