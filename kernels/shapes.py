"""The shapes of a convolution's and its gradients' results, and what is refused before any kernel is chosen.

PyTorch asks for these also with tensors that have no data, and with sizes that stand for any number: so
nothing here looks at a number of a tensor, and every refusal goes through torch._check, a RuntimeError.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.workloads import output_size

DTYPES = (torch.float32, torch.float64)
LIMIT = 1 << 29  # of stride, padding and dilation, as in conv.h


def forward_shape(
    dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int
) -> list[int]:
    """N x K x P x Q, or N x K x Q where `dims` is 1."""
    _check_tensors(dims, input=input, weight=weight)
    if bias is not None:
        K = weight.shape[0]
        _check_type("bias", bias, "input", input)
        torch._check(bias.dim() == 1, lambda: f"bias must have 1 dimension, not {bias.dim()}")
        torch._check(bias.shape[0] == K, lambda: f"bias must have {K} elements, one per output channel")
    return _output_shape(input.shape, weight.shape, stride, padding, dilation)


def dgrad_shape(
    dims: int,
    grad_output: Tensor,
    weight: Tensor,
    size: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
) -> list[int]:
    """The input's shape, whose height and width, or length, is `size`."""
    _check_tensors(dims, grad_output=grad_output, weight=weight)
    torch._check(len(size) == dims, lambda: f"size must have {dims} numbers, not {len(size)}")
    input = [grad_output.shape[0], weight.shape[1], *size]
    _check_grad_output(grad_output, _output_shape(input, weight.shape, stride, padding, dilation))
    return input


def wgrad_shape(
    dims: int,
    grad_output: Tensor,
    input: Tensor,
    taps: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
) -> list[int]:
    """The weight's shape, whose height and width, or length, is `taps`."""
    _check_tensors(dims, grad_output=grad_output, input=input)
    torch._check(len(taps) == dims, lambda: f"taps must have {dims} numbers, not {len(taps)}")
    weight = [grad_output.shape[1], input.shape[1], *taps]
    _check_grad_output(grad_output, _output_shape(input.shape, weight, stride, padding, dilation))
    return weight


def bgrad_shape(grad_output: Tensor) -> list[int]:
    """The bias's shape: K."""
    torch._check(
        grad_output.dim() in (3, 4),
        lambda: f"grad_output must have 3 or 4 dimensions, not {grad_output.dim()}",
    )
    _check_type("grad_output", grad_output, "grad_output", grad_output)
    _check_not_empty(grad_output.shape[1:])
    return [grad_output.shape[1]]


def _check_tensors(dims: int, **tensors: Tensor) -> None:
    """They have so many dimensions besides images and channels, one type that kernels have, one device."""
    (first, of), *_ = tensors.items()
    for name, tensor in tensors.items():
        torch._check(
            tensor.dim() == dims + 2,
            lambda n=name, t=tensor: f"{n} must have {dims + 2} dimensions, not {t.dim()}",
        )
        _check_type(name, tensor, first, of)


def _check_type(name: str, tensor: Tensor, first: str, of: Tensor) -> None:
    torch._check(
        tensor.dtype in DTYPES,
        lambda: (
            f"{name} is {tensor.dtype}, and the kernels compute in float32 or float64: pass {name}.float()"
            " (of a model, model.float()), or call inside torch.autocast, where it is cast to float32"
        ),
    )
    torch._check(
        tensor.dtype == of.dtype,
        lambda: f"{name} is {tensor.dtype}, {first} is {of.dtype}: they must be of one type",
    )
    torch._check(
        tensor.device == of.device,
        lambda: f"{name} is on {tensor.device}, {first} on {of.device}: they must be on one device",
    )


def _check_not_empty(sizes: Sequence[int]) -> None:
    for size in sizes:
        torch._check(size > 0, lambda: "only the batch may be empty")


def _output_shape(
    input: Sequence[int], weight: Sequence[int], stride: int, padding: int, dilation: int
) -> list[int]:
    """The shape of a convolution of these two shapes."""
    torch._check(
        weight[1] == input[1],
        lambda: f"weight has {weight[1]} channels, input has {input[1]} (groups are not supported)",
    )
    _check_not_empty([*input[1:], *weight])
    for name, value, least in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        torch._check(
            least <= value < LIMIT,
            lambda n=name, v=value, m=least: f"{n} must be at least {m} and below {LIMIT}, not {v}",
        )
    sizes = [
        output_size(size, taps, stride, padding, dilation)
        for size, taps in zip(input[2:], weight[2:], strict=True)
    ]
    for size in sizes:
        torch._check(size > 0, lambda: "the filter is larger than the padded input")
    return [input[0], weight[0], *sizes]


def _check_grad_output(grad_output: Tensor, wanted: list[int]) -> None:
    for size, want in zip(grad_output.shape, wanted, strict=True):
        torch._check(
            size == want,
            lambda: f"grad_output is {_shape(grad_output.shape)}, the convolution's output {_shape(wanted)}",
        )


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
