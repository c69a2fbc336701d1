"""What is recorded with Nsight Compute: the corpus, and every kernel of the course on some layers.

Found by listing kernels/, so that a new kernel is recorded without editing anything here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ncu_corpus
import torch

import kernels
from kernels import Workload
from utils.inline import load_inline
from utils.precision import find_precision

# Small layers: a regular one, one whose sizes are multiples of nothing, one of each kind that some kernels
# are made for. A kernel is recorded on those that it handles, in each of its precisions; one whose
# instructions the simulator does not have (`Rung.simulated`) on none: there would be nothing to compare.
LAYERS = (
    Workload("regular", 2, 8, 64, 64, 8, 3, 3, padding=1),
    Workload("awkward", 1, 3, 19, 45, 5, 3, 2, stride=2, padding=1),
    Workload("pointwise", 2, 16, 14, 14, 24, 1, 1),
    Workload("depthwise", 2, 12, 20, 28, 12, 3, 3, padding=1, groups=12),
    Workload("regular", 2, 8, 1, 1024, 8, 1, 5, padding=2, operator="conv1d"),
    Workload("awkward", 1, 3, 1, 211, 5, 1, 3, stride=3, dilation=2, operator="conv1d"),
)

# Where the course's kernels are counted otherwise on a layer; the corpus says so in its headings.
_COPIES = (
    "cp.async of 16 bytes to places that do not lie side by side in shared memory, or by some lanes alone:"
    " the H200 copies lanes apart and counts more sectors and wavefronts, by a rule that we have not found"
)
_COPIES_AND_LOADS = _COPIES + "; besides, a few wavefronts of loads that no address asks for"
_SMALL_COPIES = "cp.async of 4 or 8 bytes: ncu counts more wavefronts and conflicts, not explained"
_FRAGMENTS = "how WMMA loads and stores fragments is modelled: nvcc makes fewer, wider accesses"
_BRANCHES = "nvcc takes lanes inside and outside of the input apart; " + _COPIES
KNOWN = {
    "conv1d_mma.awkward": _BRANCHES,
    "conv1d_mma.regular": _BRANCHES,
    "conv1d_registers.awkward": "nvcc loads lanes inside and outside of the input apart",
    "conv1d_tiled.awkward": "nvcc makes two stores of one, for lanes inside and outside of the input",
    "conv1d_wgrad_tiled.awkward": _SMALL_COPIES,
    "conv1d_wgrad_tiled.regular": _SMALL_COPIES,
    "conv1d_window.regular": _COPIES,
    "conv2d_dgrad_tiled.awkward": _SMALL_COPIES,
    "conv2d_dgrad_tiled.pointwise": _SMALL_COPIES + "; and 1% more sectors",
    "conv2d_dgrad_tiled.regular": _SMALL_COPIES,
    "conv2d_gemm_async.awkward": _SMALL_COPIES,
    "conv2d_gemm_async.pointwise": _SMALL_COPIES,
    "conv2d_mma.awkward": _COPIES,
    "conv2d_mma.awkward_bf16": _COPIES_AND_LOADS,
    "conv2d_mma.pointwise": _COPIES_AND_LOADS,
    "conv2d_mma.pointwise_bf16": _COPIES_AND_LOADS,
    "conv2d_mma.regular": _COPIES_AND_LOADS,
    "conv2d_mma.regular_bf16": _COPIES_AND_LOADS,
    "conv2d_mma_pointwise.pointwise": _COPIES_AND_LOADS + "; nvcc makes fewer loads than the source has",
    "conv2d_mma_pointwise.pointwise_bf16": _COPIES_AND_LOADS + "; nvcc makes fewer loads than the source has",
    "conv2d_mma_window.awkward": _BRANCHES,
    "conv2d_mma_window.awkward_bf16": _BRANCHES,
    "conv2d_mma_window.pointwise_bf16": "nvcc makes fewer stores than the source has",
    "conv2d_mma_window.regular": _COPIES,
    "conv2d_mma_window.regular_bf16": _COPIES,
    "conv2d_pointwise.pointwise": _COPIES,
    "conv2d_rows.pointwise": "nvcc makes half as many loads as the source has",
    "conv2d_rows.regular": "nvcc makes half as many loads as the source has",
    "conv2d_wgrad_tiled.awkward": _SMALL_COPIES,
    "conv2d_wgrad_tiled.pointwise": _SMALL_COPIES,
    "conv2d_wgrad_tiled.regular": _SMALL_COPIES + "; besides, a few wavefronts of loads",
    "conv2d_window.regular": _COPIES_AND_LOADS,
    "conv2d_wmma.awkward": _FRAGMENTS,
    "conv2d_wmma.pointwise": _FRAGMENTS,
    "conv2d_wmma.regular": _FRAGMENTS,
}


# Newer than the recording in tests/ncu: all entries of these kernels, and the corpus's of this beginning.
# Their counts are not compared with anything yet. Whoever records (tests/record_ncu.py) takes this out.
AWAITING_RECORDING: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One call to record; `digest` changes with the source, `call` compiles it for a backend and runs it.

    `bind` gives the launcher and its arguments on a device.
    """

    name: str
    digest: str
    bind: Callable[[str, str], tuple[Callable, list]]

    def call(self, backend: str, device: str):
        launcher, arguments = self.bind(backend, device)
        return launcher(*arguments)


def entries() -> list[Entry]:
    """The corpus first, then the kernels by file and layer."""
    corpus = [
        Entry(
            kernel.name,
            ncu_corpus.digest(ncu_corpus.PRELUDE + kernel.text),
            lambda backend, device, name=kernel.name: (
                getattr(corpus_module(backend), name),
                [torch.arange(float(ncu_corpus.LENGTH), device=device)],
            ),
        )
        for kernel in ncu_corpus.KERNELS.values()
    ]
    return corpus + [entry for name in kernels.names() for entry in _kernel_entries(name)]


def known_difference(name: str) -> str | None:
    """Why an entry's counts are not its source's; None where they must be equal."""
    return KNOWN.get(name) or ncu_corpus.known_difference(name)


def awaits_recording(name: str) -> bool:
    """Whether nothing is recorded of an entry yet."""
    return name.startswith(AWAITING_RECORDING)


def is_corpus(name: str) -> bool:
    """Whether an entry is one of the corpus; those of kernels/ are called file.layer."""
    return "." not in name


def corpus_module(backend: str):
    """The whole corpus, compiled at once; found in the cache the next time."""
    return load_inline("corpus", cuda_sources=ncu_corpus.SOURCE, backend=backend)


def _kernel_entries(name: str) -> list[Entry]:
    operator = kernels.operator(name)
    if operator in GRADIENT_ARGUMENTS:
        return [
            _entry(
                name,
                layer.name,
                layer.describe(),
                lambda device, layer=layer: GRADIENT_ARGUMENTS[operator](layer, device),
            )
            for layer in LAYERS
            if layer.operator == ("conv2d" if operator == "bgrad" else operator.split("_")[0])
            and layer.groups == 1
        ]
    if operator not in ("conv2d", "conv1d"):
        return [_entry(name, "sequence", "1000", lambda device: {0: _data((1000,), device)})]
    rung = kernels.rung(name)
    if not rung.simulated:
        return []  # there is nothing to compare with what ncu would count
    return [
        _entry(
            name,
            layer.name + ("_bf16" if precision == "bf16" else ""),
            layer.describe(),
            lambda device, layer=layer, precision=precision: _layer(layer, rung.layout, precision, device),
        )
        for layer in LAYERS
        if rung.handles(layer)
        for precision in rung.precisions
        if precision != "fp64"  # the lessons count float32 alone
    ]


def _entry(name: str, layer: str, sizes: str, data: Callable[[str], dict]) -> Entry:
    def bind(backend: str, device: str):
        launcher = kernels.load(name, backend=backend)
        given = data(device)
        arguments = []
        for number, parameter in enumerate(launcher.signature.parameters):
            if number not in given and parameter.name not in given:
                break  # the launcher has a default for this and what follows
            arguments.append(given[number] if number in given else given[parameter.name])
        return launcher, arguments

    return Entry(f"{name}.{layer}", ncu_corpus.digest(kernels.source(name) + sizes), bind)


def _layer(layer: Workload, layout: str, precision: str, device: str) -> dict:
    dtype = find_precision(precision).dtype
    options = ("stride", "padding", "dilation", "groups")
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return {
        0: _data(layer.input_shape, device).to(dtype, memory_format=order),
        1: _data(layer.weight_shape, device).to(dtype, memory_format=order),
        "bias": _data((layer.K,), device).to(dtype) if layer.name == "awkward" else None,
        **{option: getattr(layer, option) for option in options},
    }


def _options(layer: Workload) -> dict:
    return {option: getattr(layer, option) for option in ("stride", "padding", "dilation")}


def _dgrad(layer: Workload, device: str) -> dict:
    sizes = {"height": layer.H, "width": layer.W, "length": layer.W}
    return {
        0: _data(layer.output_shape, device),
        1: _data(layer.weight_shape, device),
        **sizes,
        **_options(layer),
    }


def _wgrad(layer: Workload, device: str) -> dict:
    taps = {"R": layer.R, "S": layer.S}
    return {
        0: _data(layer.output_shape, device),
        1: _data(layer.input_shape, device),
        **taps,
        **_options(layer),
    }


GRADIENT_ARGUMENTS: dict[str, Callable[[Workload, str], dict]] = {
    "conv2d_dgrad": _dgrad,
    "conv1d_dgrad": _dgrad,
    "conv2d_wgrad": _wgrad,
    "conv1d_wgrad": _wgrad,
    "bgrad": lambda layer, device: {0: _data(layer.output_shape, device)},
}


def _data(shape: tuple[int, ...], device: str) -> torch.Tensor:
    return (torch.arange(torch.Size(shape).numel(), device=device) % 17).float().view(shape)
