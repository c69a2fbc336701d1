"""What a kernel takes of the hardware, by nvcc's own report: registers, stack, spills. No GPU is needed."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from utils.facade import Source, make_source
from utils.gpus import find_gpu
from utils.inline.launcher import Launcher, Module
from utils.inline.nvcc import compile_report, find_nvcc

_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_PROPERTIES = re.compile(r"Function properties for (\w+)")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class KernelResources:
    """What one kernel takes.

    Attributes:
        kernel: its plain name, as in a profile.
        name: the same with its namespaces and template arguments.
        registers: of a thread.
        stack: bytes of local memory of a thread: arrays that the compiler could not keep in registers, and
            values that did not fit into them.
        spill_stores, spill_loads: bytes that a thread writes to and reads from local memory for want of
            registers, as far as the compiler counts them: once, also in a loop.
        shared: bytes of static shared memory of a block.
    """

    kernel: str
    name: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int

    def __str__(self) -> str:
        text = f"{self.name}: {self.registers} registers, {self.stack:,} bytes of stack"
        if self.spill_stores or self.spill_loads:
            text += f" ({self.spill_stores:,} bytes of spill stores, {self.spill_loads:,} of spill loads)"
        return text + (f", {self.shared:,} bytes of static shared memory" if self.shared else "")


class Resources(Mapping):
    """The kernels of a source by name, `KernelResources` each; empty, with a `reason`, without nvcc.

    A template's instances go by their full names, `conv<float, 8>`; every other kernel by its plain one.
    """

    def __init__(self, gpu: str, kernels: list[KernelResources], reason: str = ""):
        names = [kernel.kernel for kernel in kernels]
        self.gpu, self.reason = gpu, reason
        self._kernels = {k.kernel if names.count(k.kernel) == 1 else k.name: k for k in kernels}

    def __getitem__(self, name: str) -> KernelResources:
        if name in self._kernels:
            return self._kernels[name]
        raise KeyError(self.reason or f"no kernel is called {name!r}; there are {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._kernels)

    def __len__(self) -> int:
        return len(self._kernels)

    def __str__(self) -> str:
        return self.reason or "\n".join(map(str, self._kernels.values())) or "the source has no kernels"

    __repr__ = __str__


def resources(source: Launcher | Module | Source | str, gpu: str = "H200") -> Resources:
    """Compile a source for a GPU and tell what its kernels take; cached like every build.

    Args:
        source: a launcher or module of `load_inline` (of any backend; its flags count), or CUDA C++ as text.
        gpu: "T4", "A100", "H100" or "H200"; it need not be here.

    Without nvcc the result is empty, and its text says so.

    Raises:
        CompileError: the source does not compile.
        ValueError: an unknown GPU.
    """
    arch = find_gpu(gpu).arch
    source, options = _source_of(source)
    if find_nvcc() is None:
        reason = (
            "registers are not known: only nvcc can tell, and there is none here ('pip install .[gpu]' in the"
            " course's folder installs it)"
        )
        return Resources(gpu, [], reason)
    report = compile_report(
        source,
        arch,
        extra_cflags=options.get("extra_cflags") or [],
        extra_cuda_cflags=options.get("extra_cuda_cflags") or [],
        include_paths=options.get("extra_include_paths") or [],
    )
    return Resources(gpu, sorted(_parse(report), key=lambda kernel: kernel.name))


def _source_of(source: Any) -> tuple[Source, dict[str, Any]]:
    if isinstance(source, Module):
        source = next(iter(source), source)
    if isinstance(source, Launcher):
        return source.source, source.options
    if isinstance(source, Source):
        return source, {}
    if isinstance(source, str):
        return make_source("cell", "", source, None), {}
    raise TypeError(
        f"resources takes a launcher, a module or CUDA C++ as text, not a {type(source).__name__}"
    )


def _parse(report: str) -> Iterator[KernelResources]:
    """The kernels in the text of `ptxas -v`. Device functions that were not inlined stand between them."""
    stacks: dict[str, tuple[int, int, int]] = {}
    entry = function = None
    for line in report.splitlines():
        if match := _ENTRY.search(line):
            entry = match[1]
        elif match := _PROPERTIES.search(line):
            function = match[1]
        elif (match := _STACK.search(line)) and function:
            stacks[function] = tuple(map(int, match.groups()))
        elif (match := _USED.search(line)) and entry:
            shared = _SHARED.search(line)
            name = _kernel_name(entry)
            yield KernelResources(
                re.sub(r"<.*", "", name).rpartition("::")[2],
                name,
                int(match[1]),
                *stacks.get(entry, (0, 0, 0)),
                int(shared[1]) if shared else 0,
            )
            entry = None


def _kernel_name(symbol: str) -> str:
    """`_ZN2ns4convIfLi8EEEvPKfi` is `ns::conv<float, 8>`."""
    name = _demangle(symbol).replace("(anonymous namespace)::", "")
    name = re.sub(r"\(\w[\w ]*\)(?=-?\d)", "", name)  # conv<(int)8> where a demangler writes casts
    depth = 0
    for position, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            name = name[:position]
            break
    return name.removeprefix("void ")


def _demangle(symbol: str) -> str:
    """As c++filt, by the function of the C++ runtime that PyTorch brings along."""
    try:
        demangle = ctypes.CDLL("libstdc++.so.6").__cxa_demangle
    except (OSError, AttributeError):
        return symbol
    demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    text = demangle(symbol.encode(), None, None, ctypes.byref(status))
    if not text:
        return symbol
    try:
        return ctypes.string_at(text).decode()
    finally:
        libc = ctypes.CDLL(None)
        libc.free.argtypes = [ctypes.c_void_p]
        libc.free(text)
