import torch
from torch import nn

import kernels

conv2d = kernels.load("conv2d_naive")  # computes outputs, and knows nothing of gradients


class FastConv2d(nn.Conv2d):
    """nn.Conv2d with another forward, for square strides and paddings, without groups."""

    def forward(self, x):
        # >>> gap (3 lines): refuse, with a RuntimeError that says why, wherever a gradient would be lost
        needed = [x, *self.parameters()]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in needed):
            raise RuntimeError("FastConv2d has no backward: call it under torch.no_grad()")
        # <<< gap
        return conv2d(x, self.weight, self.bias, self.stride[0], self.padding[0], self.dilation[0])
