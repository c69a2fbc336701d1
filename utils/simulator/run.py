"""Calling a launcher in the simulator: its tensors guarded, its errors explained, its output shown."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
import threading
import time
from pathlib import Path

import torch

from utils.errors import KernelError
from utils.facade import Host, Signature, Source, invoke
from utils.simulator import engine as sim
from utils.simulator.memory import memory_limit
from utils.simulator.messages import explain
from utils.simulator.order import ORDERS, chosen_order

_GUARD = 4096  # bytes that belong to nobody before and behind every tensor


def run(
    library: Path,
    source: Source,
    signature: Signature,
    values: list,
    *,
    checked: bool = True,
    order: str | None = None,
    seed: int | None = None,
    timeout: float | None = None,
):
    """Call one launcher of a library made by `build` and return what it returns.

    Args:
        values: the launcher's arguments in order; tensors may be on any device and are copied to the CPU.
        order, seed: in which order the threads of a warp, the warps and the blocks take their turns; by
            default as `thread_order` around the call says.
        timeout: seconds after which the call is stopped; by default the environment's CONV_TIMEOUT, or 120.

    Raises:
        KernelError: what the kernel did wrong.
        RuntimeError: a TORCH_CHECK of the launcher failed.
    """
    with Simulation(library, source, checked=checked, order=order, seed=seed) as simulation:
        return simulation.call(signature, values, timeout)


class _ReadsMatter(Exception):
    """The call must be run again with its reads recorded."""


class Simulation:
    """One call in the simulator and what it left behind: launches, requests, error."""

    def __init__(
        self,
        library: Path,
        source: Source,
        *,
        checked=True,
        order=None,
        seed=None,
        watch=None,
        workers=None,
    ):
        self.library, self.source, self.checked = library, source, checked
        self.order, self.watch = chosen_order(order, seed), watch
        self.workers = workers or _workers(source)
        self.reads = False  # whether the engine records who reads what
        self.regions: dict[int, tuple[str, torch.Tensor]] = {}  # what the engine calls a region: name, tensor
        self.engine = sim.engine()
        self.context = None
        self.module = _load(library)
        self._done = threading.Event()
        self._done.set()

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *_):
        self._close()

    def _open(self):
        self.context = self.engine.sim_create(
            self.checked, self.reads, self.workers, ORDERS.index(self.order.name), self.order.seed
        )
        self.engine.sim_set_memory_limit(self.context, memory_limit())
        if self.watch is not None:
            block, warp = self.watch
            self.engine.sim_trace(self.context, *block, sim.EVERY_WARP if warp is None else warp)

    def _close(self):
        if self._done.is_set():
            self.engine.sim_destroy(self.context)
        # else a thread that could not be stopped still runs in it: better a leak than a crash
        self.context = None
        self.regions.clear()

    def reserve(self, bytes: int) -> None:
        """Count memory that a tensor of the call is about to take.

        Raises:
            torch.OutOfMemoryError: there is not so much left for it.
        """
        room = self.engine.sim_reserve(self.context, bytes)
        if room:
            raise torch.OutOfMemoryError(
                f"A tensor of {bytes / 1e9:.2f} GB is too much memory: the simulator may take "
                f"{room / 1e9:.2f} GB more on this machine (CONV_MEMORY sets the limit in GB). "
                "Try a smaller shape."
            )

    @property
    def base(self) -> int:
        return self.engine.sim_module_base(self.context)

    def call(self, signature: Signature, values: list, timeout: float | None = None):
        """Run the launcher; afterwards the engine's context holds launches and requests until __exit__."""
        while True:
            try:
                result = self._attempt(signature, values, timeout)
                self._show_output()
                return result
            except _ReadsMatter:
                # A kernel reads and writes one tensor; who read what is recorded only where that matters.
                self.reads = True
            except KernelError as error:
                if error.kind == "timeout" or (self.workers == 1 and (self.reads or not self.checked)):
                    self._show_output()
                    raise
                # Which of several errors comes first depends on the host's threads. A run on one of them
                # always names the same.
                self.workers, self.reads = 1, True
            except BaseException:
                self._show_output()
                raise
            self._close()
            self._open()

    def _attempt(self, signature, values, timeout):
        host = _SimulatedHost(self)
        names = [parameter.name for parameter in signature.parameters]
        given = [host.take(v, name) for v, name in zip(values, names, strict=True)]
        entry = ctypes.cast(getattr(self.module, f"facade_call_{signature.name}"), ctypes.c_void_p)
        self.engine.sim_set_module(self.context, entry)
        if self.checked:
            bytes = ctypes.c_size_t()
            self.module.sim_constants.restype = ctypes.c_void_p
            constants = self.module.sim_constants(ctypes.byref(bytes))
            self.engine.sim_set_constants(self.context, constants, bytes)
        outcome: dict = {}

        def work():
            try:
                outcome["result"] = invoke(_Guarded(self, entry), signature, given, host)
            except BaseException as error:  # carried to the caller's thread
                outcome["exception"] = error

        self._done.clear()
        _run_interruptibly(work, self._done, self._cancel, timeout)
        if not self._done.is_set():
            raise KernelError("The launcher did not stop when its time was up.", kind="timeout")
        error = self.engine.sim_error(self.context)
        if error and sim.KINDS[error.contents.kind] == "reads-matter":
            raise _ReadsMatter
        if error:
            raise explain(error.contents, self)
        if "exception" in outcome:
            raise outcome["exception"]
        host.give_back()
        return host.own(outcome["result"])

    def _cancel(self):
        self.engine.sim_cancel(self.context)

    def _show_output(self):
        if not self._done.is_set():
            return  # a thread that could not be stopped may still write to it
        dropped = ctypes.c_size_t()
        text = self.engine.sim_output(self.context, ctypes.byref(dropped)).decode(errors="replace")
        if text:
            sys.stdout.write(text)
        if dropped.value:
            print(f"\n... {dropped.value:,} more characters of printf output are not shown")


class _Guarded:
    """Stands in for the library that `invoke` calls: calls go through the engine, which catches faults."""

    def __init__(self, simulation: Simulation, entry):
        self.simulation, self.entry = simulation, entry

    def __getattr__(self, name):
        def call(argument):
            pointer = ctypes.cast(argument, ctypes.c_void_p)
            return self.simulation.engine.sim_call(self.simulation.context, self.entry, pointer, *[None] * 5)

        return call


class _SimulatedHost(Host):
    """Gives the launcher tensors that the engine knows, with nobody's memory around each."""

    def __init__(self, simulation: Simulation):
        self.simulation = simulation
        self.copies: list[tuple[torch.Tensor, torch.Tensor]] = []  # argument, its guarded copy (flat)
        self.originals: dict[int, torch.Tensor] = {}
        self.keep: list[torch.Tensor] = []

    def take(self, value, name: str):
        if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
            return type(value)(self.take(v, f"{name}[{i}]") for i, v in enumerate(value))
        if not isinstance(value, torch.Tensor):
            return value
        if value.layout is not torch.strided or value.device.type == "meta" or value.numel() == 0:
            return value  # invoke refuses what has no plain memory; an empty tensor has nothing to guard
        given, value = value, value.detach()
        if not self.simulation.checked and value.device.type == "cpu":
            self._register(
                value, name, value.untyped_storage().nbytes(), value.untyped_storage().data_ptr(), False
            )
            self.originals[id(value)] = given
            self.keep.append(value)
            return value
        extent = 1 + sum(
            (size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True)
        )
        flat = value.as_strided((extent,), (1,))
        offset = value.storage_offset() * value.element_size()
        copy = self._guarded((extent,), value.dtype, offset)
        copy.copy_(flat)
        view = copy.as_strided(value.shape, value.stride(), copy.storage_offset())
        self.copies.append((flat, copy))
        self.originals[id(view)] = given
        self.keep.append(view)
        has_gaps = view.numel() < extent
        self._register(view, name, extent * view.element_size(), view.data_ptr(), has_gaps)
        if has_gaps:
            numbers = ctypes.c_int64 * view.dim()
            self.simulation.engine.sim_mark_elements(
                self.simulation.context,
                view.data_ptr(),
                view.element_size(),
                view.dim(),
                numbers(*view.shape),
                numbers(*view.stride()),
            )
        return view

    def empty(self, shape, dtype, device, fill):
        if not self.simulation.checked:
            self.simulation.reserve(_bytes(shape, dtype))
            tensor = super().empty(shape, dtype, None, fill)
        else:
            tensor = self._guarded(shape, dtype)
            if fill == "empty":
                tensor.view(-1).view(torch.uint8).fill_(0xFF)  # NaN: what nobody wrote shall not look right
            else:
                tensor.fill_(0 if fill == "zeros" else 1)
        if not tensor.numel():
            return tensor
        nbytes = tensor.numel() * tensor.element_size()
        if device is None or device.type == "cuda":
            self._register(tensor, "", nbytes, tensor.data_ptr(), fill == "empty")
        else:
            number = self._name(tensor, "")
            self.simulation.engine.sim_add_host_tensor(
                self.simulation.context, tensor.data_ptr(), nbytes, number
            )
        return tensor

    def contiguous(self, tensor):
        copy = self.empty(tuple(tensor.shape), tensor.dtype, None, "zeros")
        return copy.copy_(tensor)

    def give_back(self):
        """Writes what the kernel changed in its arguments back to where they came from."""
        for flat, copy in self.copies:
            now = copy.view(torch.uint8) if copy.dtype != torch.bool else copy
            before = flat.to(copy.device)
            before = before.view(torch.uint8) if before.dtype != torch.bool else before
            if not torch.equal(now, before):
                flat.copy_(copy)

    def own(self, result):
        """The result with the caller's own tensors in place of their guarded copies."""
        if isinstance(result, (list, tuple)):
            return type(result)(self.own(r) for r in result)
        return self.originals.get(id(result), result)

    def _guarded(self, shape, dtype, offset: int = 0) -> torch.Tensor:
        """A tensor amid nobody's memory, aligned to 16 bytes as one `offset` bytes into an allocation is."""
        size = _bytes(shape, dtype)
        self.simulation.reserve(size)
        memory = torch.empty(size + 2 * _GUARD + 512, dtype=torch.uint8)
        start = _GUARD - memory.data_ptr() % 256 + (256 if memory.data_ptr() % 256 else 0) + offset % 16
        return memory[start : start + size].view(dtype).view(shape)

    def _name(self, tensor, name) -> int:
        """The number by which the engine speaks of a tensor."""
        number = len(self.simulation.regions)
        self.simulation.regions[number] = (name, tensor)
        self.keep.append(tensor)
        return number

    def _register(self, tensor, name, nbytes, address, uninitialised):
        simulation, number = self.simulation, self._name(tensor, name)
        simulation.engine.sim_add_region(
            simulation.context, address, nbytes, tensor.element_size(), number, uninitialised
        )


def _bytes(shape, dtype: torch.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _run_interruptibly(work, done: threading.Event, cancel, timeout: float | None) -> None:
    """Runs `work` on a thread of its own, so that interrupts and the time limit reach a running kernel.

    `done` is set when the thread has left the kernel. (Thread.join does not do for this: interrupted, Python
    3.11 takes a running thread for a finished one.)
    """

    def run():
        try:
            work()
        finally:
            done.set()

    limit = timeout if timeout is not None else float(os.environ.get("CONV_TIMEOUT", "120"))
    deadline = time.monotonic() + limit
    threading.Thread(target=run, name="simulator", daemon=True).start()
    try:
        while not done.wait(min(0.5, max(deadline - time.monotonic(), 0))):
            if time.monotonic() >= deadline:
                _cancel_until_done(done, cancel)
                break
    except BaseException:
        _cancel_until_done(done, cancel)
        raise


def _cancel_until_done(done: threading.Event, cancel) -> None:
    # Again and again: a signal may find a thread inside the engine, where it must not be torn out.
    for _ in range(200):
        cancel()
        if done.wait(0.05):
            return


def _workers(source: Source) -> int:
    # The sum of floats depends on the order of its terms: with atomics the blocks take turns on one core, so
    # that the result is the same on every machine.
    if "atomic" in source.text.split("#line", 1)[-1]:
        return 1
    chosen = os.environ.get("CONV_THREADS")
    if chosen:
        return max(1, int(chosen))
    with contextlib.suppress(AttributeError):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


_loaded: dict[Path, ctypes.CDLL] = {}


def _load(library: Path) -> ctypes.CDLL:
    if library not in _loaded:
        sim.engine()
        _loaded[library] = ctypes.CDLL(str(library))
    return _loaded[library]
