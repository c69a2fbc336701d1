import torch
from torch import nn

import kernels

conv2d = kernels.load("conv2d_naive")


def conv1d(x, weight, bias, stride, dilation):
    """A one-dimensional convolution is a two-dimensional one of height 1. This part is right."""
    return conv2d(x[:, :, None], weight[:, :, None], bias, stride, 0, dilation)[:, :, 0]


class FastConv1d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, dilation=1):
        super().__init__()
        # >>> gap (3 lines): a layer that is complete as soon as it is made; nn.Conv1d knows how to start
        layer = nn.Conv1d(in_channels, out_channels, kernel_size)
        self.weight, self.bias = layer.weight, layer.bias
        self.stride, self.dilation = stride, dilation
        # === starter

    def init_weights(self, in_channels, out_channels, kernel_size, stride, dilation):
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size))
        self.bias = nn.Parameter(torch.randn(out_channels))
        self.stride, self.dilation = stride, dilation
        # <<< gap

    def forward(self, x):
        return conv1d(x, self.weight, self.bias, self.stride, self.dilation)
