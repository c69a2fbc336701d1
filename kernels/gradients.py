"""The ladders of gradients: of the input (dgrad), of the weight (wgrad) and of the bias (bgrad)."""

from __future__ import annotations

from kernels.rungs import Rung

_BOTH = ("fp32", "fp64")  # numerical checks of gradients need float64

# By launcher, from the slowest to the fastest.
GRADIENTS: dict[str, tuple[Rung, ...]] = {
    "conv2d_dgrad": (Rung("conv2d_dgrad_naive", "one thread per input pixel", precisions=_BOTH),),
    "conv2d_wgrad": (Rung("conv2d_wgrad_naive", "one thread per weight", precisions=_BOTH),),
    "conv1d_dgrad": (Rung("conv1d_dgrad_naive", "one thread per input", precisions=_BOTH),),
    "conv1d_wgrad": (Rung("conv1d_wgrad_naive", "one thread per weight", precisions=_BOTH),),
    "bgrad": (Rung("bgrad_naive", "one thread per channel", precisions=_BOTH),),
}

# Convolutions in float64 too: what numerical checks of gradients call. No rungs, as nobody waits for them.
FORWARD = (
    Rung("conv2d_direct", "one thread per output, in float64 too", precisions=_BOTH),
    Rung("conv1d_direct", "one thread per output, in float64 too", precisions=_BOTH),
)
