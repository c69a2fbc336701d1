"""What the simulator's tests share: many small kernels in one source, since compiling takes the time."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
import torch

from utils.errors import KernelError
from utils.facade import make_source
from utils.inline import Module, backends, load_inline
from utils.inline.nvcc import compile_cuda, find_nvcc

_HEADING = re.compile(r"//# (?P<name>\w+)(?: <<<(?P<launch>.*)>>>)?(?:: (?P<notes>.*))?")


@dataclass(frozen=True)
class Kernel:
    """`name` is a kernel and its launcher: y = name(x), on float tensors of one shape; `n` is their length.

    In `body`, `i` is the thread's index in the grid and `lane` its lane; `before` is what the kernel calls. y
    starts as `fill` says: "zeros", or "empty" for memory that nobody has written. `launcher` replaces
    the body of the usual one.
    """

    name: str
    body: str
    launch: str = "1, 32"
    before: str = ""
    notes: str = ""
    fill: str = "zeros"
    launcher: str = ""

    @property
    def text(self) -> str:
        return f"""{self.before}
__global__ void {self.name}_kernel(const float* x, float* y, int n) {{
    const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
{self.body}
}}
torch::Tensor {self.name}(torch::Tensor x) {{
{self.launcher or self._usual_launcher}}}
"""

    @property
    def _usual_launcher(self) -> str:
        return f"""    auto y = torch::{self.fill}_like(x);
    {self.name}_kernel<<<{self.launch}>>>(x.data_ptr<float>(), y.data_ptr<float>(), (int)x.numel());
    return y;
"""


def read_kernels(text: str, **fields) -> list[Kernel]:
    """The kernels of a text with a heading before each: `//# name <<<launch>>>: notes`.

    What stands above a line `//#body` goes before the kernel, what stands below `//#launcher` is the
    launcher's body.
    """
    kernels = []
    for section in re.split(r"^(?=//# )", text, flags=re.MULTILINE)[1:]:
        heading, _, code = section.partition("\n")
        found = _HEADING.fullmatch(heading)
        assert found, heading
        code, _, launcher = code.partition("//#launcher\n")
        before, marker, body = code.partition("//#body\n")
        given = {name: value for name, value in found.groupdict().items() if value}
        kernels.append(
            Kernel(body=body or before, before=before if marker else "", launcher=launcher, **given, **fields)
        )
    return kernels


def compile_text(text: str, name: str = "cell", **options) -> Module:
    """A CUDA source for the simulator, with the include that every cell starts with."""
    text = "#include <torch/extension.h>\n" + text
    return load_inline(name, cuda_sources=text, backend="simulator", **options)


def compile_kernels(kernels: list[Kernel], **options) -> Module:
    """All kernels as one source."""
    return compile_text("".join(kernel.text for kernel in kernels), **options)


def line_of(launcher, text: str) -> int:
    """The one line that contains `text` in the kernel of a launcher made by `compile_kernels`."""
    lines = launcher.source.parts[-1][1].split("\n")
    start = next(k for k, line in enumerate(lines) if f" {launcher.name}_kernel(const" in line)
    end = next(k for k in range(start, len(lines)) if lines[k] == "}")
    found = [k + 1 for k in range(start, end) if text in lines[k]]
    assert len(found) == 1, f"{text!r} is on lines {found}"
    return found[0]


# What a test of results runs in: the same source and the same expectations on a GPU, where there is one.
MODES = [
    "checked",
    "quick",
    pytest.param(
        "gpu",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not (backends.gpu_available() and find_nvcc()), reason="needs a GPU and nvcc"),
        ],
    ),
]


def compile_for(mode: str, text: str, name: str):
    """A source for one of MODES; its launchers take and give tensors of the CPU everywhere."""
    if mode != "gpu":
        return compile_text(text, name=name, checked=mode == "checked")
    text = "#include <torch/extension.h>\n" + text
    # Sums and products apart, each rounded, as the simulator and the expectations have them.
    flags = ["-fmad=false"]
    return OnGpu(load_inline(name, cuda_sources=text, backend="cuda", extra_cuda_cflags=flags))


class OnGpu:
    """A module whose launchers are called with copies of their tensors on the GPU."""

    def __init__(self, module: Module):
        self.module = module

    def __getattr__(self, name: str):
        def call(*arguments):
            copies = [a.cuda() if isinstance(a, torch.Tensor) else a for a in arguments]
            result = getattr(self.module, name)(*copies)
            for argument, copy in zip(arguments, copies, strict=True):
                if isinstance(argument, torch.Tensor):
                    argument.copy_(copy)
            if isinstance(result, (list, tuple)):
                return [r.cpu() for r in result]
            return result.cpu() if isinstance(result, torch.Tensor) else result

        return call


def nvcc_accepts(text: str, name: str) -> None:
    """Compiles a test's source with nvcc, as the cuda backend would: it is CUDA, not our dialect."""
    if find_nvcc() is None:
        pytest.skip("needs nvcc")
    compile_cuda(make_source(name, cuda_sources="#include <torch/extension.h>\n" + text), "sm_80")


def line_with(launcher, text: str) -> int:
    """The one line of a launcher's source that contains `text`."""
    lines = launcher.source.parts[-1][1].split("\n")
    found = [k + 1 for k, line in enumerate(lines) if text in line]
    assert len(found) == 1, f"{text!r} is on lines {found}"
    return found[0]


_FIX = re.compile(r"^( *)(.*?) *// -> (.*)$", re.MULTILINE)


def twin(kernel: Kernel) -> Kernel:
    """The kernel with its bug put right: of a line `bug  // -> correction` the correction."""
    return replace(
        kernel, body=_FIX.sub(r"\1\3", kernel.body), launcher=_FIX.sub(r"\1\3", kernel.launcher), notes=""
    )


def raised_as_told(kernel: Kernel, launcher, x: torch.Tensor) -> KernelError:
    """The error of a kernel with a bug: of the kind, thread and words that its notes tell."""
    kind, *more = kernel.notes.split(", ", 2)
    with pytest.raises(KernelError) as caught:
        launcher(x)
    error = caught.value
    assert error.kind == kind, str(error)
    if more:
        assert error.thread == tuple(map(int, more[0].split())) and more[1] in str(error), str(error)
    return error
