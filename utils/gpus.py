"""How many blocks of a kernel a GPU's multiprocessor holds at a time: theoretical occupancy.

A multiprocessor takes another block while it has room for it in everything that a block needs: slots for
blocks and for warps, registers, shared memory. What runs out first limits it. The numbers are those of the
tables in NVIDIA's CUDA Programming Guide, and the rounding is that of CUDA's own occupancy calculator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WARP = 32
REGISTER_UNIT = 256  # registers are handed to a warp in pieces of so many
PARTITIONS = 4  # a multiprocessor's registers lie in four parts, and a warp's in one of them
MOST_REGISTERS = 255  # of a thread
MOST_THREADS = 1024  # of a block


@dataclass(frozen=True)
class GPU:
    """What one multiprocessor of a GPU holds; shared memory in bytes.

    Attributes:
        arch: what nvcc calls it.
        shared: of a multiprocessor, when as little as possible is taken for the L1 cache.
        shared_block: the most that one block may ask for.
        shared_reserved: what CUDA takes for itself in every block.
        shared_unit: a block's share is rounded up to a multiple of it.
    """

    name: str
    arch: str
    warps: int
    blocks: int
    registers: int
    shared: int
    shared_block: int
    shared_reserved: int
    shared_unit: int


_KB = 1024
GPUS = {
    gpu.name: gpu
    for gpu in (
        GPU("T4", "sm_75", 32, 16, 65536, 64 * _KB, 64 * _KB, 0, 256),
        GPU("A100", "sm_80", 64, 32, 65536, 164 * _KB, 163 * _KB, 1 * _KB, 128),
        GPU("H100", "sm_90", 64, 32, 65536, 228 * _KB, 227 * _KB, 1 * _KB, 128),
        GPU("H200", "sm_90", 64, 32, 65536, 228 * _KB, 227 * _KB, 1 * _KB, 128),
    )
}


def find_gpu(name: str) -> GPU:
    """The GPU with this name; ValueError with the known ones for another name."""
    if name not in GPUS:
        raise ValueError(f"the limits of {name!r} are not known here; choose {', '.join(GPUS)}")
    return GPUS[name]


@dataclass(frozen=True)
class Occupancy:
    """How a kernel fills a multiprocessor of a GPU.

    Attributes:
        kernel, gpu: names.
        registers: of a thread; None where they are not known, and then all numbers are upper bounds.
        blocks: blocks that a multiprocessor holds at a time; 0 if it cannot hold one.
        warps: their warps.
        most_warps: the warps that it could hold.
        limits: how many blocks each resource has room for.
    """

    kernel: str
    gpu: str
    registers: int | None
    blocks: int
    warps: int
    most_warps: int
    limits: Mapping[str, int]

    @property
    def fraction(self) -> float:
        """The occupancy: warps over the warps that a multiprocessor could hold."""
        return self.warps / self.most_warps

    @property
    def limited_by(self) -> tuple[str, ...]:
        """What runs out first: some of "warps", "blocks", "registers", "shared memory"."""
        return tuple(name for name, blocks in self.limits.items() if blocks == self.blocks)

    def __str__(self) -> str:
        start = f"{self.kernel} on {self.gpu}: "
        if self.blocks == 0:
            return f"{start}not one block fits, for want of {' and '.join(self.limited_by)}"
        bound = "" if self.registers is not None else "at most "
        text = (
            f"{start}{bound}{self.blocks} {'block' if self.blocks == 1 else 'blocks'} a multiprocessor,"
            f" {self.warps} of {self.most_warps} warps ({self.fraction:.0%}), limited by"
            f" {' and '.join(self.limited_by)}"
        )
        return text + ("; its registers are not known" if self.registers is None else "")

    __repr__ = __str__


def occupancy(launch: Any, gpu: str = "H200", registers: int | Mapping[str, Any] | None = None) -> Occupancy:
    """Theoretical occupancy of a profiled launch on a GPU, which need not be here.

    Args:
        launch: one of the launches of `profile(...)`, or the profile itself where it has a single one.
        gpu: "T4", "A100", "H100" or "H200".
        registers: of a thread, as a number or as what `resources(fn, gpu)` returned; None, or resources
            without nvcc, gives the upper bound that the other limits set.

    It says how many warps are there to hide waiting behind, not how fast the kernel is; a grid with fewer
    blocks than fit leaves multiprocessors emptier.

    Raises:
        ValueError: an unknown GPU, impossible registers, or a profile of several launches.
    """
    device = find_gpu(gpu)
    if not hasattr(launch, "block"):
        if len(launch) != 1:
            raise ValueError(
                f"the profile has {len(launch)} launches: choose one, as in occupancy(report[0])"
            )
        launch = launch[0]
    shared = launch.shared_bytes
    if isinstance(registers, Mapping):
        registers, static = _of_kernel(launch.name, registers)
        shared = launch.dynamic_shared + (launch.static_shared if static is None else static)
    if registers is not None and not 0 < registers <= MOST_REGISTERS:
        raise ValueError(f"a thread has 1 to {MOST_REGISTERS} registers, not {registers}")
    x, y, z = launch.block
    limits = _limits(device, x * y * z, shared, registers)
    blocks, warps = min(limits.values()), _up(x * y * z, WARP) // WARP
    return Occupancy(launch.name, gpu, registers, blocks, blocks * warps, device.warps, limits)


def _limits(gpu: GPU, threads: int, shared: int, registers: int | None) -> dict[str, int]:
    """How many blocks each resource of a multiprocessor has room for."""
    warps = _up(threads, WARP) // WARP
    limits = {"warps": gpu.warps // warps if threads <= MOST_THREADS else 0, "blocks": gpu.blocks}
    if registers is not None:
        each = _up(registers * WARP, REGISTER_UNIT)
        fitting = gpu.registers // PARTITIONS // each * PARTITIONS
        # Whether a block can start at all is decided as if every partition took as many of its warps.
        startable = each * _up(warps, PARTITIONS) <= gpu.registers
        limits["registers"] = fitting // warps if startable else 0
    taken = _up(shared + gpu.shared_reserved, gpu.shared_unit)
    if taken:
        limits["shared memory"] = gpu.shared // taken if shared <= gpu.shared_block else 0
    return limits


def _of_kernel(kernel: str, resources: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(registers, static shared memory) of a kernel; None where nvcc was not there to tell.

    Which of a template's instances was launched the launch does not say: the largest figures are taken.
    """
    found = [entry for entry in resources.values() if entry.kernel == kernel]
    if not found and resources:
        raise ValueError(f"these are the resources of {', '.join(resources)}, not of {kernel}")
    if not found:
        return None, None
    return max(entry.registers for entry in found), max(entry.shared for entry in found)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
