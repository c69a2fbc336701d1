import torch
from torch import Tensor

import kernels

conv1d = kernels.load("conv1d_direct", backend="simulator", checked=False)


@torch.library.custom_op("exercise::scaled_conv1d", mutates_args=())
def scaled_conv1d(
    input: Tensor, weight: Tensor, scale: float, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:
    """scale times the convolution of input, N x C x L, with weight, K x C x S."""
    return scale * conv1d(input, weight, None, stride, padding, dilation)


@scaled_conv1d.register_fake
def _(input, weight, scale, stride=1, padding=0, dilation=1):
    N, _, L = input.shape
    K, _, S = weight.shape
    # >>> gap (1 line): there is a mistake in the length. Do not look for it: let opcheck find it
    return input.new_empty(N, K, (L + 2 * padding - dilation * (S - 1) - 1) // stride + 1)
    # === starter
    return input.new_empty(N, K, (L + 2 * padding - dilation * S) // stride + 1)
    # <<< gap


# Arguments to try: (input, weight, scale, stride, padding, dilation), as often as you need.
# >>> gap (6 lines): samples with which opcheck would find a wrong length, shape or type, whatever the mistake
SAMPLES = [
    (torch.randn(2, 3, 17), torch.randn(4, 3, 3), 2.0, 1, 0, 1),
    (torch.randn(2, 3, 17), torch.randn(4, 3, 3), 2.0, 1, 2, 2),
    (torch.randn(2, 3, 18), torch.randn(4, 3, 4), 0.5, 3, 1, 4),
    (torch.randn(1, 2, 9).double(), torch.randn(3, 2, 2).double(), 0.5, 2, 1, 1),
]
# === starter
SAMPLES = [(torch.randn(2, 2, 9), torch.randn(2, 2, 3), 2.0, 1, 0, 1)]
# <<< gap

for arguments in SAMPLES:
    torch.library.opcheck(scaled_conv1d, arguments)
print(f"opcheck is content with {len(SAMPLES)} samples")
