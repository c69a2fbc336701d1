"""How fast the simulator is on this machine: `python -m utils.simulator.benchmark`.

One core, processor time, best of several runs, because other work on the machine only ever adds. Compiling
and the comparison of one core with two are wall time: leave the machine alone for these.
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

# A 3x3 convolution, padding 1, with its input in shared memory and two barriers a channel.
TILE = """#include <torch/extension.h>
__global__ void conv2d_tile(const float* __restrict__ input, const float* __restrict__ weight,
                            float* __restrict__ output, int C, int K, int H, int W) {
    __shared__ float tile[10][34];
    const int tx = threadIdx.x, ty = threadIdx.y, q0 = blockIdx.x * 32, p0 = blockIdx.y * 8;
    const int k = blockIdx.z % K, n = blockIdx.z / K;
    float sum = 0;
    for (int c = 0; c < C; ++c) {
        for (int e = ty * 32 + tx; e < 340; e += 256) {
            const int h = p0 + e / 34 - 1, w = q0 + e % 34 - 1;
            const bool inside = h >= 0 && h < H && w >= 0 && w < W;
            tile[e / 34][e % 34] = inside ? input[((n * C + c) * H + h) * W + w] : 0.0f;
        }
        __syncthreads();
        for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s)
                sum += tile[ty + r][tx + s] * weight[((k * C + c) * 3 + r) * 3 + s];
        __syncthreads();
    }
    if (p0 + ty < H && q0 + tx < W) output[((n * K + k) * H + p0 + ty) * W + q0 + tx] = sum;
}
torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight) {
    const int N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3), K = weight.size(0);
    auto output = torch::empty({N, K, H, W}, input.options());
    conv2d_tile<<<dim3((W + 31) / 32, (H + 7) / 8, N * K), dim3(32, 8)>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), output.data_ptr<float>(), C, K, H, W);
    return output;
}
"""


def best(run: Callable[[], object], clock=time.process_time, times: int = 5) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        start = clock()
        run()
        seconds.append(clock() - start)
    return min(seconds)


def naive(mode: bool) -> Callable:
    """conv2d_naive with padding 1, checked or quick."""
    launcher = kernels.load("conv2d_naive", backend="simulator", checked=mode)
    return lambda x, w: launcher(x, w, padding=1)


def tile(mode: bool) -> Callable:
    """The same convolution by TILE."""
    return load_inline("conv2d_tile", "", TILE, ["conv2d"], backend="simulator", checked=mode).conv2d


def multiply_adds_per_second(conv2d: Callable, images: int, cores: int = 1, clock=time.process_time) -> float:
    """Of a 3x3 convolution of 32 to 32 channels on 64x64 pixels."""
    os.environ["CONV_THREADS"] = str(cores)
    x, w = torch.randn(images, 32, 64, 64), torch.randn(32, 32, 3, 3)
    y = conv2d(x, w)
    torch.testing.assert_close(y, torch.nn.functional.conv2d(x, w, padding=1), rtol=1e-4, atol=1e-3)
    return y.numel() * 32 * 9 / best(lambda: conv2d(x, w), clock)


def scaling(conv2d: Callable, images: int) -> float:
    """How many times faster two cores are than one."""
    one, two = (multiply_adds_per_second(conv2d, images, cores, time.perf_counter) for cores in (1, 2))
    return two / one


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
    print(f"{'one core':<32}{'measured':<36}{'required':>10}")

    def row(name: str, measured: str, required: str) -> None:
        print(f"{name:<32}{measured:<36}{required:>10}", flush=True)

    for mode, images, bounds in (False, 4, ("200", "100")), (True, 1, ("30", "20")):
        for name, convolution, required in zip(
            ("conv2d_naive", "3x3 tile"), (naive, tile), bounds, strict=True
        ):
            speed = multiply_adds_per_second(convolution(mode), images) / 1e6
            row(f"{name}, {'checked' if mode else 'quick'}", f"{speed:.1f} million multiply-adds/s", required)
    for mode in False, True:
        run = load_inline("barriers", "", BARRIER, ["run"], backend="simulator", checked=mode).run
        row(
            f"barrier, {'checked' if mode else 'quick'}", f"{barrier_nanoseconds(run):.0f} ns a thread", "100"
        )
    cold, warm = compile_seconds()
    row("compile, cold", f"{cold:.2f} s", "1.0")
    row("compile, warm", f"{warm * 1000:.1f} ms", "20")
    for mode, images in (False, 16), (True, 2):
        for name, convolution in ("conv2d_naive", naive), ("3x3 tile", tile):
            times = scaling(convolution(mode), images)
            row(f"two cores, {name}, {'checked' if mode else 'quick'}", f"{times:.2f} times one", "1.8")


if __name__ == "__main__":
    main()
