"""The PTX instructions that the simulator knows: how each is written, and what of sim/ptx.h does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

WHAT_IS_KNOWN = (
    "Of PTX it knows cp.async (with commit_group, wait_group and wait_all), ldmatrix, mma.sync of m16n8 "
    "(TF32, bfloat16, half; sums in float) and cvt.rna.tf32.f32, one instruction in an asm(). The rest needs "
    "a GPU: load it with backend='cuda'."
)


@dataclass(frozen=True)
class Operand:
    """One operand of an instruction.

    Attributes:
        constraints: letters that asm() may give for it, as in "r"(x).
        registers: how many stand in its braces.
        written: whether the instruction writes it.
        address: whether it stands in brackets.
        optional: whether it may be left out, as the last of its kind.
    """

    constraints: str
    registers: int = 1
    written: bool = False
    address: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Instruction:
    """A family of instructions; `function` gives the C++ function for one of them.

    `together` marks those that a warp executes together.
    """

    pattern: re.Pattern
    operands: Callable[[re.Match], list[Operand]]
    function: Callable[[re.Match], str]
    together: bool = False


_SHARED = Operand("rl", address=True)


def _copy_operands(_: re.Match) -> list[Operand]:
    return [_SHARED, Operand("l", address=True), Operand("n"), Operand("nr", optional=True)]


def _ldmatrix_operands(found: re.Match) -> list[Operand]:
    return [Operand("r", int(found["count"]), written=True), _SHARED]


def _mma_operands(found: re.Match) -> list[Operand]:
    wide = 1 if found["type"] == "tf32" else 2  # elements in a register
    a = 16 * int(found["k"]) // 32 // wide
    return [Operand("f", 4, written=True), Operand("r", a), Operand("r", a // 2), Operand("f", 4)]


_KNOWN = [
    Instruction(
        re.compile(r"cp\.async\.(?P<cache>c[ag])\.shared(::cta)?\.global(\.L2::(64|128|256)B)?"),
        _copy_operands,
        lambda found: f"sim::ptx::copy_{found['cache']}",
    ),
    Instruction(re.compile(r"cp\.async\.commit_group"), lambda _: [], lambda _: "sim::ptx::commit_group"),
    Instruction(
        re.compile(r"cp\.async\.wait_group"), lambda _: [Operand("n")], lambda _: "sim::ptx::wait_group"
    ),
    Instruction(re.compile(r"cp\.async\.wait_all"), lambda _: [], lambda _: "sim::ptx::wait_all"),
    Instruction(
        re.compile(
            r"ldmatrix\.sync\.aligned\.m8n8\.x(?P<count>[124])(?P<transposed>\.trans)?"
            r"\.shared(::cta)?\.b16"
        ),
        _ldmatrix_operands,
        lambda found: f"sim::ptx::ldmatrix<{'true' if found['transposed'] else 'false'}>",
        together=True,
    ),
    Instruction(
        re.compile(
            r"mma\.sync\.aligned\.m16n8k(?P<k>4(?=.*tf32)|8|16(?=.*f16))\.row\.col"
            r"\.f32\.(?P<type>tf32|bf16|f16)\.(?P=type)\.f32"
        ),
        _mma_operands,
        lambda found: f"sim::ptx::mma<{found['k']}, sim::ptx::{found['type'].capitalize()}>",
        together=True,
    ),
    Instruction(
        re.compile(r"cvt\.rna\.tf32\.f32"),
        lambda _: [Operand("r", written=True), Operand("f")],
        lambda _: "sim::ptx::to_tf32",
    ),
]


def find(name: str) -> tuple[Instruction, re.Match] | None:
    """The family that an instruction's name, with all its modifiers, belongs to."""
    for known in _KNOWN:
        if found := known.pattern.fullmatch(name):
            return known, found
    return None
