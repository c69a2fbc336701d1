"""Is a kernel for a gradient right? Compared with PyTorch in float64, as utils/check.py does it.

dgrad is the gradient of the input, wgrad that of the weight, bgrad that of the bias. Each is a sum of
products like the convolution itself, and the same bound holds, n u / (1 - n u) times the sum of the
magnitudes: with n = K R S for dgrad and n = N P Q for wgrad and bgrad. A pixel that no window touches has an
empty sum: there only 0 is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import grad as torch_gradients

from utils.check import Case, conv1d_cases, conv2d_cases, exact_float32, poisoned, relative_bound
from utils.check_loop import REFUSALS, call_once, check_case, check_groups, check_refusal, is_right, report
from utils.diagnosis import CheckError, index_text
from utils.gradient_diagnosis import RESULTS, GradientOutcome, explain_gradient
from utils.precision import find_precision
from utils.simulator.order import Order, thread_order

__all__ = [
    "check_bgrad",
    "check_conv1d_dgrad",
    "check_conv1d_wgrad",
    "check_conv2d_dgrad",
    "check_conv2d_wgrad",
    "conv1d_gradient_cases",
    "conv2d_gradient_cases",
]

OPTIONS = ("stride", "padding", "dilation")
ANY_ADDRESS = "slices of tensors"  # which start at any multiple of an element, not of 16 bytes
SAME_BITS = "the same to the last bit"


@dataclass(frozen=True)
class Outputs:
    """A case of bgrad: grad_output of N images of K channels and `size` (P, Q) or (Q,)."""

    group: str
    N: int
    K: int
    size: tuple[int, ...]
    needs: frozenset[str] = frozenset()
    has_outputs: bool = True

    def __str__(self) -> str:
        return "grad_output " + "x".join(map(str, (self.N, self.K, *self.size)))


def conv2d_gradient_cases() -> list[Case]:
    """Those of convolutions, and what only gradients meet: pixels without a window, sums over many images."""
    return [
        *_without_bias(conv2d_cases()),
        Case("pixels between windows", 2, 2, (11, 14), 3, (2, 3), stride=4),
        Case("pixels between windows", 1, 3, (13, 10), 2, (1, 1), stride=3),
        Case("pixels between windows", 2, 2, (9, 16), 3, (2, 2), stride=2, dilation=3),
        Case("pixels after the last window", 2, 3, (12, 17), 4, (3, 3), stride=4),
        Case("pixels after the last window", 1, 2, (14, 19), 3, (5, 4), stride=5, padding=1),
        Case("windows in the padding", 2, 2, (4, 7), 3, (2, 3), padding=5),
        Case("windows in the padding", 2, 2, (3, 5), 3, (3, 2), stride=3, padding=6, dilation=2),
        Case("several blocks", 3, 5, (18, 21), 9, (3, 3), padding=1),
        Case("several blocks", 7, 2, (19, 23), 3, (3, 2)),
        Case("several blocks", 5, 3, (23, 31), 6, (5, 5), stride=2, padding=2),
        Case(ANY_ADDRESS, 2, 8, (12, 16), 8, (3, 3), padding=1),
        Case(ANY_ADDRESS, 2, 4, (13, 24), 16, (4, 4), stride=2, padding=1),
    ]


def conv1d_gradient_cases() -> list[Case]:
    """The same in one dimension."""
    return [
        *_without_bias(conv1d_cases()),
        Case("pixels between windows", 2, 2, (37,), 3, (3,), stride=5),
        Case("pixels between windows", 2, 3, (40,), 2, (3,), stride=2, dilation=4),
        Case("pixels after the last window", 2, 3, (73,), 4, (3,), stride=4),
        Case("pixels after the last window", 1, 2, (30,), 3, (5,), stride=7, padding=1),
        Case("windows in the padding", 2, 2, (7,), 3, (3,), padding=5),
        Case("windows in the padding", 2, 2, (4,), 3, (2,), stride=3, padding=7, dilation=3),
        Case("several blocks", 3, 5, (301,), 9, (3,), padding=1),
        Case("several blocks", 7, 2, (499,), 3, (4,)),
        Case("several blocks", 2, 6, (1100,), 10, (3,), stride=3, dilation=4),
        Case(ANY_ADDRESS, 2, 8, (64,), 8, (3,), padding=1),
        Case(ANY_ADDRESS, 2, 4, (96,), 16, (3,), stride=3, dilation=4),
    ]


def bgrad_cases() -> list[Outputs]:
    """Planes and lines around a warp, a block and several of them."""
    return [
        *[Outputs("one dimension", 1, 3, (Q,)) for Q in (31, 32, 33, 255, 256, 257, 1025)],
        *[Outputs("two dimensions", 2, 5, size) for size in ((3, 7), (8, 32), (9, 33), (31, 37))],
        Outputs("one pixel", 1, 1, (1,)),
        Outputs("one pixel", 3, 5, (1, 1)),
        Outputs("many images", 70, 2, (3,)),
        Outputs("many images", 33, 3, (5, 4)),
        Outputs("many channels", 2, 300, (5,)),
        Outputs("many channels", 3, 257, (2, 3)),
        Outputs("several blocks", 9, 3, (2100,)),
        Outputs("several blocks", 5, 2, (55, 57)),
        Outputs(ANY_ADDRESS, 2, 4, (16, 16)),
        Outputs(ANY_ADDRESS, 3, 4, (64,)),
    ]


def _without_bias(cases: Iterable[Case]) -> list[Case]:
    return [replace(case, bias=False) for case in cases if case.group != "bias"]


def check_conv2d_dgrad(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a gradient of the input, fn(grad_output, weight, height, width, stride, padding, dilation).

    Args:
        fn: a launcher of `load_inline` (its signature says which of stride, padding and dilation it has), or
            a Python function that takes those three as keywords. grad_output is N x K x P x Q, weight
            K x C x R x S, the result N x C x height x width.
        cases: calls to make in place of `conv2d_gradient_cases()`.
        flags: stride, padding, dilation = False for what a Python function does not take; refusals = False
            for a kernel that need not refuse what it cannot do (other dtypes, tensors that are not
            contiguous, sizes that do not fit together); empty_batch = False for one that need not take an
            empty batch; deterministic = False for one whose last bits may depend on who comes first;
            precision = "fp64" for one that takes float64 tensors.

    Prints one line per group of cases. Raises `CheckError` at the first wrong result, with the case, the
    first wrong index, the expected and the actual value; a `KernelError` of the kernel passes through.
    Threads run in several orders, as in `check_conv2d`.
    """
    _check(_Dgrad(fn, 2, flags), conv2d_gradient_cases() if cases is None else cases, flags)


def check_conv2d_wgrad(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a gradient of the weight, fn(grad_output, input, R, S, stride, padding, dilation).

    grad_output is N x K x P x Q, input N x C x H x W, the result K x C x R x S, all zeros for an empty batch;
    everything else as in `check_conv2d_dgrad`.
    """
    _check(_Wgrad(fn, 2, flags), conv2d_gradient_cases() if cases is None else cases, flags)


def check_conv1d_dgrad(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a gradient of the input, fn(grad_output, weight, length, stride, padding, dilation).

    grad_output is N x K x Q, weight K x C x S, the result N x C x length; everything else as in
    `check_conv2d_dgrad`.
    """
    _check(_Dgrad(fn, 1, flags), conv1d_gradient_cases() if cases is None else cases, flags)


def check_conv1d_wgrad(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a gradient of the weight, fn(grad_output, input, S, stride, padding, dilation).

    grad_output is N x K x Q, input N x C x L, the result K x C x S, all zeros for an empty batch; everything
    else as in `check_conv2d_dgrad`.
    """
    _check(_Wgrad(fn, 1, flags), conv1d_gradient_cases() if cases is None else cases, flags)


def check_bgrad(fn: Callable, cases: Iterable[Outputs] | None = None, **flags: Any) -> None:
    """Check a gradient of the bias, fn(grad_output): of each channel the sum of grad_output.

    grad_output is N x K x Q or N x K x P x Q, the result has K elements, all zeros for an empty batch;
    everything else as in `check_conv2d_dgrad`.
    """
    _check(_Bgrad(fn, 2, flags), bgrad_cases() if cases is None else cases, flags)


def _check(subject: _Subject, cases: Iterable, flags: dict[str, Any]) -> None:
    refusals, empty_batch, deterministic = (
        flags.pop(name, True) for name in ("refusals", "empty_batch", "deterministic")
    )
    if flags:
        raise TypeError(f"check_{subject.launcher} has no flag {sorted(flags)[0]!r}")
    groups: dict[str, list] = {}
    for case in cases:
        if case.needs <= subject.options and case.has_outputs:
            groups.setdefault(case.group, []).append(case)
    if not groups:
        raise ValueError(f"{subject.name} takes none of the options that these cases need")
    print(f"{subject.name} against PyTorch in float64")
    check_groups(subject, groups)
    if deterministic:
        every = (case for members in groups.values() for case in members)
        largest = max(every, key=lambda case: torch.Size(subject.shapes(case)["grad_output"]).numel())
        _check_same_bits(subject, largest)
        report(SAME_BITS, 1, groups)
    if empty_batch:
        check_case(subject, subject.small_case("empty batch", N=0), Order())
        report("empty batch", 1, groups)
    if refusals:
        report(REFUSALS, _check_refusals(subject), groups)


class _Subject:
    """The function under test, for one of the gradients."""

    kind: str  # "dgrad", "wgrad" or "bgrad"
    other: str | None  # the tensor besides grad_output
    sizes: dict[int, tuple[str, ...]]  # the names of the sizes that it is told, by the number of dimensions

    def __init__(self, fn: Callable, dims: int, flags: dict[str, Any]) -> None:
        self.fn, self.dims = fn, dims
        self.launcher = "bgrad" if self.kind == "bgrad" else f"conv{dims}d_{self.kind}"
        self.name = getattr(fn, "name", None) or getattr(fn, "__name__", self.launcher)
        self.precision = find_precision(flags.pop("precision", "fp32"))
        self.device = "cuda" if getattr(fn, "backend", None) in ("cuda", "torch") else "cpu"
        self.takes_orders = getattr(fn, "backend", None) == "simulator" and fn.checked
        known = () if self.kind == "bgrad" else OPTIONS
        self.options = {option for option in known if flags.pop(option, True)}
        signature = getattr(fn, "signature", None)
        if signature is None:
            return
        taken = [parameter.name for parameter in signature.parameters]
        wanted = ["grad_output", *([self.other] if self.other else []), *self.sizes[dims]]
        rest = taken[len(wanted) :]
        if taken[: len(wanted)] != wanted or set(rest) - set(known):
            raise TypeError(
                f"check_{self.launcher} calls launchers whose parameters are {', '.join(wanted)}"
                + (f" and any of {', '.join(known)}" if known else "")
                + f"; yours is {signature}"
            )
        self.options &= set(rest)

    def call(self, tensors: Mapping[str, torch.Tensor], case: Any) -> Any:
        options = {name: getattr(case, name) for name in OPTIONS if name in self.options}
        with poisoned(), exact_float32():
            return self.fn(*tensors.values(), *self.told(case), **options)

    def check(self, case: Any) -> None:
        """One call, compared with PyTorch's."""
        tensors = self.tensors(case)
        actual = call_once(self, case, tensors, lambda: self.call(tensors, case))
        exact = {name: tensor.cpu().double() for name, tensor in tensors.items()}
        expected = self.exact(exact, case)
        magnitudes = self.exact({name: tensor.abs() for name, tensor in exact.items()}, case)
        allowed = relative_bound(self.terms(case), self.precision) * magnitudes
        if is_right(actual, expected, allowed, self.precision.dtype):
            return
        outcome = GradientOutcome(
            self.kind, self.name, case, exact, actual, expected, allowed, self.precision.dtype
        )
        raise CheckError(explain_gradient(outcome))

    def tensors(self, case: Any) -> dict[str, torch.Tensor]:
        """Random tensors; the same on every machine, and different in every direction."""
        generator = torch.Generator().manual_seed(20_261_121)
        first = 1 if case.group == ANY_ADDRESS else 0
        found = {}
        for name, shape in self.shapes(case).items():
            storage = torch.randn(first + torch.Size(shape).numel(), generator=generator)
            found[name] = storage.to(self.device, self.precision.dtype)[first:].view(shape)
        return found

    def small_case(self, group: str, N: int) -> Any:
        return Case(group, N, 3, (6, 7)[-self.dims :], 4, (3, 2)[-self.dims :])

    def terms(self, case: Any) -> int:
        """Products in the longest sum."""
        return torch.Size(self.shapes(case)["grad_output"]).numel() // case.K

    def exact(self, tensors: Mapping[str, torch.Tensor], case: Any) -> torch.Tensor:
        """PyTorch's gradient, of float64 tensors on the CPU."""
        raise NotImplementedError

    def shapes(self, case: Any) -> dict[str, tuple[int, ...]]:
        """Of the tensors of a case, in the order of the parameters."""
        raise NotImplementedError

    def told(self, case: Any) -> tuple[int, ...]:
        """The sizes that follow the tensors."""
        raise NotImplementedError

    def misfits(self, case: Any) -> dict[str, tuple[str, tuple[int, ...], str]]:
        """Tensors of wrong sizes that cannot be taken: by description, which one, its shape, and advice."""
        N, K, *outputs = self.shapes(case)["grad_output"]
        compare = (
            "the launcher should work out the output's size from the sizes that it is given, and say"
            " TORCH_CHECK(grad_output.size({0}) == {1}, ...)"
        )
        names = (("row", 2, "P"), ("column", 3, "Q")) if self.dims == 2 else (("place", 2, "Q"),)
        found = {}
        for i, (what, dim, letter) in enumerate(names):
            for change, words in ((1, "too many"), (-1, "too few")):
                shape = (N, K, *(size + change * (i == j) for j, size in enumerate(outputs)))
                advice = compare.format(dim, letter)
                found[f"a grad_output with one {what} {words}"] = ("grad_output", shape, advice)
        return found


class _Dgrad(_Subject):
    kind, other, sizes = "dgrad", "weight", {1: ("length",), 2: ("height", "width")}

    def exact(self, tensors, case):
        gradient = torch_gradients.conv1d_input if self.dims == 1 else torch_gradients.conv2d_input
        shape = (case.N, case.C, *case.size)
        return gradient(shape, tensors["weight"], tensors["grad_output"], **case.options)

    def shapes(self, case):
        return {
            "grad_output": (case.N, case.K, *case.outputs),
            "weight": (case.K, case.C, *case.taps),
        }

    def told(self, case):
        return case.size

    def terms(self, case):
        return case.K * torch.Size(case.taps).numel()

    def misfits(self, case):
        advice = "the launcher should say TORCH_CHECK(grad_output.size(1) == weight.size(0), ...)"
        shape = (case.K + 1, case.C, *case.taps)
        what = f"a grad_output of {case.K} channels with {case.K + 1} filters"
        return super().misfits(case) | {what: ("weight", shape, advice)}


class _Wgrad(_Subject):
    kind, other, sizes = "wgrad", "input", {1: ("S",), 2: ("R", "S")}

    def exact(self, tensors, case):
        gradient = torch_gradients.conv1d_weight if self.dims == 1 else torch_gradients.conv2d_weight
        shape = (case.K, case.C, *case.taps)
        return gradient(tensors["input"], shape, tensors["grad_output"], **case.options)

    def shapes(self, case):
        return {
            "grad_output": (case.N, case.K, *case.outputs),
            "input": (case.N, case.C, *case.size),
        }

    def told(self, case):
        return case.taps

    def misfits(self, case):
        advice = "the launcher should say TORCH_CHECK(grad_output.size(0) == input.size(0), ...)"
        shape = (case.N + 1, case.C, *case.size)
        what = f"a grad_output of {case.N} images with an input of {case.N + 1}"
        return super().misfits(case) | {what: ("input", shape, advice)}


class _Bgrad(_Subject):
    kind, other, sizes = "bgrad", None, {1: (), 2: ()}

    def exact(self, tensors, case):
        return tensors["grad_output"].transpose(0, 1).flatten(1).sum(1)

    def shapes(self, case):
        return {"grad_output": (case.N, case.K, *case.size)}

    def told(self, case):
        return ()

    def small_case(self, group, N):
        return Outputs(group, N, 4, (6, 7))

    def misfits(self, case):
        return {}


def _check_same_bits(subject: _Subject, case: Any) -> None:
    """Call again, where that is possible with the threads in another order: nothing may change."""
    orders = [Order(), Order("reverse"), Order("random", 1)] if subject.takes_orders else [Order()] * 3
    tensors = subject.tensors(case)
    results = []
    for order in orders:
        with thread_order(*order):
            results.append(subject.call(tensors, case).detach().cpu())
    first = results[0]
    for other in results[1:]:
        if torch.equal(first, other):
            continue
        place = tuple(int(i) for i in (first != other).nonzero()[0])
        result, letters = RESULTS[subject.kind]
        index = index_text(letters[tensors["grad_output"].dim() - 2], place)
        raise CheckError(
            f"{subject.name} gives another result when it is called again: {result}[{index}] is"
            f" {float(first[place]):.9g} and then {float(other[place]):.9g}.\ncase: {case}\n"
            "Hint: sums of floats depend on their order, and whoever adds by atomicAdd comes in any order."
            " deterministic=False says that this is meant."
        )


def _check_refusals(subject: _Subject) -> int:
    """Calls that a kernel cannot do as they stand: an error or, where there is one, a right result."""
    case = subject.small_case("refusals", N=2)
    tensors = subject.tensors(case)
    calls = []
    for name, tensor in tensors.items():
        strided = tensor.transpose(0, -1).contiguous().transpose(0, -1)
        advice = (
            f"the launcher should say TORCH_CHECK({name}.is_contiguous(), ...),"
            f" or work on {name}.contiguous()"
        )
        calls.append((f"a tensor {name} that is not contiguous", {name: strided}, advice))
        for dtype in (torch.float64, torch.float16):
            if dtype != tensor.dtype:
                advice = f"the launcher should say TORCH_CHECK({name}.scalar_type() == torch::kFloat32, ...)"
                text = str(dtype).removeprefix("torch.")
                calls.append((f"a tensor {name} of {text}", {name: tensor.to(dtype)}, advice))
    for dtype in (torch.float64, torch.float16):
        if len(tensors) > 1 and dtype != subject.precision.dtype:
            advice = "the launcher should say TORCH_CHECK(grad_output.scalar_type() == torch::kFloat32, ...)"
            every = {name: tensor.to(dtype) for name, tensor in tensors.items()}
            calls.append((f"{str(dtype).removeprefix('torch.')} tensors", every, advice))
    for what, changed, advice in calls:
        given = {**tensors, **changed}
        eps = max(torch.finfo(tensor.dtype).eps for tensor in given.values())
        check_refusal(
            subject,
            case,
            what,
            advice,
            lambda given=given: subject.call(given, case),
            lambda given=given: subject.exact(
                {name: tensor.cpu().double() for name, tensor in given.items()}, case
            ),
            # A launcher that computes in these types itself rounds to them.
            tolerance=max(1e-5, 8 * eps),
        )
    misfits = subject.misfits(case)
    for what, (name, shape, advice) in misfits.items():
        given = {**tensors, name: torch.ones(shape, dtype=tensors[name].dtype, device=subject.device)}
        check_refusal(subject, case, what, advice, lambda given=given: subject.call(given, case))
    return len(calls) + len(misfits)
