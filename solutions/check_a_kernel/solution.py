import torch
from torch.nn.functional import conv1d


def is_right(fn):
    """Whether fn(x, w, stride, padding, dilation) computes a float32 conv1d, on every shape that you try."""
    # >>> gap (13 lines): try several shapes; for each, inputs, an exact result, a bound, a comparison
    #     N, C, L, K, S, stride, padding, dilation
    for N, C, L, K, S, *options in [
        (1, 1, 7, 1, 3, 1, 0, 1),
        (2, 3, 37, 5, 4, 2, 3, 2),
        (3, 2, 300, 4, 3, 1, 1, 3),
    ]:
        x, w = torch.randn(N, C, L), torch.randn(K, C, S)
        exact = conv1d(x.double(), w.double(), None, *options)
        allowed = C * S * 2.0**-24 * conv1d(x.double().abs(), w.double().abs(), None, *options)
        y = fn(x.clone(), w.clone(), *options)
        if y.shape != exact.shape or not ((y - exact).abs() <= allowed).all():
            return False
    return True
    # === starter
    x, w = torch.ones(1, 1, 32), torch.ones(1, 1, 3)
    return torch.allclose(fn(x, w, 1, 0, 1), conv1d(x, w), atol=1e-2)
    # <<< gap
