"""What a kernel computes in: the type of its tensors, and where and how far it rounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Rounding errors are relative ones, the largest that a number can suffer.

    Attributes:
        name: "fp32", "tf32", "bf16" or "fp64".
        dtype: of input, weight, bias and output.
        inputs: what rounding both factors adds to the error of a product.
        sums: of an addition. Tensor cores cut off where float32 arithmetic rounds (Fasi, Higham, Mikaitis,
            Pranesh, Numerical behavior of NVIDIA tensor cores, 2021).
        output: of the finished sum, when it is stored.
        sm: the compute capability that it needs, 80 for 8.0.
    """

    name: str
    dtype: torch.dtype
    inputs: float
    sums: float
    output: float
    sm: int

    @property
    def bytes(self) -> int:
        """Of one element."""
        return self.dtype.itemsize


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("fp32", torch.float32, inputs=0.0, sums=2.0**-24, output=0.0, sm=75),
        Precision("tf32", torch.float32, inputs=2 * 2.0**-11, sums=2.0**-23, output=0.0, sm=80),
        Precision("bf16", torch.bfloat16, inputs=0.0, sums=2.0**-23, output=2.0**-8, sm=80),
    )
}
# For numerical checks of gradients; nobody times it. Twice 2^-53: what it is compared with is rounded, too.
DOUBLE = Precision("fp64", torch.float64, inputs=0.0, sums=2.0**-52, output=0.0, sm=75)


def find_precision(name: str) -> Precision:
    """The precision of that name; ValueError with the known ones for another name."""
    if name == DOUBLE.name:
        return DOUBLE
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    return PRECISIONS[name]
