"""How fast the simulator is on this machine: `python -m utils.simulator.benchmark`.

One core, processor time, best of several runs, because other work on the machine only ever adds. Compiling
is wall time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import kernels
from utils.inline import Launcher, load_inline
from utils.simulator.engine import engine

BARRIERS, THREADS, BLOCKS = 1000, 256, 4
BARRIER = f"""#include <torch/extension.h>
__global__ void barriers(int n) {{ for (int k = 0; k < n; ++k) __syncthreads(); }}
void run(int64_t n) {{ barriers<<<{BLOCKS}, {THREADS}>>>(n); }}
"""


def best(run: Callable[[], object], clock=time.process_time, times: int = 5) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        start = clock()
        run()
        seconds.append(clock() - start)
    return min(seconds)


def multiply_adds_per_second(conv2d: Launcher, images: int) -> float:
    """Of a 3x3 convolution of 32 to 32 channels on 64x64 pixels."""
    x, w = torch.randn(images, 32, 64, 64), torch.randn(32, 32, 3, 3)
    y = conv2d(x, w, padding=1)
    return y.numel() * 32 * 9 / best(lambda: conv2d(x, w, padding=1))


def barrier_nanoseconds(run: Launcher) -> float:
    """Of one thread at one barrier; what the launch itself takes is taken off."""
    run(0)
    return (best(lambda: run(BARRIERS)) - best(lambda: run(0))) * 1e9 / (BARRIERS * THREADS * BLOCKS)


def compile_seconds() -> tuple[float, float]:
    """(cold, warm) of conv2d_naive through `load_inline`; the engine is there already."""
    source = kernels.source("conv2d_naive")
    with tempfile.TemporaryDirectory() as folder:

        def load(directory: Path) -> None:
            load_inline(
                "conv2d_naive", "", source, ["conv2d"], backend="simulator", build_directory=directory
            )

        fresh = iter(range(100))
        cold = best(lambda: load(Path(folder) / str(next(fresh))), time.perf_counter, 3)
        return cold, best(lambda: load(Path(folder) / "0"), time.perf_counter)


def main() -> None:
    os.environ["CONV_THREADS"] = "1"
    engine()
    quick = kernels.load("conv2d_naive", backend="simulator", checked=False)
    checked = kernels.load("conv2d_naive", backend="simulator", checked=True)
    barrier = {
        mode: load_inline("barriers", "", BARRIER, ["run"], backend="simulator", checked=mode).run
        for mode in (False, True)
    }
    cold, warm = compile_seconds()
    rows = (
        (
            "conv2d_naive, quick",
            f"{multiply_adds_per_second(quick, 4) / 1e6:.0f} million multiply-adds/s",
            "100",
        ),
        (
            "conv2d_naive, checked",
            f"{multiply_adds_per_second(checked, 1) / 1e6:.1f} million multiply-adds/s",
            "10",
        ),
        ("barrier, quick", f"{barrier_nanoseconds(barrier[False]):.0f} ns a thread", "100"),
        ("barrier, checked", f"{barrier_nanoseconds(barrier[True]):.0f} ns a thread", "100"),
        ("compile, cold", f"{cold:.2f} s", "1.0"),
        ("compile, warm", f"{warm * 1000:.1f} ms", "20"),
    )
    print(f"{'one core':<24}{'measured':<36}required")
    for name, measured, required in rows:
        print(f"{name:<24}{measured:<36}{required:>8}")


if __name__ == "__main__":
    main()
