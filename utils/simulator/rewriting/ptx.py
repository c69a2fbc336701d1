"""Inline PTX: an `asm` of one known instruction becomes a call of the simulator's function for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from utils.errors import CompileError
from utils.simulator.rewriting.instructions import WHAT_IS_KNOWN, Operand, find
from utils.simulator.rewriting.tokens import (
    Token,
    closing_parenthesis,
    in_directive,
    line_around,
    not_supported,
)

_ASM = ("asm", "__asm__", "__asm")
_QUALIFIERS = ("volatile", "__volatile__", "__volatile")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_RAW = re.compile(r'R"([^(]*)\((.*)\)\1"', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}  # in a literal; any other character stands for itself
# In an instruction: registers in braces, an address in brackets, or one register or number.
_WRITTEN = re.compile(r"\{([^{}]*)\}|\[([^\[\]]*)\]|([^,\s{}\[\]]+)")


@dataclass(frozen=True)
class _Given:
    """An operand as C++ gives it: `"constraint"(expression)`."""

    constraint: str
    expression: str


class _Statement:
    """One asm(...) of a source: what it says, and where to complain."""

    def __init__(self, tokens: list[Token], start: int):
        self.tokens, self.start, self.token = tokens, start, tokens[start]
        texts = [t.text if t.solid else "" for t in tokens]
        opening = _next_solid(tokens, start + 1)
        while opening < len(tokens) and texts[opening] in _QUALIFIERS:
            opening = _next_solid(tokens, opening + 1)
        if opening >= len(tokens) or texts[opening] != "(":
            raise self.unsupported("")
        self.end = closing_parenthesis(texts, opening)
        self.sections = _split(tokens[opening + 1 : self.end], (":", "::"))

    def unsupported(self, text: str):
        shown = " ".join(text.split())
        what = f'Inline PTX, asm("{shown[:40]}"...),' if shown else "Inline PTX"
        return not_supported(what, self.token, self.tokens, WHAT_IS_KNOWN)

    def wrong(self, problem: str) -> CompileError:
        line = self.token.line
        return CompileError(f"line {line}: {problem}\n    {line_around(self.tokens, self.start)}", line=line)

    @property
    def text(self) -> str:
        """The PTX, its pieces put together."""
        pieces = [t for t in self.sections[0] if t.solid]
        if any(t.kind not in ("string", "raw") for t in pieces):
            raise self.unsupported("".join(t.text for t in pieces))
        return "".join(_content(t) for t in pieces)

    @property
    def given(self) -> list[_Given]:
        """The operands %0, %1 and so on: the outputs, then the inputs."""
        return [
            self._operand(tokens)
            for section in self.sections[1:3]
            for tokens in _split(section, (",",))
            if any(t.solid for t in tokens)
        ]

    def _operand(self, tokens: list[Token]) -> _Given:
        text = _plain(tokens).strip()
        found = re.fullmatch(r'((?:"[^"]*"\s*)+)\((.*)\)', text, re.DOTALL)
        if not found:
            named = text.startswith("[")
            why = ", and nvcc knows it by its number alone: %0, %1 and so on" if named else ""
            raise self.wrong(f'an operand of asm is written "r"(variable), not {text}{why}')
        constraint, expression = found.groups()
        return _Given(re.sub(r'["\s&]', "", constraint), expression)


def rewrite_ptx(tokens: list[Token]) -> list[Token]:
    """Replaces each asm; KernelError for an instruction that is not known, CompileError for a wrong one."""
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        if tokens[i].kind != "name" or tokens[i].text not in _ASM:
            result.append(tokens[i])
            i += 1
            continue
        statement = _Statement(tokens, i)
        call = _call(statement)
        newline = "\\\n" if in_directive(tokens, i) else "\n"
        newlines = newline * sum(t.text.count("\n") for t in tokens[i : statement.end + 1])
        result.append(Token("ptx", call + newlines, tokens[i].line))
        i = statement.end + 1
    return result


def _call(statement: _Statement) -> str:
    text = statement.text
    instructions = [part.strip() for part in _COMMENT.sub(" ", text).split(";") if part.strip()]
    if not instructions:  # asm volatile("" ::: "memory"), which keeps a compiler from moving code
        return "((void)0)"
    if len(instructions) > 1:
        raise statement.unsupported(text)
    name, rest = (instructions[0].split(maxsplit=1) + [""])[:2]
    known = find(name)
    if known is None:
        raise statement.unsupported(text)
    instruction, found = known
    arguments = _arguments(statement, name, rest, instruction.operands(found))
    if instruction.together:  # which statement it is: lanes that come to another one do not take part
        arguments.insert(0, str(statement.token.line))
    return f"{instruction.function(found)}({', '.join(arguments)})"


def _arguments(statement: _Statement, name: str, rest: str, operands: list[Operand]) -> list[str]:
    given = statement.given
    written = list(_WRITTEN.finditer(rest))
    needed = [o for o in operands if not o.optional]
    if not len(needed) <= len(written) <= len(operands) or _WRITTEN.sub("", rest).strip(", \t\n"):
        counts = " or ".join(str(n) for n in dict.fromkeys((len(needed), len(operands))))
        raise statement.wrong(f"{name}: the number of operands is {counts}, not {len(written)}")
    arguments = []
    for place, operand in zip(written, operands, strict=False):
        braces, brackets, plain = place.groups()
        if (brackets is not None) != operand.address:
            how = "stands in brackets, as in [%0]" if operand.address else "is no address in brackets"
            raise statement.wrong(f"{name}: the operand {place[0]} {how}")
        registers = [r.strip() for r in (braces or brackets or plain or "").split(",")]
        if len(registers) != operand.registers:
            raise statement.wrong(f"{name}: {place[0]} should be {operand.registers} registers in braces")
        for register in registers:
            arguments.append(_expression(statement, name, register, given, operand))
    return arguments


def _expression(
    statement: _Statement, name: str, register: str, given: list[_Given], operand: Operand
) -> str:
    if operand.address and (offset := re.fullmatch(r"(\S+)\s*\+\s*(\S+)", register)):
        base = _expression(statement, name, offset[1], given, operand)
        return f"sim::ptx::plus({base}, {_expression(statement, name, offset[2], given, Operand('n'))})"
    if re.fullmatch(r"-?(?:0[xX][0-9a-fA-F]+|\d+)", register) and "n" in operand.constraints:
        return register
    number = re.fullmatch(r"%(\d+)", register)
    if not number:
        raise statement.wrong(f"{name}: {register or 'nothing'} is no operand here: write %0, %1 and so on")
    if int(number[1]) >= len(given):
        have = f"%0 to %{len(given) - 1}" if given else "none"
        raise statement.wrong(f"{name}: there is no operand {register}; this asm has {have}")
    chosen = given[int(number[1])]
    kind, letter = chosen.constraint.rstrip("nrlfhd"), chosen.constraint.lstrip("=+")
    if letter not in tuple(operand.constraints):
        wanted = " or ".join(f'"{"=" if operand.written else ""}{c}"' for c in operand.constraints)
        raise statement.wrong(f'{name}: {register} is "{chosen.constraint}" and should be {wanted}')
    if operand.written and not kind:
        raise statement.wrong(f'{name} writes {register}: its constraint is "={letter}" or "+{letter}"')
    if not operand.written and kind == "=":
        raise statement.wrong(f'{name} reads {register}, too: its constraint is "+{letter}", not "={letter}"')
    return f"sim::ptx::{'out' if operand.written else 'in'}_{letter}({chosen.expression})"


def _next_solid(tokens: list[Token], k: int) -> int:
    while k < len(tokens) and not tokens[k].solid:
        k += 1
    return k


def _split(tokens: list[Token], marks: tuple[str, ...]) -> list[list[Token]]:
    """The tokens between these marks where no parenthesis or bracket is open; `::` is two colons."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if depth == 0 and token.text in marks:
            parts.extend([] for _ in range(2 if token.text == "::" else 1))
        else:
            parts[-1].append(token)
    return parts


def _plain(tokens: list[Token]) -> str:
    """The tokens on one line, without comments."""
    return "".join(
        " " if t.kind == "comment" or (t.kind == "space" and "\n" in t.text) else t.text for t in tokens
    )


def _content(token: Token) -> str:
    """What a string literal says."""
    if token.kind == "raw":
        return _RAW.search(token.text)[2]
    text = token.text[token.text.index('"') + 1 : -1].replace("\\\n", "")
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)
