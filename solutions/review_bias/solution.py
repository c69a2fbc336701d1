import torch
from torch.nn.functional import conv2d as expected


# The pull request's own test of its launcher conv2d(input, weight, bias, stride, padding).
def passes(conv2d):
    # >>> gap (6 lines): data that let no wrong bias through; for a right kernel still return True
    x, weight = torch.randn(2, 3, 9, 11), torch.randn(5, 3, 3, 3)
    for bias in (torch.randn(5), None):
        actual = conv2d(x, weight, bias, 2, 1)
        if not torch.allclose(actual, expected(x, weight, bias, 2, 1), rtol=0, atol=1e-4):
            return False
    return True
    # === starter
    x, weight, bias = torch.randn(1, 3, 9, 11), torch.randn(3, 3, 3, 3), torch.zeros(3)
    actual = conv2d(x, weight, bias, 2, 1)
    return torch.allclose(actual, expected(x, weight, bias, 2, 1), rtol=0, atol=1e-4)
    # <<< gap
