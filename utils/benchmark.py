"""`make bench`: time every kernel on every workload on this machine's GPU, in every precision, and record it.
The kernels of gradients are timed in float32, on the layers of utils/timing_gradients.py.

A complete run replaces kernels/results/<gpu>.json. A run of some workloads or kernels, or a quick one, only
prints what it measured, unless --output says where to write it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import kernels
from kernels import GRADIENTS, LADDERS, WORKLOADS, Rung, Workload
from utils import recordings, timing_gradients
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
from utils.timing_gradients import bench_gradients


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
        settings = {"budget": budget, "with_tf32": False, "ceilings": ceilings, "timer": timer}
        measured, wrong = _without_the_wrong(
            lambda fns, w=workload, p=precision, its=settings: bench(fns, w, p, **its), fns, say
        )
        rows += measured
        failures += [f"{workload.name}: {error}" for error in wrong]
    return rows, failures


def record_gradients(
    workloads: list[Workload],
    rungs: list[Rung],
    load: Callable[[str], Callable],
    *,
    budget: float,
    timer: Any = None,
    say: Callable[[str], None] = print,
) -> tuple[list[dict], list[str]]:
    """As `record`, for the kernels of gradients and the pass "training", in float32."""
    rows: list[dict] = []
    failures: list[str] = []
    layers = [workload for workload in workloads if workload.name in timing_gradients.LAYERS]
    for number, workload in enumerate(layers, 1):
        known = timing_gradients.rungs_for(workload)
        fns = {rung.name: load(rung.name) for rung in rungs if rung in known}
        if not fns:
            continue
        say(f"[{number}/{len(layers)}] gradients of {workload.name}: cudnn {' '.join(fns)}")
        name = timing_gradients.forward_kernel(workload, timer.device if timer else "cuda")
        settings = {"forward": (name, load(name)), "budget": budget, "timer": timer, "say": say}
        measured, wrong = _without_the_wrong(
            lambda fns, w=workload, its=settings: bench_gradients(w, fns, **its), fns, say
        )
        rows += measured
        failures += [f"{workload.name}: {error}" for error in wrong]
    return rows, failures


def _without_the_wrong(
    attempt: Callable[[dict[str, Callable]], list[dict]],
    fns: dict[str, Callable],
    say: Callable[[str], None],
) -> tuple[list[dict], list[Exception]]:
    """Rows of the kernels that are right and take the workload, and the errors of the others."""
    failures: list[Exception] = []
    while True:
        try:
            return attempt(fns), failures
        except (CheckError, KernelError) as error:
            failures.append(error)
            say(f"  FAILED {error}")
            # Which one it was stands in the message; the others are measured without it.
            culprit = next((name for name in fns if re.match(rf"{name}\b", str(error))), None)
            if culprit is None:
                return [], failures
            del fns[culprit]
        except Refused as refusal:
            say(f"  skipped: {refusal}")
            if fns.pop(refusal.kernel, None) is None:
                return [], failures
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            say(f"  skipped: {str(error).splitlines()[0]}")
            return [], failures


def _compile(rungs: list[Rung]) -> Callable[[str], Callable]:
    """Compile all kernels at a time, as a compiler uses one core; returns the function that gives each."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = {rung.name: pool.submit(kernels.load, rung.name) for rung in rungs if not lacking(rung)}
        for future in tqdm(as_completed(started.values()), "compiling", len(started), leave=False):
            future.result()
    # What is left is the forward kernel of a run of some gradients alone.
    return lambda name: started[name].result() if name in started else kernels.load(name)


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
    operator = kernels.operator(name)
    if operator in GRADIENTS:
        return timing_gradients.torch_gradient(operator)
    return getattr(torch.nn.functional, operator)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[1])
    known = [rung.name for ladder in (LADDERS | GRADIENTS).values() for rung in ladder]
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
    rungs, gradients = (
        [
            rung
            for ladder in ladders.values()
            for rung in ladder
            if arguments.kernels is None or rung.name in arguments.kernels
        ]
        for ladders in (LADDERS, GRADIENTS)
    )
    if "fp32" not in arguments.precisions:
        gradients = []
    budgets = (0.01, 0.01) if arguments.dry else (0.3, 0.2) if arguments.quick else (2.0, 0.6)
    ceilings: dict[str, float] = {}
    timer = None

    if arguments.dry:
        workloads = [_small(workload) for workload in workloads]
        load, timer = _torch_kernel, _CountingTimer()
        where = dict.fromkeys(recordings.MACHINE_KEYS, "none") | {"gpu": "dry run: these are no timings"}
    elif not can_measure():
        print("make bench needs an NVIDIA GPU, its driver, and nvcc (pip install '.[gpu]').", file=sys.stderr)
        return 1
    else:
        load = _compile(rungs + gradients)
        ceilings = measure_ceilings()
        where = machine()

    rows, failures = [], []
    if rungs:
        settings = {"precisions": arguments.precisions, "budget": budgets[0], "ceilings": ceilings}
        rows, failures = record(workloads, rungs, load, timer=timer, **settings)
    trained, wrong = record_gradients(workloads, gradients, load, budget=budgets[1], timer=timer)
    failures += wrong

    timings = Timings(where, rows, live=True, ceilings=ceilings, gradients=trained)
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
