"""The rungs: which kernels there are, what each can do, and how one is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kernels.workloads import Workload

FOLDER = Path(__file__).resolve().parent
SOLUTIONS = FOLDER.parent / "solutions"
INCLUDE = FOLDER / "include"  # conv.h, which most kernels include


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
        precisions: what it computes in: "fp32"; "tf32", with float32 tensors; "bf16", with bfloat16 ones.
        taps: the one size of filter, (R, S), that it takes; None for any.
        sm: the compute capability that it needs, 80 for 8.0; 90 means Hopper alone.
        rounding: how far its rounding errors can go, where it does not just add up products.
        simulated: whether the simulator has all of its instructions.
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
        if workload.operator != operator(self.name) or needed["groups"] != ("groups" in self.supports):
            return False
        if self.taps not in (None, (workload.R, workload.S)):
            return False
        return all(option in self.supports for option, is_needed in needed.items() if is_needed)


# From the slowest to the fastest.
LADDERS: dict[str, tuple[Rung, ...]] = {
    "conv2d": (
        Rung("conv2d_uncoalesced", "one thread per output, a warp along H"),
        Rung("conv2d_naive", "one thread per output, a warp along W"),
        Rung("conv2d_nhwc", "one thread per output, channels_last, a warp along K", layout="channels_last"),
        Rung("conv2d_tiled", "the block's window of the input in shared memory"),
        Rung("conv2d_constant", "and the weights in constant memory"),
        Rung("conv2d_weights", "or the weights in shared memory"),
        Rung("conv2d_padded", "fewer bank conflicts: a pad every 32 words"),
        Rung("conv2d_swizzled", "fewer bank conflicts: exchanged places"),
        Rung("conv2d_vector", "four neighbours in one load", frozenset({"bias", "padding"})),
        Rung("conv2d_channels", "a register tile of 8 channels"),
        Rung("conv2d_registers", "a register tile of 8 channels x 8 pixels"),
        Rung("conv2d_gemm", "implicit GEMM: all pixels in a row, offsets from a table"),
        Rung("conv2d_gemm_double", "the next tile on its way to registers meanwhile"),
        Rung("conv2d_gemm_async", "the next tiles on their way by cp.async", sm=80),
        Rung("conv2d_window", "few channels: products straight from the input's window", sm=80),
        Rung("conv2d_rows", "hardly any channels: down the image", frozenset({"bias", "padding"})),
        Rung("conv2d_pointwise", "1 x 1: a product of matrices as they lie", taps=(1, 1), sm=80),
        Rung(
            "conv2d_winograd",
            "3 x 3: a quarter of the multiplications",
            frozenset({"bias", "padding"}),
            taps=(3, 3),
            sm=80,
            rounding=WINOGRAD,
        ),
        Rung("conv2d_wmma", "implicit GEMM on tensor cores, by WMMA", precisions=("tf32",), sm=80),
        Rung(
            "conv2d_mma",
            "tensor cores, channels_last, by mma.sync and ldmatrix",
            layout="channels_last",
            precisions=("tf32", "bf16"),
            sm=80,
        ),
        Rung(
            "conv2d_mma_window",
            "few channels: tensor cores, fed from the input's window",
            precisions=("tf32", "bf16"),
            sm=80,
        ),
        Rung(
            "conv2d_mma_pointwise",
            "1 x 1 on tensor cores: the weights stay in shared memory",
            layout="channels_last",
            precisions=("tf32", "bf16"),
            taps=(1, 1),
            sm=80,
        ),
        Rung(
            "conv2d_wgmma",
            "Hopper's tensor cores, fed from shared memory",
            layout="channels_last",
            precisions=("tf32", "bf16"),
            sm=90,
            simulated=False,
        ),
    ),
    "conv1d": (
        Rung("conv1d_naive", "one thread per output"),
        Rung("conv1d_tiled", "the block's window of the input in shared memory"),
        Rung("conv1d_registers", "a register tile of 8 channels x 8 outputs"),
        Rung("conv1d_gemm", "implicit GEMM: all outputs in a row, offsets from a table"),
        Rung("conv1d_window", "the next channels by cp.async, 16 x 7 outputs a thread", sm=80),
        Rung("conv1d_mma", "tensor cores, fed from the input's window", precisions=("tf32",), sm=80),
    ),
    "depthwise": (
        Rung(
            "conv2d_depthwise",
            "a filter a channel, 4 x 4 pixels a thread",
            frozenset({"bias", "padding", "groups"}),
        ),
    ),
}


OPERATORS = ("conv2d_dgrad", "conv2d_wgrad", "conv1d_dgrad", "conv1d_wgrad", "bgrad", "conv2d", "conv1d")


def operator(name: str) -> str:
    """The launcher's name in a kernel's file: "conv2d" in every "conv2d_..." file, else the file's own.

    The gradients' kernels have launchers of their own, named like their files' beginning: "conv2d_dgrad".
    """
    return next((prefix for prefix in OPERATORS if name.startswith(prefix + "_")), name)


def rung(name: str) -> Rung:
    """The rung of that name; for a kernel of no ladder, one with the usual options and layout."""
    rungs = (rung for ladder in LADDERS.values() for rung in ladder)
    return next((rung for rung in rungs if rung.name == name), Rung(name, "in no ladder"))


def names() -> list[str]:
    """Every kernel of kernels/, by file, and the rungs of ladders that are exercises' solutions."""
    rungs = {rung.name for ladder in LADDERS.values() for rung in ladder}
    return sorted(rungs | {path.stem for path in FOLDER.glob("*.cu")})


def source(name: str) -> str:
    """The text of a kernel: of its file, or of the solution to the exercise of that name."""
    if name not in names():
        raise ValueError(f"no kernel is called {name!r}; there are {', '.join(names())}")
    file = FOLDER / f"{name}.cu"
    if file.exists():
        return file.read_text(encoding="utf-8")
    from utils.exercise.gap import split  # here: the kernels of this folder need none of it

    return split((SOLUTIONS / name / "solution.cu").read_text(encoding="utf-8")).solution


def load(name: str, backend: str = "auto", checked: bool = True):
    """Compile a kernel's file (milliseconds when it was compiled before) and return its launcher.

    Its attribute `tiles` says how many tiles the launcher's parameter `tile` chooses from; 0 without it.
    """
    from utils.inline import load_inline  # here, so that the ladder can be listed without a compiler

    launcher, text = operator(name), source(name)
    tunable = "int64_t tiles()" in text
    module = load_inline(
        name=name,
        cuda_sources=text,
        functions=[launcher, "tiles"] if tunable else [launcher],
        extra_include_paths=[INCLUDE],
        backend=backend,
        checked=checked,
    )
    function = getattr(module, launcher)
    function.tiles = module.tiles() if tunable else 0
    return function
