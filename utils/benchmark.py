"""`make bench`: time every kernel on every workload on this machine's GPU, in every precision, and record it.

A complete run replaces kernels/results/<gpu>.json. A run of some workloads or kernels, or a quick one, only
prints what it measured, unless --output says where to write it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import kernels
from kernels import LADDERS, WORKLOADS, Rung, Workload
from utils import recordings
from utils.check import CheckError
from utils.errors import KernelError
from utils.precision import PRECISIONS, find_precision
from utils.recordings import Timings
from utils.timing import (
    Refused,
    bench,
    can_measure,
    has_precision,
    lacking,
    machine,
    measure_ceilings,
)


def record(
    workloads: list[Workload],
    rungs: list[Rung],
    load: Callable[[str], Callable],
    *,
    precisions: Sequence[str] = ("fp32", "tf32", "bf16"),
    budget: float,
    ceilings: Mapping[str, float] | None = None,
    timer: Any = None,
    say: Callable[[str], None] = print,
) -> tuple[list[dict], list[str]]:
    """Rows of every workload in every precision, and what went wrong.

    A kernel or workload that fails does not end the run; what this GPU is too old for is left out and told.
    """
    rows: list[dict] = []
    failures: list[str] = []
    usable = [name for name in precisions if has_precision(name)]
    for name in precisions:
        if name not in usable:
            say(f"skipped {name}: it needs compute capability {find_precision(name).sm / 10}")
    for rung in rungs:
        if reason := lacking(rung):
            say(f"skipped {rung.name}: {reason}")
    rungs = [rung for rung in rungs if not lacking(rung)]
    passes = [(workload, precision) for workload in workloads for precision in usable]
    for number, (workload, precision) in enumerate(passes, 1):
        fns = {
            rung.name: load(rung.name)
            for rung in rungs
            if rung.handles(workload) and precision in rung.precisions
        }
        if not fns and precision == "bf16":  # nothing of ours to hold against cuDNN
            continue
        say(f"[{number}/{len(passes)}] {workload.name} {precision}: cudnn {' '.join(fns)}")
        while True:
            try:
                rows += bench(
                    fns,
                    workload,
                    precision,
                    budget=budget,
                    with_tf32=False,
                    ceilings=ceilings,
                    timer=timer,
                )
            except (CheckError, KernelError) as error:
                # Which one it was stands in the message; the others are measured without it.
                culprit = next((name for name in fns if str(error).startswith(name)), None)
                failures.append(f"{workload.name}: {error}")
                say(f"  FAILED {error}")
                if culprit is not None:
                    del fns[culprit]
                    continue
            except Refused as refusal:
                say(f"  skipped: {refusal}")
                del fns[refusal.kernel]
                continue
            except (MemoryError, torch.cuda.OutOfMemoryError) as error:
                say(f"  skipped: {str(error).splitlines()[0]}")
            break
    return rows, failures


def _compile(rungs: list[Rung]) -> Callable[[str], Callable]:
    """Compile all kernels at a time, as a compiler uses one core; returns the function that gives each."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = {rung.name: pool.submit(kernels.load, rung.name) for rung in rungs if not lacking(rung)}
        for future in tqdm(as_completed(started.values()), "compiling", len(started), leave=False):
            future.result()
    return lambda name: started[name].result()


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


def _torch_kernel(name: str) -> Callable:
    """For --dry: PyTorch in a kernel's place."""
    return getattr(torch.nn.functional, kernels.operator(name))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[1])
    known = [rung.name for ladder in LADDERS.values() for rung in ladder]
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--kernels", nargs="+", choices=known, metavar="NAME")
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
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
    settings = {"precisions": arguments.precisions, "budget": 0.3 if arguments.quick else 2.0}
    ceilings: dict[str, float] = {}

    if arguments.dry:
        tiny = [_small(workload) for workload in workloads]
        settings["budget"] = 0.01
        rows, failures = record(tiny, rungs, _torch_kernel, timer=_CountingTimer(), **settings)
        where = dict.fromkeys(recordings.MACHINE_KEYS, "none") | {"gpu": "dry run: these are no timings"}
    elif not can_measure():
        print("make bench needs an NVIDIA GPU, its driver, and nvcc (pip install '.[gpu]').", file=sys.stderr)
        return 1
    else:
        load = _compile(rungs)
        ceilings = measure_ceilings()
        rows, failures = record(workloads, rungs, load, ceilings=ceilings, **settings)
        where = machine()

    timings = Timings(where, rows, live=True, ceilings=ceilings)
    print(timings)
    partial = arguments.workloads or arguments.kernels or len(arguments.precisions) < len(PRECISIONS)
    complete = not (partial or arguments.quick or arguments.dry or failures)
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
