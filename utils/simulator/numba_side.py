"""The convolution of versus_numba.py in numba's CUDA simulator.

A script of its own, run as `python numba_side.py FOLDER` by an interpreter that has numba and need not have
PyTorch: reads x.npy and w.npy, writes y.npy, prints what it took.
"""

import json
import sys
import time
from pathlib import Path

import numba
import numpy as np
from numba import cuda


@cuda.jit
def conv2d_naive(x, w, y, padding):
    """kernels/conv2d_naive.cu, line by line, for stride and dilation 1."""
    q = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    p = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    n, k = cuda.blockIdx.z // w.shape[0], cuda.blockIdx.z % w.shape[0]
    if p >= y.shape[2] or q >= y.shape[3]:
        return
    total = np.float32(0)
    for c in range(x.shape[1]):
        for r in range(w.shape[2]):
            for s in range(w.shape[3]):
                h = p - padding + r
                v = q - padding + s
                if h >= 0 and h < x.shape[2] and v >= 0 and v < x.shape[3]:
                    total += x[n, c, h, v] * w[k, c, r, s]
    y[n, k, p, q] = total


def main():
    folder = Path(sys.argv[1])
    x, w = np.load(folder / "x.npy"), np.load(folder / "w.npy")
    padding = w.shape[2] // 2
    y = np.full((x.shape[0], w.shape[0], *x.shape[2:]), np.nan, np.float32)
    grid = (-(-y.shape[3] // 32), -(-y.shape[2] // 8), y.shape[0] * y.shape[1])
    start = time.process_time()
    conv2d_naive[grid, (32, 8)](x, w, y, padding)
    seconds = time.process_time() - start
    np.save(folder / "y.npy", y)
    print(json.dumps({"seconds": seconds, "version": numba.__version__}))


if __name__ == "__main__":
    main()
