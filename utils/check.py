"""Is a convolution kernel right? Compared with PyTorch in float64, on the shapes where kernels go wrong.

How far off a float32 result may be follows from the length of its sum. With u = 2^-24, every product is
rounded once and then takes part in at most terms - 1 additions (`terms` of them when a bias comes on top), so
that in whatever order the sum is taken, with or without fused multiply-add,

    |y - y_exact|  <=  n u / (1 - n u) * (|x| conv |w| + |bias|)

with terms = C R S, and n = terms, or terms + 1 with a bias (Higham, Accuracy and Stability of Numerical
Algorithms, section 3.1). The check computes that bound for every element and adds no safety factor: of 27
products, one of average size left out is over the bound by a factor of 20,000. TF32 is over it too in short
sums; it is off while a check runs.

A kernel that says that it computes in TF32 or bfloat16 is held to that: what utils/precision.py says about
rounding its inputs and its output is added, and nothing else. An algorithm that takes the sum in another way
than product by product, as Winograd's does, has a `Rounding` of its own (kernels/rungs.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from kernels import DIRECT, Rounding
from kernels.workloads import output_size
from utils.check_loop import (
    REFUSALS,
    call_once,
    check_case,
    check_groups,
    check_refusal,
    exact_float32,
    is_right,
    poisoned,
    report,
)
from utils.diagnosis import CheckError, Outcome, explain
from utils.precision import PRECISIONS, Precision, find_precision
from utils.simulator.order import Order

__all__ = [
    "Case",
    "CheckError",
    "check_conv1d",
    "check_conv2d",
    "check_depthwise",
    "error_bound",
    "exact_float32",
    "poisoned",
]

OPTIONS = ("bias", "stride", "padding", "dilation")
TUNING = "tile"  # a launcher's last parameter, where it has a choice of tiles


@dataclass(frozen=True)
class Case:
    """One call: N images of C channels and `size` (H, W), K filters of `taps` (R, S). 1-D: (W,) and (S,)."""

    group: str
    N: int
    C: int
    size: tuple[int, ...]
    K: int
    taps: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    bias: bool = False

    @property
    def options(self) -> dict[str, int]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def needs(self) -> set[str]:
        """The options without which a launcher cannot run this case."""
        needed = {name for name, value in self.options.items() if value != (0 if name == "padding" else 1)}
        return needed | ({"bias"} if self.bias else set())

    @property
    def outputs(self) -> tuple[int, ...]:
        """(P, Q), or (Q,): how many windows fit in each direction."""
        sides = zip(self.size, self.taps, strict=True)
        return tuple(output_size(*side, self.stride, self.padding, self.dilation) for side in sides)

    @property
    def has_outputs(self) -> bool:
        """Whether the filter fits into the padded input at all."""
        return min(self.outputs) > 0

    def __str__(self) -> str:
        text = f"input {self.N}x{self.C}x{_times(self.size)}, weight {self.K}x{self.C}x{_times(self.taps)}"
        text += "".join(f", {name} {value}" for name, value in self.options.items() if name in self.needs)
        return text + (", with bias" if self.bias else "")


def _times(numbers: Iterable[int]) -> str:
    return "x".join(map(str, numbers))


def conv2d_cases() -> list[Case]:
    """Sizes around the tiles of 32 columns and 8 rows that kernels like, and everything that has an edge."""
    tiles = [
        Case("block edges", 1, 2, (P + 2, Q + 2), 3, (3, 3)) for P, Q in ((7, 31), (8, 32), (9, 33), (17, 65))
    ]
    return [
        Case("plain", 1, 1, (5, 7), 1, (3, 3)),
        Case("plain", 1, 3, (6, 9), 2, (3, 3)),
        Case("plain", 1, 2, (9, 6), 4, (2, 5)),
        *tiles,
        Case("batch and channels", 2, 3, (6, 7), 5, (3, 3)),
        Case("batch and channels", 3, 1, (4, 9), 2, (3, 2)),
        Case("batch and channels", 2, 33, (3, 5), 9, (1, 1)),
        Case("batch and channels", 2, 8, (5, 4), 33, (3, 1)),
        Case("one output", 2, 3, (4, 5), 2, (4, 5)),
        Case("one output", 1, 1, (1, 1), 1, (1, 1)),
        Case("one row or column", 2, 2, (3, 11), 3, (3, 3)),
        Case("one row or column", 1, 2, (11, 3), 3, (2, 3)),
        Case("stride", 2, 2, (9, 12), 3, (3, 3), stride=2),
        Case("stride", 1, 3, (19, 70), 2, (3, 2), stride=3),
        Case("stride", 2, 2, (13, 16), 3, (2, 3), stride=5),
        Case("stride", 1, 2, (4, 6), 3, (3, 3), stride=7),
        Case("padding", 2, 2, (8, 32), 3, (3, 3), padding=1),
        Case("padding", 1, 2, (5, 8), 3, (2, 5), padding=2),
        Case("padding", 1, 2, (4, 6), 2, (3, 3), padding=4),
        Case("padding", 1, 3, (1, 2), 2, (3, 4), padding=1),
        Case("dilation", 2, 2, (9, 11), 3, (3, 3), dilation=2),
        Case("dilation", 1, 3, (10, 36), 2, (2, 3), dilation=3),
        Case("bias", 2, 3, (6, 9), 5, (3, 3), bias=True),
        Case("bias", 1, 2, (4, 5), 3, (4, 5), bias=True),
        Case("everything together", 2, 3, (15, 21), 4, (3, 2), stride=2, padding=3, dilation=2, bias=True),
        Case("everything together", 1, 2, (12, 20), 3, (2, 4), stride=3, padding=1, dilation=4, bias=True),
        Case("everything together", 2, 3, (31, 27), 4, (11, 11), stride=4, padding=2, bias=True),
    ]


def depthwise_cases() -> list[Case]:
    """3x3 filters with padding 1, one a channel: planes around multiples of the 4 that kernels like."""
    sizes = [(1, 1), (2, 3), (3, 4), (4, 5), (5, 8), (7, 9), (8, 12), (6, 65)]
    return [
        *[Case("planes", 1, 1, size, 1, (3, 3), padding=1) for size in sizes],
        Case("batch and channels", 3, 5, (6, 7), 5, (3, 3), padding=1),
        Case("batch and channels", 2, 33, (5, 8), 33, (3, 3), padding=1),
        Case("bias", 2, 3, (5, 7), 3, (3, 3), padding=1, bias=True),
        Case("bias", 1, 4, (9, 16), 4, (3, 3), padding=1, bias=True),
    ]


def conv1d_cases() -> list[Case]:
    """The same edges in one dimension, around blocks of 32, 128 and 256 threads."""
    return [
        Case("plain", 1, 1, (7,), 1, (3,)),
        Case("plain", 1, 3, (9,), 2, (3,)),
        Case("plain", 1, 2, (10,), 5, (4,)),
        *[
            Case("block edges", 1, 2, (Q + 2,), 3, (3,))
            for Q in (31, 32, 33, 127, 128, 129, 255, 256, 257, 600)
        ],
        Case("batch and channels", 2, 3, (12,), 5, (3,)),
        Case("batch and channels", 3, 1, (40,), 2, (2,)),
        Case("batch and channels", 2, 33, (5,), 9, (1,)),
        Case("batch and channels", 2, 8, (6,), 33, (3,)),
        Case("one output", 2, 3, (5,), 2, (5,)),
        Case("one output", 1, 1, (1,), 1, (1,)),
        Case("stride", 2, 2, (12,), 3, (3,), stride=2),
        Case("stride", 1, 3, (400,), 2, (2,), stride=3),
        Case("stride", 2, 2, (16,), 3, (3,), stride=5),
        Case("stride", 1, 2, (6,), 3, (3,), stride=7),
        Case("padding", 2, 2, (32,), 3, (3,), padding=1),
        Case("padding", 1, 2, (6,), 2, (3,), padding=4),
        Case("padding", 1, 3, (2,), 2, (4,), padding=1),
        Case("dilation", 2, 2, (11,), 3, (3,), dilation=2),
        Case("dilation", 1, 3, (140,), 2, (4,), dilation=3),
        Case("bias", 2, 3, (9,), 5, (3,), bias=True),
        Case("bias", 1, 2, (5,), 3, (5,), bias=True),
        Case("everything together", 2, 3, (59,), 4, (3,), stride=3, dilation=4),
        Case("everything together", 2, 3, (21,), 4, (2,), stride=2, padding=3, dilation=2, bias=True),
    ]


def check_conv2d(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a two-dimensional convolution fn(input, weight, bias, stride, padding, dilation) against PyTorch.

    Args:
        fn: a launcher of `load_inline` (its signature says which of bias, stride, padding and dilation it
            has), or a Python function that takes those four as keywords.
        cases: calls to make in place of `conv2d_cases()`.
        flags: bias, stride, padding, dilation = False for what a Python function does not take;
            refusals = False for a kernel that need not refuse what it cannot do (other dtypes, tensors that
            are not contiguous, channels that do not match); empty_batch = False for one that need not take
            an empty batch; channels_last = True for a kernel whose input and weight are in that layout: it
            gets them so, and has to refuse contiguous NCHW; precision = "tf32", "bf16" or "fp64" for a kernel
            that computes in it (the last two make its tensors bfloat16 or float64); rounding, a
            `kernels.Rounding` for another allowed error; taps = (R, S), the only size of filter that it
            takes: cases get that one; tile, for a launcher with a choice of tiles.

    Prints one line per group of cases. Raises `CheckError` at the first wrong result, with the case, the
    first wrong index, the expected and the actual value; a `KernelError` of the kernel passes through.

    A launcher in the simulator's checked mode runs case after case forward, in reverse and in a random order
    of its threads, every group in two of them at least; what is wrong in one order alone is told with it.
    """
    _check(fn, "conv2d", torch.nn.functional.conv2d, conv2d_cases() if cases is None else cases, flags)


def check_conv1d(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a one-dimensional convolution against PyTorch; everything else as in `check_conv2d`."""
    _check(fn, "conv1d", torch.nn.functional.conv1d, conv1d_cases() if cases is None else cases, flags)


def check_depthwise(fn: Callable, cases: Iterable[Case] | None = None, **flags: Any) -> None:
    """Check a depthwise convolution, input N x C x H x W and weight C x 1 x R x S, against PyTorch.

    `cases` have K = C and stand in place of `depthwise_cases()`; everything else as in `check_conv2d`.
    """
    _check(fn, "conv2d", _depthwise, depthwise_cases() if cases is None else cases, flags)


def _depthwise(input: torch.Tensor, weight: torch.Tensor, bias=None, **options: int) -> torch.Tensor:
    return torch.nn.functional.conv2d(input, weight, bias, groups=input.shape[1], **options)


def _check(
    fn: Callable, operator: str, torch_fn: Callable, cases: Iterable[Case], flags: dict[str, Any]
) -> None:
    refusals, empty_batch = flags.pop("refusals", True), flags.pop("empty_batch", True)
    subject = _Subject(fn, operator, torch_fn, flags)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if subject.taps:
            case = replace(case, taps=subject.taps)
        if case.needs <= subject.options and case.has_outputs:
            groups.setdefault(case.group, []).append(case)
    if not groups:
        raise ValueError(f"{subject.name} takes none of the options that these cases need")
    print(f"{subject.name} against PyTorch in float64")
    check_groups(subject, groups)
    if empty_batch:
        check_case(subject, subject.small_case("empty batch", N=0), Order())
        report("empty batch", 1, groups)
    if refusals:
        report(REFUSALS, _check_refusals(subject), groups)


class _Subject:
    """The function under test: how it is called, and where its tensors live."""

    def __init__(
        self,
        fn: Callable,
        operator: str,
        torch_fn: Callable,
        flags: dict[str, Any],
    ) -> None:
        channels_last = operator == "conv2d" and flags.pop("channels_last", False)
        self.precision = find_precision(flags.pop("precision", "fp32"))
        self.rounding, self.taps = flags.pop("rounding", DIRECT), flags.pop("taps", None)
        self.tile = flags.pop(TUNING, None)
        unknown = set(flags) - set(OPTIONS)
        if unknown:
            raise TypeError(f"check_{operator} has no flag {sorted(unknown)[0]!r}")
        self.fn, self.operator, self.torch_fn = fn, operator, torch_fn
        self.dims = 2 if operator == "conv2d" else 1
        self.depthwise = torch_fn is _depthwise
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.name = getattr(fn, "name", None) or getattr(fn, "__name__", operator)
        self.device = "cuda" if getattr(fn, "backend", None) in ("cuda", "torch") else "cpu"
        self.takes_orders = getattr(fn, "backend", None) == "simulator" and fn.checked
        signature = getattr(fn, "signature", None)
        if signature is None:
            self.options = {option for option in OPTIONS if flags.get(option, True)}
            return
        taken = [parameter.name for parameter in signature.parameters]
        strangers = [name for name in taken[2:] if name not in (*OPTIONS, TUNING)]
        if strangers or taken[:2] != ["input", "weight"]:
            raise TypeError(
                f"check_{operator} calls launchers whose parameters are input, weight and any of"
                f" {', '.join(OPTIONS)}; yours is {signature}"
            )
        self.options = {name for name in taken[2:] if name in OPTIONS and flags.get(name, True)}

    def call(self, input, weight, bias, case: Case):
        keywords = {name: value for name, value in case.options.items() if name in self.options}
        if "bias" in self.options:
            keywords["bias"] = bias
        if self.tile is not None:
            keywords[TUNING] = self.tile
        with poisoned(), exact_float32():
            return self.fn(input, weight, **keywords)

    def check(self, case: Case) -> None:
        """One call, compared with PyTorch's."""
        input, weight, bias = tensors = self.tensors(case)
        given = {"input": input, "weight": weight} | ({} if bias is None else {"bias": bias})
        actual = call_once(self, case, given, lambda: self.call(input, weight, bias, case))
        expected = _exact(self.torch_fn, input, weight, bias, case)
        settings = {"precision": self.precision, "rounding": self.rounding, **case.options}
        allowed = error_bound(self.torch_fn, input, weight, bias, **settings)
        if is_right(actual, expected, allowed, self.precision.dtype):
            return
        exact = tuple(None if tensor is None else tensor.cpu().double() for tensor in tensors)
        outcome = Outcome(
            operator=self.operator,
            subject=self.name,
            case=case,
            tensors=exact,
            torch_fn=self.torch_fn,
            device=self.device,
            actual=actual,
            expected=expected,
            allowed=allowed,
            dtype=self.precision.dtype,
        )
        raise CheckError(explain(outcome))

    def tensors(self, case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Random input, weight and bias; the same on every machine, and different in every direction."""
        generator = torch.Generator().manual_seed(20_261_120)
        channels = 1 if self.depthwise else case.C
        shapes = (case.N, case.C, *case.size), (case.K, channels, *case.taps), (case.K,)
        input, weight, bias = (
            torch.randn(shape, generator=generator).to(self.device, self.precision.dtype) for shape in shapes
        )
        return self.laid_out(input), self.laid_out(weight), bias if case.bias else None

    def small_case(self, group: str, N: int) -> Case:
        if self.depthwise:
            return Case(group, N, 3, (6, 7), 3, (3, 3), padding=1)
        return Case(group, N, 3, (6, 7)[-self.dims :], 4, self.taps or (3, 2)[-self.dims :])

    def laid_out(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same numbers in the memory layout that the function takes."""
        return tensor.contiguous(memory_format=self.layout)


def _exact(torch_fn: Callable, input, weight, bias, case: Case) -> torch.Tensor:
    """The float64 result on the CPU, where nothing can turn it into less."""
    return torch_fn(*(None if t is None else t.cpu().double() for t in (input, weight, bias)), **case.options)


def error_bound(
    torch_fn: Callable,
    input,
    weight,
    bias=None,
    *,
    precision: Precision = PRECISIONS["fp32"],
    rounding: Rounding = DIRECT,
    **options: int,
) -> torch.Tensor:
    """How far each element of a convolution may be from the exact one: see the top of this file.

    `torch_fn` is torch.nn.functional.conv2d or conv1d, `options` are its stride, padding and dilation.
    Returns float64 on the CPU, shaped as the output.
    """
    x, w, b = (None if t is None else t.cpu().double().abs() for t in (input, weight, bias))
    terms = rounding.terms(w.shape[1], w[0, 0].numel()) + (b is not None)
    return relative_bound(terms, precision, rounding.growth) * magnitudes(
        torch_fn, x, w, b, rounding, **options
    )


def magnitudes(
    torch_fn: Callable, input, weight, bias=None, rounding: Rounding = DIRECT, **options: int
) -> torch.Tensor:
    """The sums of |input| |weight|, given the magnitudes; with `reach`, of the largest input around each."""
    if rounding.reach == 1:
        return torch_fn(input, weight, bias, **options)
    padding, beyond = options.pop("padding", 0), rounding.reach // 2
    padded = torch.nn.functional.pad(input, [padding + beyond] * 4)
    around = torch.nn.functional.max_pool2d(padded, rounding.reach, stride=1)
    return torch_fn(around, weight, bias, **options)


def relative_bound(terms: int, precision: Precision, growth: float = 1.0) -> float:
    """The bound of `error_bound` over the sum of the magnitudes, for so many roundings."""
    gamma = terms * precision.sums / (1 - terms * precision.sums)
    return growth * gamma + precision.inputs + precision.output


def _check_refusals(subject: _Subject) -> int:
    """Calls that a kernel for float32 in one layout cannot do as they stand: an error, or a right result."""
    case = subject.small_case("refusals", N=2)
    input, weight, _ = subject.tensors(case)
    strided_input, strided_weight = (
        t.transpose(0, -1).contiguous().transpose(0, -1) for t in (input, weight)
    )
    wanted, argument = "contiguous", ""
    if subject.layout is torch.channels_last:
        wanted, argument = "channels_last", "torch::MemoryFormat::ChannelsLast"
    layout = (
        f"the launcher should say TORCH_CHECK({{0}}.is_contiguous({argument}), ...),"
        f" or work on {{0}}.contiguous({argument})"
    )
    float32 = "the launcher should say TORCH_CHECK({0}.scalar_type() == torch::kFloat32, ...)"
    calls = [
        (f"an input that is not {wanted}", strided_input, weight, layout.format("input")),
        (f"a weight that is not {wanted}", input, strided_weight, layout.format("weight")),
        ("float64 tensors", input.double(), weight.double(), float32.format("input")),
        ("float16 tensors", input.half(), weight.half(), float32.format("input")),
    ]
    if subject.layout is torch.channels_last:  # the commonest layout, and the likeliest mistake
        calls += [
            ("an input in NCHW", input.contiguous(), weight, layout.format("input")),
            ("a weight in NCHW", input, weight.contiguous(), layout.format("weight")),
        ]
    for what, x, w, advice in calls:
        check_refusal(
            subject,
            case,
            what,
            advice,
            lambda x=x, w=w: subject.call(x, w, None, case),
            lambda x=x, w=w: _exact(subject.torch_fn, x, w, None, case),
            # A launcher that computes in these types itself rounds to them.
            tolerance=max(1e-5, 8 * torch.finfo(x.dtype).eps, 8 * subject.precision.inputs),
        )
    # More channels in the weight than in the input: whatever the kernel reads, it stays inside both tensors.
    wide = subject.laid_out(torch.cat([weight, weight], dim=1))
    advice = "the launcher should say TORCH_CHECK(weight.size(1) == input.size(1), ...)"
    what = f"an input of {case.C} channels with a weight of {wide.shape[1]}"
    check_refusal(subject, case, what, advice, lambda: subject.call(input, wide, None, case))
    return len(calls) + 1
