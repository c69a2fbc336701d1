"""From a wrong result to words: where it is wrong, by how much, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch


class CheckError(AssertionError):
    """A kernel's result is wrong, or it took what it should refuse."""


@dataclass(frozen=True)
class Outcome:
    """One case, called once: what came back, beside float64 tensors on the CPU of what should have."""

    operator: str
    subject: str
    case: Any
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
    torch_fn: Callable
    device: str
    actual: Any
    expected: torch.Tensor
    allowed: torch.Tensor
    dtype: torch.dtype = torch.float32

    def variant(self, input=None, weight=None, bias=True, **options) -> torch.Tensor | None:
        """What PyTorch gives for the same call with something changed, or None where it refuses."""
        x, w, b = self.tensors
        try:
            return self.torch_fn(
                x if input is None else input,
                w if weight is None else weight,
                b if bias else None,
                **{**self.case.options, **options},
            )
        except RuntimeError:
            return None


def explain(outcome: Outcome) -> str:
    """The text of the CheckError for a wrong outcome."""
    actual, expected = outcome.actual, outcome.expected
    if type_is_wrong := explain_type(outcome.subject, outcome.case, actual, outcome.dtype):
        return type_is_wrong
    if actual.shape != expected.shape:
        return _explain_shape(outcome)

    actual = actual.detach().cpu().double()
    wrong = ~((actual - expected).abs() <= outcome.allowed)
    letters = "nkpq" if outcome.operator == "conv2d" else "nkq"
    text = first_wrong(
        outcome.subject, outcome.case, "output", letters, actual, expected, outcome.allowed, wrong
    )
    hint = next(_hints(outcome, actual, wrong), None)
    return text + (f"\nHint: {hint}" if hint else "")


def explain_type(subject: str, case: Any, actual: Any, dtype: torch.dtype) -> str:
    """What is wrong with a result that is no tensor of this type; "" where it is one."""
    if not isinstance(actual, torch.Tensor):
        return f"{subject} returned {type(actual).__name__}, not a tensor.\ncase: {case}"
    if actual.dtype != dtype:
        return f"{subject} returned {actual.dtype}, not {dtype}.\ncase: {case}"
    return ""


def first_wrong(
    subject: str,
    case: Any,
    result: str,
    letters: str,
    actual: torch.Tensor,
    expected: torch.Tensor,
    allowed: torch.Tensor,
    wrong: torch.Tensor,
) -> str:
    """How many elements are wrong, in which case, and the first of them: its index, a letter a dimension."""
    first = tuple(int(i) for i in wrong.nonzero()[0])
    index = index_text(letters, first)
    return (
        f"{subject} is wrong in {int(wrong.sum()):,} of {wrong.numel():,} elements.\n"
        f"case: {case}\n"
        f"first wrong: {result}[{index}] is {_number(actual[first])}, expected {_number(expected[first])}"
        f" (allowed error {float(allowed[first]):.1e})"
    )


def index_text(letters: str, index: tuple[int, ...]) -> str:
    """For instance "n=0, k=3", for the letters "nk"."""
    return ", ".join(f"{letter}={i}" for letter, i in zip(letters, index, strict=True))


def _number(value: torch.Tensor) -> str:
    return f"{float(value):.7g}"


def _explain_shape(outcome: Outcome) -> str:
    case, actual, expected = outcome.case, tuple(outcome.actual.shape), tuple(outcome.expected.shape)
    names = "(N, K, P, Q)" if outcome.operator == "conv2d" else "(N, K, Q)"
    text = f"{outcome.subject} returned shape {actual}, expected {names} = {expected}.\ncase: {case}"
    if len(actual) != len(expected):
        return text
    leading = (case.N, case.K)

    def spatial(formula: Callable[[int, int], int]) -> tuple[int, ...]:
        return (*leading, *(formula(size, taps) for size, taps in zip(case.size, case.taps, strict=True)))

    s, p, d = case.stride, case.padding, case.dilation
    formulas = {
        "the output is as large as the input here; a filter without enough padding makes it smaller": (
            lambda size, taps: size
        ),
        "stride is not in the formula": lambda size, taps: size + 2 * p - d * (taps - 1),
        "padding is not in the formula": lambda size, taps: (size - d * (taps - 1) - 1) // s + 1,
        "padding counts twice, once for each side": (
            lambda size, taps: (size + p - d * (taps - 1) - 1) // s + 1
        ),
        "dilation is not in the formula": lambda size, taps: (size + 2 * p - taps) // s + 1,
        "dilation is multiplied by the taps, not by the taps - 1": (
            lambda size, taps: (size + 2 * p - d * taps - 1) // s + 1
        ),
        "the + 1 is missing": lambda size, taps: (size + 2 * p - d * (taps - 1) - 1) // s,
        "the division is rounded up; it has to be rounded down": (
            lambda size, taps: -(-(size + 2 * p - d * (taps - 1) - 1) // s) + 1
        ),
        "the size of the input divided by the stride is not the size of the output": lambda size, taps: (
            size // s
        ),
    }
    # Several mistakes can give the same number: name two of them rather than the wrong one.
    causes = [cause for cause, formula in formulas.items() if spatial(formula) == actual]
    cause = ", or ".join(causes[:2]) or None
    if cause is None and actual == (*leading, *reversed(expected[2:])):
        cause = "height and width are exchanged"
    if cause is None and actual == (case.K, case.N, *expected[2:]):
        cause = "batch and output channels are exchanged"
    width = "W" if outcome.operator == "conv2d" else "L"
    rule = f"Q = ({width} + 2 * padding - dilation * (S - 1) - 1) / stride + 1, rounded down"
    if outcome.operator == "conv2d":
        rule += ", and P likewise from H and R"
    return f"{text}\nHint: {cause + '. ' if cause else ''}{rule}."


def _hints(outcome: Outcome, actual: torch.Tensor, wrong: torch.Tensor) -> Iterator[str]:
    """Causes that fit what was seen, the surest first."""
    yield from never_written(actual, wrong)

    same = comparison(actual)
    x, w, b = outcome.tensors
    case = outcome.case
    spatial = tuple(range(2, w.dim()))
    if b is not None and same(outcome.variant(bias=False)):
        yield (
            "this is the convolution without its bias: the kernel does not add it, or the launcher passes"
            " nullptr in its place."
        )
    if b is not None and same(outcome.expected + (w[0].numel() - 1) * b.reshape(-1, *[1] * len(spatial))):
        yield "the bias is added once for every product; it belongs to the output once."
    if b is not None and same(outcome.expected + (w.shape[1] - 1) * b.reshape(-1, *[1] * len(spatial))):
        yield "the bias is added once for every input channel; it belongs to the output once."
    if same(outcome.variant(weight=w.flip(spatial))):
        yield (
            "the filter is applied back to front. Deep learning's convolution does not flip it:"
            " input[p + r] meets weight[r]."
        )
    if len(spatial) == 2 and w.shape[2] == w.shape[3] and same(outcome.variant(weight=w.transpose(2, 3))):
        yield "the filter's rows and columns are exchanged: r goes with h, s goes with w."
    for option, neutral in (("stride", 1), ("dilation", 1)):
        if case.options[option] != neutral:
            changed = outcome.variant(**{option: neutral})
            if changed is not None and same(changed[tuple(slice(n) for n in actual.shape)]):
                yield f"this is the result for {option} {neutral}: {option} is not used, or not everywhere."
    if case.padding:
        shifted = outcome.variant(padding=0)
        if shifted is not None:
            inner = tuple(slice(n) for n in shifted.shape)
            if same(shifted, actual[inner]) and not same(outcome.expected[inner], actual[inner]):
                holds, should = (
                    ("(p, q)", "(p + padding, q + padding)") if len(spatial) == 2 else ("q", "q + padding")
                )
                yield f"output {holds} holds what {should} should: padding is not subtracted."
    yield from only_the_first(wrong, "nk")
    if w.shape[1] > 1 and same(_first_channel(outcome)):
        yield "only the first input channel is in the sum: the loop over c, or c in an index, is missing."

    yield from added_up_often(actual, outcome.expected, wrong)
    names = ("row", "column") if len(spatial) == 2 else ("output",)
    yield from only_the_last(wrong, dict(zip(spatial, names, strict=True)))
    if outcome.dtype == torch.float32:
        yield from nearly_right(actual, outcome.expected, outcome.allowed, wrong)


INDICES = {"n": "image", "k": "output channel", "c": "input channel"}


def only_the_first(wrong: torch.Tensor, letters: str) -> Iterator[str]:
    """For the leading dimensions, given by their letters."""
    for dim, letter in enumerate(letters):
        per_slice = wrong.transpose(0, dim).flatten(1).any(dim=1)
        if wrong.shape[dim] > 1 and not per_slice[0] and per_slice[1:].all():
            yield f"only the first {INDICES[letter]} is right: look at how {letter} enters the indices."


def added_up_often(actual: torch.Tensor, expected: torch.Tensor, wrong: torch.Tensor) -> Iterator[str]:
    """Where all wrong elements are the same whole number of times what they should be."""
    # Only where the expected value is well away from 0 is a quotient worth anything.
    solid = wrong & (expected.abs() > 1e-3)
    if not solid.any():
        return
    quotient = actual[solid] / expected[solid]
    factor = round(float(quotient[0])) if quotient[0].abs() < 1e9 else 0  # NaN is not below either
    if factor >= 2 and bool(((quotient - factor).abs() < 1e-3 * factor).all()):
        yield (
            f"the wrong elements are {factor} times what they should be: added up {factor} times."
            " Is every output computed by exactly one thread?"
        )


def only_the_last(wrong: torch.Tensor, names: dict[int, str]) -> Iterator[str]:
    """Where all is right up to some index of a dimension; `names` says what lies along which."""
    for dim, what in names.items():
        bad = wrong.transpose(0, dim).flatten(1).any(dim=1).nonzero().flatten().tolist()
        start = bad[0]
        if start > 0 and bad == list(range(start, wrong.shape[dim])):
            yield f"only {what}s {start} and up are wrong: look at the last blocks, which are partly filled."


def nearly_right(
    actual: torch.Tensor, expected: torch.Tensor, allowed: torch.Tensor, wrong: torch.Tensor
) -> Iterator[str]:
    """Where float32 values are off by no more than a shorter type's rounding."""
    error = ((actual - expected).abs() / allowed.clamp_min(1e-300))[wrong]
    if bool((error < 3000).all()):
        yield (
            "the values are nearly right: this looks like rounding to fewer bits (TF32, half), not like a"
            " missing product."
        )


def never_written(actual: torch.Tensor, wrong: torch.Tensor) -> Iterator[str]:
    """NaN, which the check puts into fresh memory, and zeros where there should be none."""
    nan = actual.isnan()
    count = f"{int(nan.sum()):,} of {nan.numel():,}"
    if nan.all():
        yield (
            "every element is NaN, which the check put into fresh memory: the output was never written, or"
            " the kernel adds (+=) to an output that holds nothing yet."
        )
    elif nan.any():
        yield (
            f"{count} elements are NaN, which the check put into fresh memory: no thread wrote them."
            " Does the grid cover the whole output, and does no thread leave too early?"
        )
    # A thread, or the launcher, wrote a zero: what nobody wrote is NaN.
    if not bool((actual[wrong] == 0).all()):
        return
    if bool((actual == 0).all()):
        yield (
            "every element is zero, and fresh memory holds NaN here: either no sum took any product, or the"
            " launcher fills the output with zeros and no thread stores its sum."
        )
    elif int(wrong.sum()) > 1 and _last_of_each_plane(wrong):
        yield "the wrong elements are all zero: no thread wrote them. Does the grid cover the whole output?"
    elif int(wrong.sum()) > 1:
        yield (
            "the wrong elements are all zero, and fresh memory holds NaN here: they were written as zero, by"
            " threads whose sum took no product. Does a loop end where it should only leave out one tap?"
        )


def _last_of_each_plane(wrong: torch.Tensor) -> bool:
    """Whether in every plane that has wrong elements these are its last ones: what a short grid leaves."""
    planes = wrong.flatten(2).flatten(0, 1)
    planes = planes[planes.any(dim=1)]
    return bool((planes.int().diff(dim=1) >= 0).all()) and not bool(planes.all())


def comparison(actual: torch.Tensor) -> Callable[..., bool]:
    """Whether a candidate, or None, is what came back: a function."""

    def same(candidate: torch.Tensor | None, values: torch.Tensor = actual) -> bool:
        if candidate is None or candidate.shape != values.shape or candidate.numel() == 0:
            return False
        return bool(torch.allclose(values, candidate, rtol=1e-4, atol=1e-5))

    return same


def _first_channel(outcome: Outcome) -> torch.Tensor | None:
    x, w, _ = outcome.tensors
    return outcome.variant(input=x[:, :1], weight=w[:, :1])
