"""What the checks of several exercises share."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable

import torch


def quietly(check: Callable, launcher: Callable, cases: Iterable, **flags: bool) -> None:
    """Run `check_conv1d` or `check_conv2d` without its report: an exercise prints lines of its own."""
    flags = {"refusals": False, "empty_batch": False, **flags}
    with contextlib.redirect_stdout(io.StringIO()):
        check(launcher, cases=list(cases), **flags)


def many_blocks() -> list:
    """Cases of several blocks of channels and outputs, which begin within an image; several steps of taps."""
    from utils.check import Case  # here, as in `call`

    group = "many channels"
    return [
        Case(group, 3, 3, (300,), 140, (3,), bias=True),
        Case(group, 2, 11, (150,), 9, (4,), stride=2, padding=3, bias=True),
        Case(group, 5, 7, (40,), 200, (5,), stride=3, padding=2, dilation=2, bias=True),
    ]


def conv1d_on(*groups: str, more: Iterable = (), **flags: bool) -> Callable:
    """A check of a cell's conv1d: on the cases of these groups, of `conv1d_cases()` and of `more`."""
    from utils.check import check_conv1d, conv1d_cases  # here, as in `call`

    chosen = [case for case in [*conv1d_cases(), *more] if case.group in groups]
    return lambda cell: quietly(check_conv1d, cell.conv1d, chosen, **flags)


def no_race(launcher: Callable, channels: Iterable[int]) -> None:
    """Run a conv1d that works in steps of 16 taps on layers of so many channels, in two orders of threads.

    In the simulator, wherever the cell runs: a GPU hides most races. Raises KernelError for a race,
    AssertionError for a wrong result.
    """
    from utils.simulator import profile  # here, as in `call`

    generator = torch.Generator().manual_seed(1)
    for C in channels:
        x, w = (torch.randn(*shape, generator=generator) for shape in ((2, C, 70), (5, C, 3)))
        expected = torch.nn.functional.conv1d(x.double(), w.double(), padding=1)
        for order in ("forward", "reverse"):
            result = profile(launcher, x, w, padding=1, order=order).result
            same(result, expected, f"conv1d of 2x{C}x70, 5 filters of 3", tolerance=1e-3)


def full_warps(launch) -> None:
    """Raise AssertionError unless three quarters of a profiled launch's lanes take part in its requests."""
    lanes = launch.active_lanes
    assert lanes >= 24, (
        f"{lanes:.1f} of 32 lanes take part in a request: lay the block so that warps are full"
    )


def sectors_of_lines(launch, most: float, *kinds: str) -> None:
    """Raise AssertionError with the first line of a profiled launch that moves more sectors a request.

    `kinds` are "load" and "store", of global memory.
    """
    for kind in kinds:
        for line, counts in getattr(launch, f"global_{kind}").by_line.items():
            each = counts.sectors_per_request
            assert each <= most, (
                f"the {kind} in line {line} touches {each:.2f} sectors a request, more than {most}:"
                f" {launch.source.line(line).strip()}"
            )


def device_of(launcher: Callable) -> str:
    """Where a launcher's tensors live: "cuda" or "cpu"."""
    return "cuda" if getattr(launcher, "backend", "") in ("cuda", "torch") else "cpu"


def call(launcher: Callable, *tensors: torch.Tensor, **keywords: object) -> torch.Tensor:
    """Call a launcher with CPU tensors, whatever its backend; what it leaves unwritten is NaN."""
    from utils.check import poisoned  # here: it takes in half of the course, which most exercises do not need

    device = device_of(launcher)
    with poisoned():
        return launcher(*(tensor.to(device) for tensor in tensors), **keywords).cpu()


def same(actual: torch.Tensor, expected: torch.Tensor, what: str, tolerance: float = 1e-5) -> None:
    """Raise AssertionError with the first wrong element; NaN is wrong. `what` names the call."""
    if tuple(actual.shape) != tuple(expected.shape):
        raise AssertionError(f"{what} has shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    actual, expected = actual.double(), expected.double()
    wrong = ~((actual - expected).abs() <= tolerance)
    if not bool(wrong.any()):
        return
    index = tuple(int(i) for i in wrong.nonzero()[0])
    place = ", ".join(map(str, index))
    got, right = float(actual[index]), float(expected[index])
    unwritten = " (nan: no thread wrote it)" if got != got else ""
    raise AssertionError(
        f"{what}: element [{place}] is {got:.6g}{unwritten}, expected {right:.6g};"
        f" {int(wrong.sum())} of {wrong.numel()} are wrong"
    )
