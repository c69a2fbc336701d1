"""What checks have in common: case after case, in several orders of threads and in poisoned memory."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import torch

from utils.diagnosis import CheckError
from utils.errors import KernelError
from utils.simulator.order import ORDERS, Order, thread_order

REFUSALS = "refuses what it cannot do"


class Subject(Protocol):
    """The function under test. `takes_orders`: it is simulated, and its threads run in any order."""

    name: str
    takes_orders: bool

    def check(self, case: Any) -> None:
        """Make one call. Raises CheckError where its result is wrong; a KernelError passes through."""


def check_groups(subject: Subject, groups: Mapping[str, list]) -> None:
    """Check case after case, a line of report a group; in the simulator each group in two orders at least."""
    orders = _orders()
    for group, members in groups.items():
        for case in members * 2 if len(members) == 1 and subject.takes_orders else members:
            check_case(subject, case, next(orders))
        report(group, len(members), groups)


def _orders() -> Iterator[Order]:
    """Forward, reverse, random, and again from the start, each time with another random order."""
    for seed in itertools.count(1):
        yield from (Order(name, seed if name == "random" else 0) for name in ORDERS)


def report(group: str, count: int, groups: Iterable[str]) -> None:
    """One line; `groups` are all whose lines stand below each other."""
    width = max(map(len, [*groups, REFUSALS])) + 2
    print(f"  {group:<{width}}{count:>2} {'case' if count == 1 else 'cases'} right")


def check_case(subject: Subject, case: Any, order: Order) -> None:
    """Check a case in one order of threads; what is wrong in it is tried in another one before it is told."""
    if not subject.takes_orders:
        return subject.check(case)
    error = _error_in(order, subject, case)
    if error is None:
        return
    forward = order == Order()
    if getattr(error, "kind", None) == "timeout" or (forward and isinstance(error, KernelError)):
        raise error
    other = Order("reverse") if forward else Order()
    again = _error_in(other, subject, case)
    if again is not None:  # the order makes no difference, and forward is how the learner's own calls run
        raise error if forward else again
    error.args = (
        f"{error}\nWith the threads in {other} this case is right, in {order} it is wrong: the result depends"
        f" on who comes first, and a GPU promises no order.\nTo see it again: with {order.call}:"
        f" {subject.name}(...)",
    )
    raise error


def _error_in(order: Order, subject: Subject, case: Any) -> CheckError | KernelError | None:
    try:
        with thread_order(*order):
            subject.check(case)
    except (CheckError, KernelError) as error:
        return error
    return None


def call_once(
    subject: Subject, case: Any, tensors: Mapping[str, torch.Tensor], call: Callable[[], Any]
) -> Any:
    """The result of a call that leaves its tensors, given by name, as they were."""
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    try:
        actual = call()
    except KernelError as error:
        error.args = (f"{error}\nThis happened in the check's case: {case}.",)
        raise
    for name, tensor in tensors.items():
        if not torch.equal(before[name], tensor):
            raise CheckError(f"{subject.name} changed its {name}, which it should only read.\ncase: {case}")
    return actual


def is_right(actual: Any, expected: torch.Tensor, allowed: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether a result has the shape, the type and, within the allowed errors, the values."""
    if not isinstance(actual, torch.Tensor) or actual.shape != expected.shape or actual.dtype != dtype:
        return False
    # `<=`: NaN fails every comparison and has to count as wrong.
    return bool(((actual.detach().cpu().double() - expected).abs() <= allowed).all())


def check_refusal(
    subject: Subject,
    case: Any,
    what: str,
    advice: str,
    call: Callable[[], Any],
    expected: Callable[[], torch.Tensor] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """A call that a kernel cannot do as it stands has to be refused or, where there is one, `expected`.

    `tolerance` is that of a right result, over the largest expected value.
    """
    try:
        actual = call()
    except KernelError as error:  # a kernel that went wrong did not refuse anything
        raise CheckError(f"{subject.name} accepted {what}, and then: {error}\nHint: {advice}.") from error
    except (RuntimeError, TypeError, ValueError):
        return
    if expected is None:
        raise CheckError(f"{subject.name} accepted {what}: {advice}.\ncase: {case}")
    exact = expected()
    allowed = tolerance * exact.abs().max()
    if not is_right(actual, exact, allowed, getattr(actual, "dtype", None)):
        raise CheckError(f"{subject.name} accepted {what} and gave a wrong result: {advice}.\ncase: {case}")


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """Fill whatever torch allocates without initialising it with NaN: what a kernel skips stays visible.

    This reaches launchers' `torch::empty` in every backend, because the memory always comes from torch.
    """
    mode = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*deterministic"
        )  # warn_only, and nobody asked to be warned
        # As torch.use_deterministic_algorithms, which imports torch's compiler as well: 2 to 4 seconds.
        torch.set_deterministic_debug_mode("warn")
        torch.utils.deterministic.fill_uninitialized_memory = True
        try:
            yield
        finally:
            torch.utils.deterministic.fill_uninitialized_memory = fill
            torch.set_deterministic_debug_mode(mode)


@contextlib.contextmanager
def exact_float32(tf32: bool = False) -> Iterator[None]:
    """TF32 off (or on, where asked) for cuDNN and cuBLAS; the setting before comes back afterwards."""
    if not torch.cuda.is_available():
        yield
        return
    try:
        before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    except RuntimeError as error:
        # PyTorch cannot read the old switch once the new one was set.
        raise RuntimeError(
            "set TF32 through torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32,"
            " not through fp32_precision, in a session that checks or times kernels"
        ) from error
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
