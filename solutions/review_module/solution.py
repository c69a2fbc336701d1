import torch
from torch import nn

import kernels

conv2d = kernels.load("conv2d_naive")  # (input, weight, bias, stride, padding, dilation); it is right


class FastConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.stride, self.padding = stride, padding
        # >>> gap (3 lines): names, shapes and first values as nn.Conv2d has them; bias may be False
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias)
        self.weight = layer.weight
        self.bias = layer.bias
        # === starter
        self.stem_w = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.stem_b = nn.Parameter(torch.randn(out_channels))
        # <<< gap

    def forward(self, x):
        # >>> gap (1 line): all that the layer has goes to the launcher
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)
        # === starter
        return conv2d(x, self.stem_w, None, self.stride, self.padding)
        # <<< gap
