"""What the ladders say of a kernel: what it can do, and how far its rounding errors go."""

from __future__ import annotations

from dataclasses import dataclass

from kernels.workloads import Workload

OPERATORS = ("conv2d_dgrad", "conv2d_wgrad", "conv1d_dgrad", "conv1d_wgrad", "bgrad", "conv2d", "conv1d")


def operator(name: str) -> str:
    """The launcher's name in a kernel's file: "conv2d" in every "conv2d_..." file, else the file's own.

    The gradients' kernels have launchers of their own, named like their files' beginning: "conv2d_dgrad".
    """
    return next((prefix for prefix in OPERATORS if name.startswith(prefix + "_")), name)


@dataclass(frozen=True)
class Rounding:
    """The bound on an algorithm's error: growth (terms) u times the sum of |input| |weight|.

    Attributes:
        growth: a factor.
        fixed: roundings of an output besides those of its sum.
        by_tap: whether a channel's R S taps are added up one by one; else a channel is one term of the sum.
        reach: an output's error may also come from inputs beside its window: of as many pixels across, the
            largest magnitude counts for all of them.
    """

    growth: float = 1.0
    fixed: int = 0
    by_tap: bool = True
    reach: int = 1

    def terms(self, C: int, taps: int) -> int:
        """Roundings on the way to an output."""
        return C * (taps if self.by_tap else 1) + self.fixed


DIRECT = Rounding()
# F(4 x 4, 3 x 3) on the points 0, 3/4, -3/4, 3/2, -3/2, infinity. The largest error seen in 1,296 cases on an
# H200 was 0.65 of the bound with growth 1; the bound proved from the transforms' entries has 205.
WINOGRAD = Rounding(growth=4.0, fixed=26, by_tap=False, reach=11)


@dataclass(frozen=True)
class Rung:
    """One kernel of a ladder.

    Attributes:
        name: its file's name without .cu in kernels/, or the exercise in solutions/ whose solution it is.
        idea: what it adds, in a few words.
        supports: the options that it takes; "groups" means a depthwise convolution, and nothing else.
        layout: how the tensors that it takes lie in memory, "NCHW" or "channels_last".
        precisions: what it computes in: "fp32"; "tf32", with float32 tensors; "bf16", with bfloat16 ones;
            "fp64", with float64 ones.
        taps: the one size of filter, (R, S), that it takes; None for any.
        sm: the compute capability that it needs, 80 for 8.0; 90 means Hopper alone.
        rounding: how far its rounding errors can go, where it does not just add up products.
        simulated: whether the simulator has all of its instructions.
        deterministic: whether it gives the same result to the last bit, whatever its threads' order.
    """

    name: str
    idea: str
    supports: frozenset[str] = frozenset({"bias", "stride", "padding", "dilation"})
    layout: str = "NCHW"
    precisions: tuple[str, ...] = ("fp32",)
    taps: tuple[int, int] | None = None
    sm: int = 75
    rounding: Rounding = DIRECT
    simulated: bool = True
    deterministic: bool = True

    def runs_on(self, sm: int) -> bool:
        """Whether a GPU of this compute capability, 80 for 8.0, has its instructions."""
        return sm == self.sm if self.sm == 90 else sm >= self.sm

    def handles(self, workload: Workload) -> bool:
        """Whether this kernel can run a workload."""
        needed = {
            "stride": workload.stride != 1,
            "padding": workload.padding != 0,
            "dilation": workload.dilation != 1,
            "groups": workload.groups != 1,
        }
        # A gradient's kernel handles the workload whose gradient it computes.
        if operator(self.name) != "bgrad" and workload.operator != operator(self.name).split("_")[0]:
            return False
        if needed["groups"] != ("groups" in self.supports):
            return False
        if self.taps not in (None, (workload.R, workload.S)):
            return False
        return all(option in self.supports for option, is_needed in needed.items() if is_needed)
