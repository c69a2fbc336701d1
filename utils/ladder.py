"""`make ladder`: compile and check every rung on this machine, and measure it.

On a GPU every rung is timed beside cuDNN. Without one its memory accesses are counted in the simulator, and
the times shown are those recorded on a GPU. The picture's path is printed last.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from tqdm import tqdm

import kernels
from kernels import GRADIENTS, LADDERS, WORKLOADS, Rung
from utils import check_gradients, recordings
from utils.check import OPTIONS, CheckError, check_conv1d, check_conv2d, check_depthwise
from utils.errors import CompileError, KernelError
from utils.plots import ladder_chart
from utils.readme import HEADLINE
from utils.recordings import Timings, recorded
from utils.simulator import profile
from utils.timing import bench_ladder, can_measure, lacking, machine
from utils.timing_gradients import bench_gradients

# Small enough for the simulator, and the shape on which its counters were compared with Nsight Compute.
COUNTED = {
    "conv2d": ((2, 8, 64, 64), (8, 8, 3, 3)),
    "conv1d": ((2, 8, 4096), (8, 8, 3)),
    "depthwise": ((2, 8, 64, 64), (8, 1, 3, 3)),
}


def variants(rung: Rung, launcher: Callable) -> Iterator[tuple[str, int | None]]:
    """The precisions and tiles to check a launcher with; None for the tile where it has no choice of them."""
    yield from itertools.product(rung.precisions, range(launcher.tiles) if launcher.tiles else [None])


def check_rung(rung: Rung, launcher: Callable, only: Iterable[tuple[str, int | None]] | None = None) -> None:
    """Check a kernel on everything that it supports, in its layout and in every precision.

    A launcher with a choice of tiles is checked with each of them; `only` names some of `variants`. Raises as
    `check_conv2d`.
    """
    operator = kernels.operator(rung.name)
    if operator in GRADIENTS:
        check = getattr(check_gradients, f"check_{operator}")
        for precision, _ in variants(rung, launcher) if only is None else only:
            check(launcher, precision=precision, deterministic=rung.deterministic)
        return
    flags = {"rounding": rung.rounding}
    flags |= {option: option in rung.supports for option in OPTIONS}
    for precision, tile in variants(rung, launcher) if only is None else only:
        if "groups" in rung.supports:
            check_depthwise(launcher, precision=precision, tile=tile, **flags)
        elif operator == "conv1d":
            check_conv1d(launcher, precision=precision, tile=tile, **flags)
        else:
            last = rung.layout == "channels_last"
            check_conv2d(
                launcher, channels_last=last, precision=precision, tile=tile, taps=rung.taps, **flags
            )


def climb(rungs: list[Rung], measured: bool) -> tuple[dict[str, Callable], list[dict], list[str]]:
    """Compile, check and (in the simulator) count every rung: launchers, table rows, failures."""
    launchers: dict[str, Callable] = {}
    rows, failures = [], []
    with tqdm(rungs, unit="kernel", file=sys.stdout, leave=False) as bar:
        for rung in bar:
            bar.set_description(rung.name)
            row = {"kernel": rung.name, "compile": "", "check": "failed"}
            rows.append(row)
            if reason := _lacking(rung, measured):
                row["check"] = "skipped"
                print(f"{rung.name} is skipped: {reason}")
                continue
            try:
                start = time.perf_counter()
                launcher = kernels.load(rung.name)
                row["compile"] = f"{time.perf_counter() - start:.2f} s"
                with contextlib.redirect_stdout(io.StringIO()):
                    check_rung(rung, launcher)
                row["check"] = "right"
                if not measured:
                    row.update(_counts(launcher, rung))
            except (CompileError, CheckError, KernelError) as error:
                failures.append(f"{rung.name}: {error}")
                continue
            launchers[rung.name] = launcher
    return launchers, rows, failures


def _lacking(rung: Rung, measured: bool) -> str:
    """Why this machine cannot run a rung; "" where it can."""
    if not measured:
        return "" if rung.simulated else "the simulator does not have its instructions"
    return lacking(rung)


def _counts(launcher: Callable, rung: Rung) -> dict[str, str]:
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if rung.layout == "channels_last" else torch.contiguous_format
    ladder = _ladder_of(rung)
    shapes = COUNTED[_convolution(ladder)]
    if rung.taps:
        shapes = (shapes[0], (*shapes[1][:2], *rung.taps))
    input, weight = (
        torch.randn(shape, generator=generator).contiguous(memory_format=layout) for shape in shapes
    )
    # With 8 channels in and out, and this padding, the output is as large as the input.
    which = ladder.split("_")[-1]
    arguments = {
        "dgrad": (input, weight, *input.shape[2:]),
        "wgrad": (input, input, *weight.shape[2:]),
        "bgrad": (input,),
    }.get(which, (input, weight))
    launches = list(profile(launcher, *arguments, **({} if which == "bgrad" else {"padding": 1})))
    loads, requests = (
        sum(getattr(run.global_load, what) for run in launches) for what in ("sectors", "requests")
    )
    stores = sum(run.global_store.sectors for run in launches)
    return {
        "load requests": f"{requests:,}",
        "load sectors": f"{loads:,}",
        "a request": f"{loads / requests:.2f}" if requests else "",
        "store sectors": f"{stores:,}",
    }


def _ladder_of(rung: Rung) -> str:
    return next(name for name, ladder in (LADDERS | GRADIENTS).items() if rung in ladder)


def _convolution(ladder: str) -> str:
    """The ladder itself, or the one whose gradient it is of; of the bias's gradient "conv2d"."""
    return ladder if ladder in LADDERS else "conv2d" if ladder == "bgrad" else ladder.split("_")[0]


def table(rows: list[dict]) -> str:
    """Rows as text, columns in order of first appearance, numbers to the right."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns] + [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        first, *others = (
            f"{text:<{width}}" if i == 0 else f"{text:>{width}}"
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def _times(ladder: str, launchers: dict[str, Callable], measured: bool) -> Timings | None:
    """On the ladder's headline layer, of this GPU or recorded; those of a gradient are in `gradients`."""
    workload = HEADLINE[_convolution(ladder)]
    if ladder in GRADIENTS:
        which = ladder.split("_")[-1]
        if measured:
            rows = bench_gradients(workload, launchers, passes=[which])
            return Timings(machine(), live=True, gradients=rows)
        runs = [run.select_gradients([workload]) for run in recorded()]
        return next((run for run in runs if run.gradients), None)
    if measured:
        fns = {n: fn for n, fn in launchers.items() if kernels.rung(n).handles(WORKLOADS[workload])}
        return Timings(machine(), bench_ladder(fns, workload), live=True)
    runs = [run.select([workload]) for run in recorded()]
    return next((run for run in runs if run.rows), None)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make ladder", description=__doc__)
    parser.add_argument("--kernels", nargs="+", metavar="NAME", help="these rungs only")
    parser.add_argument("--picture", type=Path, default=recordings.RESULTS / "ladder.png", metavar="FILE")
    arguments = parser.parse_args(argv)
    measured = can_measure()
    failures: list[str] = []
    for ladder, members in (LADDERS | GRADIENTS).items():
        rungs = [rung for rung in members if arguments.kernels is None or rung.name in arguments.kernels]
        if not rungs:
            continue
        launchers, rows, wrong = climb(rungs, measured)
        failures += wrong
        try:
            timings = _times(ladder, launchers, measured)
        except (CheckError, KernelError, MemoryError, torch.cuda.OutOfMemoryError) as error:
            failures.append(f"timing {HEADLINE[_convolution(ladder)]}: {error}")
            print(table(rows))
            continue
        for row in rows if timings else ():
            for timed in timings.rows + timings.gradients:
                if timed["kernel"] == row["kernel"]:
                    for column, text in (
                        ("precision", timed.get("precision", "fp32")),
                        ("ms", f"{timed['ms']:.3f}"),
                        ("TFLOP/s", f"{timed['tflops']:.2f}"),
                        ("vs cuDNN", f"{timed['ratio']:.2f}"),
                    ):
                        row[column] = f"{row[column]} / {text}" if column in row else text
        print(table(rows))
        if not measured:
            shapes = " and ".join("x".join(map(str, shape)) for shape in COUNTED[_convolution(ladder)])
            print(f"requests and sectors: counted by the simulator, input and weight {shapes}, padding 1")
        if timings is None:
            print("times: there is no GPU here, and no run is recorded in kernels/results yet")
            continue
        workload = WORKLOADS[HEADLINE[_convolution(ladder)]]
        print(f"times: {workload.name} ({workload.describe()}). {timings.origin}.")
        if ladder in GRADIENTS:
            continue
        picture = arguments.picture
        if ladder != next(iter(LADDERS)):
            picture = picture.with_stem(f"{picture.stem}_{ladder}")
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(ladder_chart(timings.rows, timings.origin).data)
        print(f"picture: {picture}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
