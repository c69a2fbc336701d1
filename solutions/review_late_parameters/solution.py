import torch
from torch import nn

import kernels

conv1d = kernels.load(
    "conv1d_naive"
)  # conv1d(input, weight, bias, stride, padding, dilation), and it is right


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
        return conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation)
