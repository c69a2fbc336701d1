"""The ladders of convolutions, and how any kernel is found and compiled."""

from __future__ import annotations

from pathlib import Path

from kernels.gradients import FORWARD, GRADIENTS
from kernels.rungs import WINOGRAD, Rung, operator

FOLDER = Path(__file__).resolve().parent
SOLUTIONS = FOLDER.parent / "solutions"
INCLUDE = FOLDER / "include"  # conv.h, which most kernels include


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


def rung(name: str) -> Rung:
    """The rung of that name; for a kernel of no ladder, one with the usual options and layout."""
    return next((rung for rung in rungs() if rung.name == name), Rung(name, "in no ladder"))


def rungs() -> list[Rung]:
    """Of convolutions and of their gradients, and the kernels that numerical checks of gradients call."""
    return [*FORWARD, *(rung for ladder in (LADDERS | GRADIENTS).values() for rung in ladder)]


def names() -> list[str]:
    """Every kernel of kernels/, by file, and the rungs of ladders that are exercises' solutions."""
    return sorted({rung.name for rung in rungs()} | {path.stem for path in FOLDER.glob("*.cu")})


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
