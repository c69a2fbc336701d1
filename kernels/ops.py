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

What is refused because of shapes and types, with data and without, is in shapes.py. The launchers add what
has to do with memory: over 2^31 - 1 elements, too large grids.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kernels import choice, ladders, shapes
from utils.errors import TorchCheckError

LIBRARY = "conv_course"  # torch.ops.conv_course has the operators


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


# How a kernel is called.


@functools.cache
def _launcher(kernel: str, on_gpu: bool) -> Callable:
    return ladders.load(kernel, backend="cuda" if on_gpu else "simulator", checked=False)


def _run(candidates: Sequence[str], *arguments: Any, **options: int) -> Tensor:
    """Call the first of these kernels that takes the arguments; on a GPU, without waiting for it.

    `arguments` are in the launchers' order. Of `options` each launcher gets those that it has: a kernel
    without a stride is a candidate only where the stride is 1.
    """
    arguments = [a.contiguous() if isinstance(a, Tensor) else a for a in arguments]
    *others, last = candidates
    for kernel in others:
        with contextlib.suppress(TorchCheckError):
            return _call(kernel, arguments, options)
    return _call(last, arguments, options)


def _call(kernel: str, arguments: Sequence[Any], options: dict[str, int]) -> Tensor:
    device = arguments[0].device
    if device.type not in ("cpu", "cuda"):
        raise RuntimeError(f"the kernels run on a GPU or, in the simulator, on the CPU, not on {device}")
    launcher = _launcher(kernel, device.type == "cuda")
    taken = {parameter.name for parameter in launcher.signature.parameters}
    options = {name: value for name, value in options.items() if name in taken}
    if launcher.tiles and launcher.name == "conv2d" and device.type == "cuda" and arguments[0].numel():
        input, weight, bias = arguments
        sizes = tuple(input.shape), tuple(weight.shape)
        options["tile"] = _tile(launcher, sizes, tuple(options.items()), device, bias is not None)
    return launcher.nowait(*arguments, **options)


@functools.lru_cache(maxsize=4096)
def _tile(launcher: Callable, sizes: tuple, options: tuple, device: torch.device, biased: bool) -> int:
    from utils.autotune import best_tile  # here: without a GPU nobody needs it

    input, weight = (torch.zeros(size, device=device) for size in sizes)
    bias = weight.new_zeros(len(weight)) if biased else None
    with torch.cuda.device(device):
        return best_tile(launcher, input, weight, bias, **dict(options)).tile


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
        return _run(candidates, input, weight, bias, **options)

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
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return _run(candidates, grad_output, weight, *size, **options)

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
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return _run(candidates, grad_output, input, *taps, **options)

    def forward_shape(input, weight, bias=None, stride=1, padding=0, dilation=1):
        return shapes.forward_shape(dims, input, weight, bias, stride, padding, dilation)

    def dgrad_shape(grad_output, weight, size, stride=1, padding=0, dilation=1):
        return shapes.dgrad_shape(dims, grad_output, weight, size, stride, padding, dilation)

    def wgrad_shape(grad_output, input, taps, stride=1, padding=0, dilation=1):
        return shapes.wgrad_shape(dims, grad_output, input, taps, stride, padding, dilation)

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
    """What torch.vmap calls. Of `in_dims` a number is where an argument has a dimension more.

    Where only images are many, they are so many more images (`folds`); else the operator is called for each.
    """
    many = [isinstance(place, int) for place in in_dims]
    if folds and many[0] and not any(many[1:]):
        first, *rest = arguments
        images = first.movedim(in_dims[0], 0)
        return op(images.flatten(0, 1), *rest).unflatten(0, images.shape[:2]), 0
    calls = []
    for i in range(info.batch_size):
        triples = zip(many, arguments, in_dims, strict=True)
        calls.append(op(*(each.select(place, i) if batched else each for batched, each, place in triples)))
    return torch.stack(calls), 0


@torch.library.custom_op(f"{LIBRARY}::bgrad", mutates_args=())
def bgrad(grad_output: Tensor) -> Tensor:
    """The gradient of a bias, K: the sums of grad_output, N x K x Q or N x K x P x Q, over all but K."""
    shapes.bgrad_shape(grad_output)
    return _run(choice.kernels_of("bgrad", grad_output), grad_output)


@bgrad.register_fake
def _bgrad_fake(grad_output):
    return grad_output.new_empty(shapes.bgrad_shape(grad_output))


def _setup_bgrad(ctx, inputs, output):
    ctx.shape = inputs[0].shape


def _bgrad_backward(ctx, grad_bias):
    return grad_bias.reshape(-1, *[1] * (len(ctx.shape) - 2)).expand(ctx.shape)


bgrad.register_autograd(_bgrad_backward, setup_context=_setup_bgrad)
bgrad.register_vmap(functools.partial(_vmap, bgrad, False))

# PyTorch forgets an operator whose definition nobody holds.
_DEFINED = bgrad, _define(1), _define(2)
