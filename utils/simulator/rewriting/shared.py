"""`__shared__` declarations: a typedef and a macro that asks the engine for the block's own storage."""

from __future__ import annotations

import re

from utils.errors import CompileError, KernelError
from utils.simulator.rewriting.tokens import Token, in_directive, line_around, not_supported


def rewrite_shared(tokens: list[Token]) -> list[Token]:
    result: list[Token] = []
    inside: list[bool] = []  # of each open brace: does it hold code, and not a namespace's declarations?
    i = 0
    while i < len(tokens):
        if tokens[i].text != "__shared__":
            if tokens[i].text == "{":
                inside.append(not _opens_namespace(result))
            elif tokens[i].text == "}" and inside:
                inside.pop()
            result.append(tokens[i])
            i += 1
            continue
        where = "in a macro's definition" if in_directive(tokens, i) else "outside a kernel"
        if not any(inside) or in_directive(tokens, i):
            advice = "Declare the array in the kernel that uses it."
            raise not_supported(f"`__shared__` {where}", tokens[i], tokens, advice)
        # The declaration begins after the last ; { or } and ends at the next ;
        start = len(result)
        while start and not (
            result[start - 1].solid and result[start - 1].text in ";{}" or _ends_directive(result, start - 1)
        ):
            start -= 1
        while start < len(result) and not result[start].solid:
            start += 1  # what stands before the declaration keeps its lines
        end = i
        while end < len(tokens) and tokens[end].text != ";":
            end += 1
        declaration = result[start:] + tokens[i:end]
        if any(t.text in ("=", "{") for t in declaration):
            line = tokens[i].line
            raise CompileError(
                f"line {line}: a __shared__ variable cannot be initialised where it is declared: let threads "
                f"write it, then __syncthreads()\n    {line_around(tokens, i)}",
                line=line,
            )
        del result[start:]
        line = tokens[i].line
        result.append(Token("code", _shared_declaration(declaration, line), line))
        i = end  # the ; stays
    return result


def _opens_namespace(before: list[Token]) -> bool:
    """Whether a brace after these tokens opens `namespace name {` or `extern "C" {`."""
    words = [t.text for t in before[-40:] if t.solid]
    while words and (words[-1] == "::" or words[-1].isidentifier()) and words[-1] != "namespace":
        words.pop()
    return words[-1:] == ["namespace"] or words[-1:] == ['"C"']


def _ends_directive(tokens, i):
    """Whether a preprocessor line ends at token i, so that a declaration cannot reach further back."""
    return tokens[i].kind == "space" and "\n" in tokens[i].text and in_directive(tokens, i)


def _shared_declaration(tokens: list[Token], line: int) -> str:
    texts = []  # the declaration without storage class and alignment
    alignment = ""
    dynamic = False
    k = 0
    while k < len(tokens):
        text = tokens[k].text
        if text in ("__shared__", "static"):
            texts.append("")
        elif text == "extern":
            dynamic = True
        elif text in ("__align__", "alignas"):
            close = _matching(tokens, k + 1, "(", ")")
            alignment = "".join(t.text for t in tokens[_next_solid(tokens, k + 1) : close + 1])
            k = close
        else:
            texts.append(" " if tokens[k].kind == "comment" else text)
        k += 1
    newlines = "\n" * sum(t.text.count("\n") for t in tokens)
    body = " ".join("".join(texts).split())  # one line for the macros; the newlines follow
    names, declarators = _declarators(body)
    if dynamic:
        match = re.match(r"(.*?)\b(\w+)\s*\[\s*\](.*)$", body, re.DOTALL)
        if not match:
            raise KernelError(
                f"line {line}: dynamic shared memory is declared as `extern __shared__ float name[];`",
                kind="unsupported",
                line=line,
                source=body,
            )
        kind, name, rest = (part.strip() for part in match.groups())
        pointer = f"(*{name}){rest}" if rest else f"* {name}"
        cast = f"(*){rest}" if rest else "*"
        row = f"sim::extents<{kind}{rest}>"
        value = f'sim_dynamic_shared("{name}", {line}, sizeof({kind}), {row})'
        return f"{kind} {pointer} = ({kind} {cast}){value}{newlines}"
    typedef = ", ".join(declarators)
    attribute = f" __attribute__((aligned{alignment}))" if alignment else ""
    return (
        f"typedef {typedef}{attribute}; "
        + " ".join(f"SIM_SHARED({name}, {line})" for name in names)
        + newlines
    )


def _next_solid(tokens, k):
    while k < len(tokens) and not tokens[k].solid:
        k += 1
    return k


def _matching(tokens, k, opening, closing):
    depth = 0
    for j in range(k, len(tokens)):
        if tokens[j].text == opening:
            depth += 1
        elif tokens[j].text == closing:
            depth -= 1
            if depth == 0:
                return j
    return len(tokens) - 1


def _declarators(body: str):
    """Splits `float a[4][5], b[3]` at its commas and renames each variable: a typedef's name is its type."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(body):
        if c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(body[start:k])
            start = k + 1
    parts.append(body[start:])
    names, renamed = [], []
    for part in parts:
        head, bracket, dimensions = part.partition("[")
        name = re.findall(r"[A-Za-z_]\w*", head)[-1]
        at = head.rindex(name)
        names.append(name)
        renamed.append(head[:at] + "sim_type_" + name + head[at + len(name) :] + bracket + dimensions)
    return names, renamed
