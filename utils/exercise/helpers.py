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


def call(launcher: Callable, *tensors: torch.Tensor, **keywords: object) -> torch.Tensor:
    """Call a launcher with CPU tensors, whatever its backend; what it leaves unwritten is NaN."""
    from utils.check import poisoned  # here: it takes in half of the course, which most exercises do not need

    device = "cuda" if getattr(launcher, "backend", "") in ("cuda", "torch") else "cpu"
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
