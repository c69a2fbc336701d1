"""The ladders of gradients: of the input (dgrad), of the weight (wgrad) and of the bias (bgrad)."""

from __future__ import annotations

from kernels.rungs import Rung

_BOTH = ("fp32", "fp64")  # numerical checks of gradients need float64

# By launcher, from the slowest to the fastest.
GRADIENTS: dict[str, tuple[Rung, ...]] = {
    "conv2d_dgrad": (
        Rung("conv2d_dgrad_naive", "one thread per input pixel", precisions=_BOTH),
        Rung("conv2d_dgrad_tiled", "a convolution for each phase of the stride, by register tiles", sm=80),
    ),
    "conv2d_wgrad": (
        Rung("conv2d_wgrad_naive", "one thread per weight", precisions=_BOTH),
        Rung("conv2d_wgrad_atomic", "one thread per weight and image, added atomically", deterministic=False),
        Rung("conv2d_wgrad_tiled", "implicit GEMM, its long sum cut into parts", sm=80),
    ),
    "conv1d_dgrad": (
        Rung("conv1d_dgrad_naive", "one thread per input", precisions=_BOTH),
        Rung("conv1d_dgrad_tiled", "all phases of the stride in one product of matrices", sm=80),
    ),
    "conv1d_wgrad": (
        Rung("conv1d_wgrad_naive", "one thread per weight", precisions=_BOTH),
        Rung("conv1d_wgrad_tiled", "a product of matrices, its long sum cut into parts", sm=80),
    ),
    "bgrad": (
        Rung("bgrad_naive", "one thread per channel", precisions=_BOTH),
        Rung("bgrad_tiled", "several blocks a channel, four neighbours a load"),
    ),
}

# Convolutions in float64 too: what numerical checks of gradients call. No rungs, as nobody waits for them.
FORWARD = (
    Rung("conv2d_direct", "one thread per output, in float64 too", precisions=_BOTH),
    Rung("conv1d_direct", "one thread per output, in float64 too", precisions=_BOTH),
)
