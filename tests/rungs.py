"""The ladders' kernels for tests: compiled where they can run, and called in their own layout and type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

import kernels
from kernels import LADDERS, Rung
from utils.check import Case
from utils.ladder import variants
from utils.precision import find_precision
from utils.timing import can_measure

RUNGS = [rung for ladder in LADDERS.values() for rung in ladder]
OF_AMPERE = [rung for rung in RUNGS if rung.sm >= 80]
ON_TENSOR_CORES = [rung for rung in RUNGS if "fp32" not in rung.precisions]
MOST_TAPS = {"conv2d_rows": 7, "conv2d_mma": 15, "conv2d_wgmma": 15, "conv2d_window": 24}


def find(names: str) -> list[Rung]:
    """Rungs by their names, in one string."""
    return [kernels.rung(name) for name in names.split()]


def compiled(rung: Rung) -> Callable:
    """Its launcher, in the simulator; of a kernel that the simulator cannot run, on a GPU of its kind."""
    if rung.simulated:
        return kernels.load(rung.name, backend="simulator")
    if not can_measure():
        pytest.skip("the simulator does not have its instructions, and here is no GPU")
    major, minor = torch.cuda.get_device_capability()
    if 10 * major + minor != rung.sm:
        pytest.skip(f"its instructions are those of compute capability {rung.sm / 10}")
    return kernels.load(rung.name, backend="cuda")


@dataclass
class Kernel:
    """A rung's launcher that is called with contiguous float32 tensors of the CPU.

    They come to it in its layout, and in the type of the precision that is asked for. Tensors that are not
    contiguous, or of another type, come as they are. The result is a tensor of the CPU.
    """

    rung: Rung
    launcher: Callable

    @property
    def name(self) -> str:
        return self.rung.name

    def variants(self) -> Iterator[tuple[str, int | None]]:
        """Every precision and tile that it has."""
        return variants(self.rung, self.launcher)

    def takes(self, case: Case) -> Case | None:
        """The case with a filter of the size that it takes; None for what it does not do."""
        if self.rung.taps:
            case = Case(**{**vars(case), "taps": self.rung.taps})
        most = MOST_TAPS.get(self.name, 1000)
        if not case.needs <= self.rung.supports or max(case.taps) > most or not case.has_outputs:
            return None
        return case

    def __call__(self, input, weight, bias=None, precision: str | None = None, tile=None, **options):
        dtype = find_precision(precision or self.rung.precisions[0]).dtype
        tensors = [self._prepared(tensor, dtype) for tensor in (input, weight, bias)]
        if tile is not None:
            options["tile"] = tile
        result = self.launcher(*tensors[: 2 if bias is None else 3], **options)
        return result.cpu()

    def _prepared(self, tensor, dtype):
        if not isinstance(tensor, torch.Tensor):
            return tensor
        if tensor.is_contiguous() and tensor.dtype == torch.float32:
            tensor = tensor.to(dtype)
        if tensor.is_contiguous() and tensor.dim() == 4 and self.rung.layout == "channels_last":
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return as_it_lies(tensor, "cpu" if self.rung.simulated else "cuda")


def as_it_lies(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """On the device, with the same strides and the same place in its storage."""
    if device == "cpu":
        return tensor
    storage = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
    return storage.to(device).as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def convolve(input, weight, bias=None, **options) -> torch.Tensor:
    """PyTorch's result in float64; a weight of one channel for several of the input is a depthwise one."""
    fn = F.conv1d if input.dim() == 3 else F.conv2d
    exact = [None if t is None else t.cpu().double() for t in (input, weight, bias)]
    return fn(*exact, groups=input.shape[1] // weight.shape[1], **options)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def integers(*shape: int, least: int = 1, most: int = 3) -> torch.Tensor:
    """Whole numbers, none of them 0, of either sign: exact in every precision, and so are short sums."""
    generator = torch.Generator().manual_seed(sum(shape))
    sizes = torch.randint(least, most + 1, shape, generator=generator)
    return (sizes * (2 * torch.randint(0, 2, shape, generator=generator) - 1)).float()


def arguments(case: Case, depthwise: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """A case's tensors, of whole numbers."""
    weight = integers(case.K, 1 if depthwise else case.C, *case.taps)
    return integers(case.N, case.C, *case.size), weight, integers(case.K) if case.bias else None
