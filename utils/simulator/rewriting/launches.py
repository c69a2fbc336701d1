"""`kernel<<<blocks, threads>>>(arguments)`, turned into a call."""

from __future__ import annotations

import re

from utils.errors import CompileError
from utils.simulator.rewriting.tokens import (
    Token,
    closing_parenthesis,
    in_directive,
    kernel_name,
    line_around,
)


def rewrite_launches(tokens: list[Token]) -> list[Token]:
    solid = [t for t in tokens if t.solid]
    places = _declarations(solid)
    plain = _plain_kernels(solid, places)
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.text != "<<<":
            result.append(token)
            i += 1
            continue
        start = _kernel_start(result)
        close = _configuration_end(tokens, i + 1)
        if start is None or close is None:
            result.append(token)  # not a launch we understand: the compiler will say what is wrong
            i += 1
            continue
        _check_launch(tokens, i, close)
        kernel = "".join(t.text for t in result[start:])
        configuration = "".join(t.text for t in tokens[i + 1 : close])
        del result[start:]
        name = kernel.rstrip()
        newlines = "\n" * kernel[len(name) :].count("\n")
        if name.rpartition("::")[2] in plain:
            macro = "SIM_LAUNCH_TYPED("
        elif behind := _pointed_at(name.strip("(*) "), solid, places):
            macro = f'SIM_LAUNCH_NAMED("{behind}", '
        else:
            macro = "SIM_LAUNCH("
        launch = f"{macro}{token.line}, ({configuration}), {name}){newlines}"
        result.append(Token("code", launch, token.line))
        i = close + 1
    return result


def _declarations(solid: list[Token]) -> dict[str, list[tuple[int, int]]]:
    """Of each kernel's declarations, where `__global__` and where the name stands."""
    texts = [t.text for t in solid]
    places: dict[str, list[tuple[int, int]]] = {}
    for i, text in enumerate(texts):
        j = kernel_name(solid, texts, i) if text == "__global__" else None
        if j is not None:
            places.setdefault(texts[j], []).append((i, j))
    return places


def _pointed_at(name: str, solid: list[Token], places: dict[str, list[tuple[int, int]]]) -> str | None:
    """The kernel behind a variable, as in `auto k = wide ? copy<4> : copy<1>; k<<<1, 32>>>(...)`.

    Behind one that starts with no kernel, as a member of a table, is the only kernel of the file that is
    named without being launched there. None where `name` names a kernel, or could stand for several.
    """
    texts = [t.text for t in solid]
    found = set()
    for i in range(len(texts) - 1):
        if texts[i] == name and texts[i + 1] == "=" and ";" in texts[i:]:
            found |= places.keys() & set(texts[i : texts.index(";", i)])
    if not found and not places.keys() & set(re.findall(r"\w+", name)):
        declared = {j for declarations in places.values() for _, j in declarations}
        named = (i for i, text in enumerate(texts) if text in places and i not in declared)
        found = {texts[i] for i in named if not _is_launched(texts, i)}
    return found.pop() if len(found) == 1 else None


def _is_launched(texts: list[str], i: int) -> bool:
    """Whether `name<<<` or `name<4, true><<<` stands at i."""
    depth, k = 0, i + 1
    while k < len(texts) and texts[k] != "<<<":
        depth += {"<": 1, ">": -1, ">>": -2}.get(texts[k], 0)
        if depth <= 0 and texts[k] not in (">", ">>"):
            return False
        k = closing_parenthesis(texts, k) + 1 if texts[k] == "(" else k + 1
    return k < len(texts) and depth == 0


def _plain_kernels(solid: list[Token], places: dict[str, list[tuple[int, int]]]) -> set[str]:
    """Kernels that are one function: no template, declared once, no default arguments, no other of that name.

    Only of these does the name alone say which types the parameters have.
    """
    texts = [t.text for t in solid]
    declarations = [place for found in places.values() for place in found]
    odd = set()
    for i, j in declarations:
        before = i - 1
        while before > 0 and (solid[before].kind in ("name", "string") or texts[before] == ")"):
            before -= 1  # static, extern "C", __launch_bounds__(256)
            if texts[before + 1] == ")":
                while before > 0 and texts[before] != "(":
                    before -= 1
                before -= 1
        if texts[before].endswith(">") or "=" in texts[j + 1 : closing_parenthesis(texts, j + 1)]:
            odd.add(texts[j])
    names = {j for _, j in declarations}
    for i, text in enumerate(texts[:-1]):
        # What follows a type is declared: a function, a variable or a parameter, or a macro.
        declares = i and (solid[i - 1].kind == "name" or texts[i - 1] in ("*", "&", ">"))
        if text in places and i not in names and declares and texts[i + 1] != "<<<":
            odd.add(text)
    return {name for name, found in places.items() if len(found) == 1} - odd


def _check_launch(tokens: list[Token], opening: int, close: int) -> None:
    """Refuses what a C++ compiler would take for something else, or explain in the simulator's words."""
    configuration = [t.text for t in tokens[opening + 1 : close] if t.solid]
    following = next((t.text for t in tokens[close + 1 :] if t.solid), "")
    if following != "(" and not in_directive(tokens, opening):
        problem = "the kernel's arguments are missing, in parentheses after >>>"
    elif "," not in configuration and _macros(tokens).isdisjoint(configuration):
        problem = "a launch needs two numbers, of blocks and of threads a block"
    else:
        return
    line = tokens[opening].line
    source = line_around(tokens, opening)
    raise CompileError(
        f"line {line}: {problem}: kernel<<<blocks, threads>>>(arguments)\n    {source}", line=line
    )


def _macros(tokens: list[Token]) -> set[str]:
    solid = [t.text for t in tokens if t.solid]
    return {name for before, name in zip(solid, solid[1:], strict=False) if before == "define"}


def _kernel_start(result: list[Token]):
    """Where in `result` the expression before <<< begins.

    It is a name, ns::name, name<args>, a member such as tiles[2].kernel, or an expression in parentheses.
    """
    solid = [k for k, t in enumerate(result) if t.solid]
    if not solid:
        return None
    p = len(solid) - 1

    def skip_back(opening, closing, p):
        depth = 0
        while p is not None and p >= 0:
            text = result[solid[p]].text
            if text == ")" and closing == ">":  # a > inside parentheses closes nothing
                p = skip_back("(", ")", p)
                p = None if p is None else p - 1
                continue
            depth += text.count(closing) if text in (closing, ">>>") else 0
            depth -= text.count(opening) if text in (opening, "<<<") else 0
            if depth <= 0:
                return p
            p -= 1
        return None

    def name_back(p):
        """Start of one `name`, `name<args>` or `name[index]` that ends at p."""
        while p is not None and p >= 0 and result[solid[p]].text == "]":
            p = skip_back("[", "]", p)
            p = None if p is None else p - 1
        if p is None or p < 0:
            return None
        if result[solid[p]].text in (">", ">>>"):
            p = skip_back("<", ">", p)
            p = None if p is None else p - 1
        if p is None or p < 0 or result[solid[p]].kind != "name":
            return None
        return p

    if result[solid[p]].text == ")":
        p = skip_back("(", ")", p)
        return None if p is None else solid[p]
    p = name_back(p)
    if p is None:
        return None
    while p >= 1 and result[solid[p - 1]].text in ("::", "template", ".", "->"):
        p -= 1
        before = p if result[solid[p]].text == "template" else name_back(p - 1)
        if before is None or result[solid[before]].text in ("return", "else", "do"):
            break
        p = before
    return solid[p]


def _configuration_end(tokens, i):
    depth = 0
    for k in range(i, len(tokens)):
        text = tokens[k].text
        if text in "([{" and tokens[k].kind == "mark":
            depth += 1
        elif text in ")]}" and tokens[k].kind == "mark":
            depth -= 1
            if depth < 0:
                return None
        elif text == ">>>" and depth == 0:
            return k
        elif text == ";" and depth == 0:
            return None
    return None
