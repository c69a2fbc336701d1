"""A convolution for PyTorch: fastconv.conv2d, also known as torch.ops.fastconv.conv2d."""

from pathlib import Path

import torch

torch.ops.load_library(next(Path(__file__).parent.glob("_C*.so")))  # defines and implements the op
conv2d = torch.ops.fastconv.conv2d


@torch.library.register_fake("fastconv::conv2d")
def _shape(input, weight, bias=None, stride=1, padding=0, dilation=1):
    def windows(size, taps):
        return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1

    N, _, H, W = input.shape
    K, _, R, S = weight.shape
    return input.new_empty(N, K, windows(H, R), windows(W, S))


def _save(ctx, inputs, output):
    input, weight, _, *ctx.options = inputs
    ctx.save_for_backward(input, weight)


def _gradients(ctx, grad_output):
    input, weight = ctx.saved_tensors
    stride, padding, dilation = ([option] * 2 for option in ctx.options)
    gradients = torch.ops.aten.convolution_backward(  # PyTorch's own: the package ships one kernel
        grad_output,
        input,
        weight,
        [len(weight)],
        stride,
        padding,
        dilation,
        False,
        [0, 0],
        1,
        (*ctx.needs_input_grad, False)[:3],  # a bias that is not given is left out of it
    )
    return *gradients, None, None, None


torch.library.register_autograd("fastconv::conv2d", _gradients, setup_context=_save)

for _device in ("cpu", "cuda"):  # inside torch.autocast: the kernels have float32 alone
    torch.library.register_autocast("fastconv::conv2d", _device, torch.float32)
