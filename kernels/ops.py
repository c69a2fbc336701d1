"""The course's kernels as PyTorch's operators: gradients, torch.compile, torch.export, autocast and vmap.

    y = kernels.ops.conv2d(x, weight, bias, stride=2, padding=1)
    y.sum().backward()

A convolution ties three tensors together: the input, the weight, and the output or its gradient. `conv2d`
makes the third from the other two, `conv2d_dgrad` the first, `conv2d_wgrad` the second. Each of the three is
linear in both of its tensors, and its gradients are the other two. So there are gradients of every order,
and no kernel had to be written for the second ones.

float32 and float64 tensors on the CPU are computed by the simulator, unchecked, and on a GPU by what nvcc
makes of the same kernels. Results are contiguous; what is not, channels_last for instance, is copied first.
Under torch.autocast everything is cast to float32. torch.func's grad and jvp are refused.

Shapes, and all that is refused because of them, are worked out here, since PyTorch also asks with tensors
that have no data. The launchers add what has to do with memory: over 2^31 - 1 elements, too large grids.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kernels import choice, ladders
from kernels.workloads import output_size
from utils.errors import TorchCheckError

LIBRARY = "conv_course"  # torch.ops.conv_course has the operators
DTYPES = (torch.float32, torch.float64)
LIMIT = 1 << 29  # of stride, padding and dilation, as in conv.h


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """The convolution of input, N x C x H x W, with weight, K x C x R x S, plus bias, K: N x K x P x Q.

    All are float32 or all float64, on one device, and stride, padding and dilation are those of both
    directions. Raises RuntimeError with the reason for everything else.
    """
    _refuse_forward_mode(input, weight, bias)
    return torch.ops.conv_course.conv2d(input, weight, bias, stride, padding, dilation)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """The same in one dimension: input N x C x L, weight K x C x S, bias K; the result is N x K x Q."""
    _refuse_forward_mode(input, weight, bias)
    return torch.ops.conv_course.conv1d(input, weight, bias, stride, padding, dilation)


def _refuse_forward_mode(*tensors: Tensor | None) -> None:
    """PyTorch would take the tangents of an operator's arguments for zero, and say nothing."""
    if torch.compiler.is_compiling():
        return
    tangents = (forward_ad.unpack_dual(t).tangent for t in tensors if t is not None)
    if any(tangent is not None for tangent in tangents):
        raise RuntimeError(
            "the kernels have no forward-mode derivatives (torch.func.jvp, make_dual): take backward()"
        )


# What is refused, and the shapes of the results. PyTorch also asks for these with tensors without data, and
# with sizes that stand for any number.


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


def _output_shape(
    input: Sequence[int], weight: Sequence[int], stride: int, padding: int, dilation: int
) -> list[int]:
    """The shape of a convolution of these two shapes."""
    torch._check(
        weight[1] == input[1],
        lambda: f"weight has {weight[1]} channels, input has {input[1]} (groups are not supported)",
    )
    for size in (*input[1:], *weight):
        torch._check(size > 0, lambda: "only the batch may be empty")
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


# How a kernel is called.


@functools.cache
def _launcher(kernel: str, on_gpu: bool) -> Callable:
    return ladders.load(kernel, backend="cuda" if on_gpu else "simulator", checked=False)


@functools.lru_cache(maxsize=4096)
def _tile(launcher: Callable, shapes: tuple, options: tuple, device: torch.device, biased: bool) -> int:
    from utils.autotune import best_tile

    x, w = (torch.zeros(shape, device=device) for shape in shapes)
    names = dict(zip(("stride", "padding", "dilation"), options, strict=True))
    with torch.cuda.device(device):
        return best_tile(launcher, x, w, w.new_zeros(len(w)) if biased else None, **names).tile


def _run(candidates: Sequence[str], *arguments: Any) -> Tensor:
    """Call a kernel with arguments in its launcher's order; on a GPU, without waiting for it.

    Of several it is the first that takes them.
    """
    tensors = [a.contiguous() if isinstance(a, Tensor) else a for a in arguments]
    device = tensors[0].device
    torch._check(
        device.type in ("cpu", "cuda"),
        lambda: f"the kernels run on a GPU or, in the simulator, on the CPU, not on {device}",
    )
    *others, last = candidates
    for kernel in others:
        with contextlib.suppress(TorchCheckError):
            return _launcher(kernel, device.type == "cuda").nowait(*tensors)
    return _launcher(last, device.type == "cuda").nowait(*tensors)


def _run_forward(
    candidates: Sequence[str], input: Tensor, weight: Tensor, bias: Tensor | None, *options: int
) -> Tensor:
    """As `_run`, for launchers that may lack some of the options, or have a choice of tiles."""
    launcher = _launcher(candidates[0], input.is_cuda)
    taken = {parameter.name for parameter in launcher.signature.parameters}
    given = [
        value for name, value in zip(("stride", "padding", "dilation"), options, strict=True) if name in taken
    ]
    if launcher.tiles and input.is_cuda and input.numel():
        shapes = tuple(input.shape), tuple(weight.shape)
        given.append(_tile(launcher, shapes, options, input.device, bias is not None))
    return _run(candidates, input, weight, bias, *given)


def _define(dims: int) -> tuple[Any, Any, Any]:
    """Registers convolution, dgrad and wgrad in so many dimensions, and each one's gradients."""
    name = f"conv{dims}d"

    @torch.library.custom_op(f"{LIBRARY}::{name}", mutates_args=())
    def forward(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
    ) -> Tensor:
        forward_shape(input, weight, bias, stride, padding, dilation)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        candidates = choice.kernels_of(name, input, weight, **options)
        return _run_forward(candidates, input, weight, bias, *options.values())

    @torch.library.custom_op(f"{LIBRARY}::{name}_dgrad", mutates_args=())
    def dgrad(
        grad_output: Tensor,
        weight: Tensor,
        size: Sequence[int],
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
    ) -> Tensor:
        dgrad_shape(grad_output, weight, size, stride, padding, dilation)
        candidates = choice.kernels_of(f"{name}_dgrad", grad_output, weight)
        return _run(candidates, grad_output, weight, *size, stride, padding, dilation)

    @torch.library.custom_op(f"{LIBRARY}::{name}_wgrad", mutates_args=())
    def wgrad(
        grad_output: Tensor,
        input: Tensor,
        taps: Sequence[int],
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
    ) -> Tensor:
        wgrad_shape(grad_output, input, taps, stride, padding, dilation)
        candidates = choice.kernels_of(f"{name}_wgrad", grad_output, input)
        return _run(candidates, grad_output, input, *taps, stride, padding, dilation)

    def forward_shape(input, weight, bias=None, stride=1, padding=0, dilation=1):
        _check_tensors(dims, input=input, weight=weight)
        if bias is not None:
            _check_type("bias", bias, "input", input)
            torch._check(bias.dim() == 1, lambda: f"bias must have 1 dimension, not {bias.dim()}")
            K = weight.shape[0]
            torch._check(bias.shape[0] == K, lambda: f"bias must have {K} elements, one per output channel")
        return _output_shape(input.shape, weight.shape, stride, padding, dilation)

    def dgrad_shape(grad_output, weight, size, stride=1, padding=0, dilation=1):
        _check_tensors(dims, grad_output=grad_output, weight=weight)
        torch._check(len(size) == dims, lambda: f"size must have {dims} numbers, not {len(size)}")
        input = [grad_output.shape[0], weight.shape[1], *size]
        _check_grad_output(grad_output, _output_shape(input, weight.shape, stride, padding, dilation))
        return input

    def wgrad_shape(grad_output, input, taps, stride=1, padding=0, dilation=1):
        _check_tensors(dims, grad_output=grad_output, input=input)
        torch._check(len(taps) == dims, lambda: f"taps must have {dims} numbers, not {len(taps)}")
        weight = [grad_output.shape[1], input.shape[1], *taps]
        _check_grad_output(grad_output, _output_shape(input.shape, weight, stride, padding, dilation))
        return weight

    for op, shape in ((forward, forward_shape), (dgrad, dgrad_shape), (wgrad, wgrad_shape)):
        op.register_fake(lambda first, *rest, shape=shape: first.new_empty(shape(first, *rest)))

    # The gradients. Every `setup_...` keeps what its backward needs of the two tensors, and no more.

    def setup_forward(ctx, inputs, output):
        input, weight, _, *ctx.options = inputs
        ctx.size, ctx.taps = input.shape[2:], weight.shape[2:]
        keep(ctx, input, weight)

    def forward_backward(ctx, grad_output):
        (input, weight), needs = ctx.saved_tensors, ctx.needs_input_grad
        return (
            dgrad(grad_output, weight, ctx.size, *ctx.options) if needs[0] else None,
            wgrad(grad_output, input, ctx.taps, *ctx.options) if needs[1] else None,
            bgrad(grad_output) if any(needs[2:]) else None,  # PyTorch leaves out what equals its default
            *[None] * 3,
        )

    def setup_dgrad(ctx, inputs, output):
        grad_output, weight, _, *ctx.options = inputs
        ctx.taps = weight.shape[2:]
        keep(ctx, grad_output, weight)

    def dgrad_backward(ctx, grad_input):  # of the gradient that dgrad returns
        (grad_output, weight), needs = ctx.saved_tensors, ctx.needs_input_grad
        return (
            forward(grad_input, weight, None, *ctx.options) if needs[0] else None,
            wgrad(grad_output, grad_input, ctx.taps, *ctx.options) if needs[1] else None,
            *[None] * 4,
        )

    def setup_wgrad(ctx, inputs, output):
        grad_output, input, _, *ctx.options = inputs
        ctx.size = input.shape[2:]
        keep(ctx, grad_output, input)

    def wgrad_backward(ctx, grad_weight):
        (grad_output, input), needs = ctx.saved_tensors, ctx.needs_input_grad
        return (
            forward(input, grad_weight, None, *ctx.options) if needs[0] else None,
            dgrad(grad_output, grad_weight, ctx.size, *ctx.options) if needs[1] else None,
            *[None] * 4,
        )

    def keep(ctx, first, second):
        """Of two factors, each for the gradient of the other one."""
        ctx.save_for_backward(
            first if ctx.needs_input_grad[1] else None, second if ctx.needs_input_grad[0] else None
        )

    forward.register_autograd(forward_backward, setup_context=setup_forward)
    dgrad.register_autograd(dgrad_backward, setup_context=setup_dgrad)
    wgrad.register_autograd(wgrad_backward, setup_context=setup_wgrad)
    for op, folds in ((forward, True), (dgrad, True), (wgrad, False)):
        op.register_vmap(functools.partial(_vmap, op, folds))
    for device in ("cpu", "cuda"):
        forward.register_autocast(device, torch.float32)
    return forward, dgrad, wgrad


def _vmap(op: Callable, folds: bool, info: Any, in_dims: tuple, *arguments: Any) -> tuple[Tensor, int]:
    """What torch.vmap calls: one more dimension, at the places `in_dims`, None where there is none.

    Where only images are many, they are so many more images (`folds`); else the operator is called for each.
    """
    first, *rest = arguments
    if folds and all(place is None for place in in_dims[1:]):
        images = first.movedim(in_dims[0], 0)
        return op(images.flatten(0, 1), *rest).unflatten(0, images.shape[:2]), 0
    calls = (
        op(*(a if d is None else a.select(d, i) for a, d in zip(arguments, in_dims, strict=True)))
        for i in range(info.batch_size)
    )
    return torch.stack(list(calls)), 0


@torch.library.custom_op(f"{LIBRARY}::bgrad", mutates_args=())
def bgrad(grad_output: Tensor) -> Tensor:
    """The gradient of a bias, K: the sums of grad_output, N x K x Q or N x K x P x Q, over all but K."""
    _bgrad_shape(grad_output)
    return _run(choice.kernels_of("bgrad", grad_output), grad_output)


@bgrad.register_fake
def _bgrad_fake(grad_output):
    return grad_output.new_empty(_bgrad_shape(grad_output))


def _bgrad_shape(grad_output: Tensor) -> list[int]:
    torch._check(
        grad_output.dim() in (3, 4),
        lambda: f"grad_output must have 3 or 4 dimensions, not {grad_output.dim()}",
    )
    _check_type("grad_output", grad_output, "grad_output", grad_output)
    for size in grad_output.shape[1:]:
        torch._check(size > 0, lambda: "only the batch may be empty")
    return [grad_output.shape[1]]


def _setup_bgrad(ctx, inputs, output):
    ctx.shape = inputs[0].shape


def _bgrad_backward(ctx, grad_bias):
    return grad_bias.reshape(-1, *[1] * (len(ctx.shape) - 2)).expand(ctx.shape)


bgrad.register_autograd(_bgrad_backward, setup_context=_setup_bgrad)
bgrad.register_vmap(functools.partial(_vmap, bgrad, False))

# PyTorch forgets an operator whose definition nobody holds.
_DEFINED = bgrad, _define(1), _define(2)
