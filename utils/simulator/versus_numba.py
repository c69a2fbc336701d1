"""The simulator's speed beside that of numba's CUDA simulator: `python -m utils.simulator.versus_numba`.

Both run the kernel of kernels/conv2d_naive.cu on the same tensors, and their results are compared. Times
are processor time, so that other work on the machine counts for neither. numba's simulator runs Python,
one thread at a time; ours gets one core. numba is no dependency of the course: `--numba-python` names an
interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import kernels
from utils.simulator.benchmark import best

IMAGES, CHANNELS, SIZE, FILTERS, TAPS = 1, 4, 32, 4, 3
TARGET = 1000  # quick mode must be at least this many times as fast
HOW_TO_INSTALL = """\
{python} cannot run numba's CUDA simulator. To put numba into an environment of its own:
    python3 -m venv /tmp/numba && /tmp/numba/bin/pip install numba
    python -m utils.simulator.versus_numba --numba-python /tmp/numba/bin/python
What it said: {said}"""


class NoNumba(Exception):
    """The interpreter has no numba, or none with a CUDA simulator; the message says how to get one."""


def in_numba(python: str, x: torch.Tensor, w: torch.Tensor) -> tuple[float, str, torch.Tensor]:
    """(seconds, numba's version, y) of the convolution in numba's simulator, run by another interpreter.

    Raises:
        NoNumba: that interpreter cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), x.numpy())
        np.save(Path(folder, "w.npy"), w.numpy())
        script = Path(__file__).with_name("numba_side.py")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "NUMBA_ENABLE_CUDASIM": "1"
        }
        try:
            done = subprocess.run(
                [python, str(script), folder], env=environment, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
            raise NoNumba(HOW_TO_INSTALL.format(python=python, said=said)) from None
        answer = json.loads(done.stdout.splitlines()[-1])
        return answer["seconds"], answer["version"], torch.from_numpy(np.load(Path(folder, "y.npy")))


def in_this_simulator(checked: bool, x: torch.Tensor, w: torch.Tensor, expected: torch.Tensor) -> float:
    """Seconds of the same convolution here, best of several runs. AssertionError where the results differ."""
    conv2d = kernels.load("conv2d_naive", backend="simulator", checked=checked)
    torch.testing.assert_close(conv2d(x, w, padding=TAPS // 2), expected, rtol=1e-5, atol=1e-5)
    return best(lambda: conv2d(x, w, padding=TAPS // 2), times=20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--numba-python", default=sys.executable, help="an interpreter that has numba")
    python = parser.parse_args().numba_python
    os.environ["CONV_THREADS"] = "1"
    torch.manual_seed(0)
    x, w = torch.randn(IMAGES, CHANNELS, SIZE, SIZE), torch.randn(FILTERS, CHANNELS, TAPS, TAPS)
    multiply_adds = IMAGES * FILTERS * SIZE * SIZE * CHANNELS * TAPS * TAPS
    try:
        seconds, version, expected = in_numba(python, x, w)
    except NoNumba as error:
        print(error, file=sys.stderr)
        return 1
    theirs = multiply_adds / seconds
    print(f"conv2d_naive, {IMAGES}x{CHANNELS}x{SIZE}x{SIZE} -> {FILTERS}, {TAPS}x{TAPS}, padding 1: ", end="")
    print(f"{multiply_adds:,} multiply-adds")
    print(f"{'':<28}{'ms':>12}{'multiply-adds/s':>20}{'times numba':>14}")
    print(f"{'numba ' + version + ', CUDA simulator':<28}{seconds * 1000:>12.1f}{theirs:>20,.0f}{1:>14}")
    ratios = {}
    for mode in ("quick", "checked"):
        ours = in_this_simulator(mode == "checked", x, w, expected)
        ratios[mode] = seconds / ours
        print(f"{'this simulator, ' + mode:<28}{ours * 1000:>12.3f}", end="")
        print(f"{multiply_adds / ours:>20,.0f}{ratios[mode]:>14,.0f}")
    if ratios["quick"] < TARGET:
        print(f"quick mode is not {TARGET:,} times as fast", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
