"""`make bench`: time every kernel on every workload on this machine's GPU and record the run.

A complete run replaces kernels/results/<gpu>.json. A run of some workloads or kernels, or a quick one, only
prints what it measured, unless --output says where to write it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import kernels
from kernels import LADDERS, WORKLOADS, Rung, Workload
from utils import recordings
from utils.check import CheckError
from utils.errors import KernelError
from utils.recordings import Timings
from utils.timing import bench, can_measure, machine


def record(
    workloads: list[Workload],
    rungs: list[Rung],
    load: Callable[[str], Callable],
    *,
    budget: float,
    timer: Any = None,
    say: Callable[[str], None] = print,
) -> tuple[list[dict], list[str]]:
    """Rows of every workload, and what went wrong. A kernel or workload that fails does not end the run."""
    rows: list[dict] = []
    failures: list[str] = []
    for number, workload in enumerate(workloads, 1):
        fns = {rung.name: load(rung.name) for rung in rungs if rung.handles(workload)}
        say(f"[{number}/{len(workloads)}] {workload.name}: cudnn {' '.join(fns)}")
        while True:
            try:
                rows += bench(fns, workload, budget=budget, timer=timer)
            except (CheckError, KernelError) as error:
                # Which one it was stands in the message; the others are measured without it.
                culprit = next((name for name in fns if str(error).startswith(name)), None)
                failures.append(f"{workload.name}: {error}")
                say(f"  FAILED {error}")
                if culprit is not None:
                    del fns[culprit]
                    continue
            except (MemoryError, torch.cuda.OutOfMemoryError) as error:
                say(f"  skipped: {str(error).splitlines()[0]}")
            break
    return rows, failures


class _CountingTimer:
    """For --dry: a clock that advances by one millisecond a call, on the CPU."""

    device = "cpu"

    def sample(self, call: Callable[[], Any]) -> float:
        call()
        return 1.0

    def free_bytes(self) -> int:
        return 1 << 30


def _small(workload: Workload) -> Workload:
    """The same layer with so little of everything that a CPU does it at once."""
    groups = min(workload.groups, 4)
    channels = 4 if groups > 1 else min(workload.C, 3)
    height = 1 if workload.operator == "conv1d" else min(workload.H, 15)
    return replace(workload, N=2, C=channels, H=height, W=min(workload.W, 17), K=4, groups=groups)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[1])
    known = [rung.name for ladder in LADDERS.values() for rung in ladder]
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--kernels", nargs="+", choices=known, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the run here")
    parser.add_argument(
        "--dry", action="store_true", help="go through the motions on tiny layers, without a GPU"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    workloads = [WORKLOADS[name] for name in arguments.workloads or WORKLOADS]
    rungs = [rung for ladder in LADDERS.values() for rung in ladder]
    rungs = [rung for rung in rungs if arguments.kernels is None or rung.name in arguments.kernels]
    budget = 0.3 if arguments.quick else 3.0

    if arguments.dry:
        tiny = [_small(workload) for workload in workloads]
        torch_conv = {"conv2d": torch.nn.functional.conv2d, "conv1d": torch.nn.functional.conv1d}
        rows, failures = record(
            tiny, rungs, lambda name: torch_conv[kernels.operator(name)], budget=0.01, timer=_CountingTimer()
        )
        where = dict.fromkeys(recordings.MACHINE_KEYS, "none") | {"gpu": "dry run: these are no timings"}
    elif not can_measure():
        print("make bench needs an NVIDIA GPU, its driver, and nvcc (pip install '.[gpu]').", file=sys.stderr)
        return 1
    else:
        rows, failures = record(workloads, rungs, kernels.load, budget=budget)
        where = machine()

    timings = Timings(where, rows, live=True)
    print(timings)
    complete = not (arguments.workloads or arguments.kernels or arguments.quick or arguments.dry or failures)
    path = arguments.output
    if path is None and complete:
        path = recordings.RESULTS / recordings.file_name(where["gpu"])
    if path is not None:
        recordings.write(timings, path)
        print(f"recorded in {path}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
