"""The record of one traced block: each memory request of its warps, and the barriers between them."""

from __future__ import annotations

import ctypes
import struct
import warnings
from dataclasses import dataclass
from typing import NamedTuple

from utils.simulator import engine as sim
from utils.simulator.report import Launch
from utils.simulator.symbols import lines_of

# What the engine calls (space, access) is one of the report's kinds.
KINDS = {
    (0, 0): "global_load",
    (0, 1): "global_store",
    (0, 2): "global_atomic",
    (0, 3): "global_atomic",
    (1, 0): "shared_load",
    (1, 1): "shared_store",
    (1, 2): "shared_store",  # an atomic on shared memory passes the banks as a store
    (1, 3): "shared_store",
}

_LANE = struct.Struct("=Qii")  # engine.Lane, read at once: a trace has millions


class Access(NamedTuple):
    """What one lane touches: `size` bytes at `offset` bytes from the start of `tensor`.

    That is a parameter's name, "output" for what the launcher allocated, or a shared variable's name.
    """

    tensor: str
    offset: int
    size: int


@dataclass(frozen=True)
class Request:
    """One warp-level access: `lanes` has 32 entries, None where the lane took no part.

    `epoch` counts the barriers that the block had passed before it.
    """

    kind: str
    line: int | None
    source: str
    launch: int
    lanes: tuple[Access | None, ...]
    sectors: int
    wavefronts: int
    warp: int = 0
    epoch: int = 0

    def __str__(self):
        active = sum(lane is not None for lane in self.lanes)
        amount = _counted(self.sectors, "sector") if self.sectors else _counted(self.wavefronts, "wavefront")
        return f"line {self.line}: {self.kind} by {_counted(active, 'lane')}, {amount}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Barrier:
    """A barrier that all threads of the block passed; it ends interval `epoch` of the block."""

    launch: int
    line: int
    source: str
    epoch: int


class Trace(list):
    """The requests of one call in order of execution: a list of `Request`.

    Attributes:
        block: the traced block's number, (x, y, z).
        warp: the traced warp's number, None when it is all of them.
        launches: the call's kernel launches; `launch` of requests and barriers is an index of it.
        barriers: the barriers that the block passed, in order: a list of `Barrier`.
    """

    def __init__(self, requests=(), *, block=(0, 0, 0), warp=None, launches=(), barriers=()):
        super().__init__(requests)
        self.block, self.warp = block, warp
        self.launches, self.barriers = list(launches), list(barriers)


def read_trace(simulation, launches: list[Launch]) -> Trace:
    """What the engine recorded of the block and warp that a simulation watched."""
    number, dropped = ctypes.c_size_t(), ctypes.c_int()
    raw = simulation.engine.sim_requests(simulation.context, ctypes.byref(number), ctypes.byref(dropped))
    infos = [raw[i] for i in range(number.value)]
    if dropped.value:
        warnings.warn(
            f"the trace ends after its first {len(infos):,} requests: trace a smaller shape, or one warp",
            stacklevel=4,
        )
    source = simulation.source
    lines = lines_of(simulation.library, source, [info.pc for info in infos])
    shared = {
        (info.launch, lane.region): info.variable.decode()
        for info in infos
        if info.variable
        for lane in [next(lane for lane in info.lanes if lane.region != sim.NO_REGION)]
    }

    tensors = {region: name or "output" for region, (name, *_) in simulation.regions.items()}

    def lanes(info) -> tuple[Access | None, ...]:
        return tuple(
            None
            if region == sim.NO_REGION
            else Access(tensors.get(region) or shared.get((info.launch, region), "shared"), offset, size)
            for offset, region, size in _LANE.iter_unpack(bytes(info.lanes))
        )

    requests = [
        Request(
            KINDS[info.what >> 8, info.what & 255],
            lines[info.pc],
            _text(source, lines[info.pc]),
            info.launch,
            lanes(info),
            info.sectors,
            info.wavefronts,
            info.warp,
            info.epoch,
        )
        for info in infos
    ]
    block, warp = simulation.watch
    return Trace(requests, block=block, warp=warp, launches=launches, barriers=_barriers(simulation))


def _barriers(simulation) -> list[Barrier]:
    number = ctypes.c_size_t()
    raw = simulation.engine.sim_barriers(simulation.context, ctypes.byref(number))
    return [
        Barrier(raw[i].launch, raw[i].line, _text(simulation.source, raw[i].line), raw[i].epoch)
        for i in range(number.value)
    ]


def _text(source, line: int | None) -> str:
    return source.line(line).strip() if line else ""
