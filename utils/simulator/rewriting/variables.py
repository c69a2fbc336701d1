"""Variables at file scope and in launchers that a C++ compiler would take for something else."""

from __future__ import annotations

from utils.simulator.rewriting.tokens import Token, on_directives

_BUILT_IN = ("gridDim", "blockDim", "blockIdx", "threadIdx")


def gather_constants(tokens: list[Token]) -> None:
    """Marks `__constant__` variables that are not const, which could not share a section of the library."""
    directives = on_directives(tokens)
    for i, token in enumerate(tokens):
        if token.text != "__constant__" or token in directives:
            continue
        start = next((k for k in reversed(range(i)) if tokens[k].text in (";", "{", "}")), -1)
        end = next((k for k in range(i, len(tokens)) if tokens[k].text in (";", "=", "{")), len(tokens))
        if {"const", "constexpr"}.isdisjoint(t.text for t in tokens[start + 1 : end]):
            token.text = "SIM_CONSTANT"


def rename_dimensions(tokens: list[Token]) -> None:
    """Renames a launcher's own `dim3 gridDim(...)`: to the CPU's compiler the built-in names are macros."""
    solid = [t for t in tokens if t.solid]
    for i, token in enumerate(solid):
        if token.text != "dim3":
            continue
        for k in _declared(solid, i + 1):
            name = solid[k].text
            for j in range(k, _scope_end(solid, i)):
                if solid[j].text == name and solid[j - 1].text not in (".", "->"):
                    solid[j].text = f"sim_{name}"


def _declared(solid: list[Token], start: int) -> list[int]:
    """Where a declaration `dim3 a(1), b = c;` that goes on at `start` names built-in variables."""
    found, depth = [], 0
    for k in range(start, len(solid)):
        text = solid[k].text
        if depth == 0 and text in _BUILT_IN and solid[k - 1].text in ("dim3", ",", "&", "const"):
            found.append(k)
        depth += (text in "([{") - (text in ")]}")
        if depth < 0 or text == ";" or (text == "dim3" and depth == 0):
            break
    return found


def _scope_end(solid: list[Token], i: int) -> int:
    """Where the scope of a variable that is declared at i ends: its block, or the function that takes it."""
    depth, parameter = 0, False
    for k in reversed(range(i)):
        text = solid[k].text
        if text in ";{}" and depth == 0:
            break
        depth += (text == ")") - (text == "(")
        if depth < 0:
            parameter = True
            break
    depth = 0
    for k in range(i, len(solid)):
        depth += (solid[k].text == "{") - (solid[k].text == "}")
        if depth < 0 or (parameter and depth == 0 and solid[k].text in ";}"):
            return k
    return len(solid)
