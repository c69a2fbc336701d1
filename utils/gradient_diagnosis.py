"""From a wrong gradient to words, as diagnosis.py does it for a wrong output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from utils.diagnosis import (
    added_up_often,
    comparison,
    explain_type,
    first_wrong,
    nearly_right,
    never_written,
    only_the_first,
    only_the_last,
)

RESULTS = {
    "dgrad": ("grad_input", {1: "ncl", 2: "nchw"}),
    "wgrad": ("grad_weight", {1: "kcs", 2: "kcrs"}),
    "bgrad": ("grad_bias", {1: "k", 2: "k"}),
}


@dataclass(frozen=True)
class GradientOutcome:
    """One case, called once: what came back, beside float64 tensors on the CPU of what should have.

    `kind` is "dgrad", "wgrad" or "bgrad", `tensors` has grad_output and, by its name, what else was given.
    """

    kind: str
    subject: str
    case: Any
    tensors: Mapping[str, torch.Tensor]
    actual: Any
    expected: torch.Tensor
    allowed: torch.Tensor
    dtype: torch.dtype = torch.float32

    @property
    def dims(self) -> int:
        return self.tensors["grad_output"].dim() - 2


def explain_gradient(outcome: GradientOutcome) -> str:
    """The text of the CheckError for a wrong outcome."""
    actual, expected = outcome.actual, outcome.expected
    if type_is_wrong := explain_type(outcome.subject, outcome.case, actual, outcome.dtype):
        return type_is_wrong
    if actual.shape != expected.shape:
        return _explain_shape(outcome)
    actual = actual.detach().cpu().double()
    wrong = ~((actual - expected).abs() <= outcome.allowed)
    result, letters = RESULTS[outcome.kind]
    text = first_wrong(
        outcome.subject, outcome.case, result, letters[outcome.dims], actual, expected, outcome.allowed, wrong
    )
    hint = next(_hints(outcome, actual, wrong), None)
    return text + (f"\nHint: {hint}" if hint else "")


def _explain_shape(outcome: GradientOutcome) -> str:
    actual, expected = tuple(outcome.actual.shape), tuple(outcome.expected.shape)
    result, letters = RESULTS[outcome.kind]
    names = ", ".join(letters[outcome.dims].upper())
    text = (
        f"{outcome.subject} returned shape {actual}, expected ({names}) = {expected}.\ncase: {outcome.case}"
    )
    source = {"grad_input": "input", "grad_weight": "weight", "grad_bias": "bias"}[result]
    hint = f"a gradient has the shape of what it is the gradient of, here of the {source}"
    if len(actual) == len(expected) and actual != expected:
        if (actual[1], actual[0], *actual[2:]) == expected:
            hint = f"{names[0]} and {names[3]} are exchanged"
        elif outcome.kind == "dgrad" and actual[2:] == _least_size(outcome):
            hint = (
                "this is the smallest input that gives this output. The input may have been larger, with rows"
                " and columns beyond the last window: take its size from the arguments"
            )
    return f"{text}\nHint: {hint}."


def _least_size(outcome: GradientOutcome) -> tuple[int, ...]:
    case = outcome.case
    outputs = outcome.tensors["grad_output"].shape[2:]
    return tuple(
        (count - 1) * case.stride + (taps - 1) * case.dilation + 1 - 2 * case.padding
        for count, taps in zip(outputs, case.taps, strict=True)
    )


def _hints(outcome: GradientOutcome, actual: torch.Tensor, wrong: torch.Tensor) -> Iterator[str]:
    """Causes that fit what was seen, the surest first."""
    if outcome.kind == "dgrad" and bool((outcome.allowed[wrong] == 0).all()):
        yield (
            "no output's window touches the elements that are wrong. Their gradient is 0, and it has to be"
            " written."
        )
    some_zero = bool((actual[wrong] == 0).all()) and bool((actual != 0).any())
    if outcome.kind == "dgrad" and some_zero and int(wrong.sum()) > 1:
        yield (
            "the wrong elements are all zero, and fresh memory holds NaN here: their sums took no product."
            " Does a loop end where it should only leave out one tap? Or the launcher filled it all with"
            " zeros, and no thread came to these."
        )
    # A vector is shown as the last dimension of planes.
    planes = (lambda t: t.view(1, 1, -1)) if actual.dim() == 1 else (lambda t: t)
    yield from never_written(planes(actual), planes(wrong))
    yield from {"dgrad": _dgrad_hints, "wgrad": _wgrad_hints, "bgrad": _sum_hints}[outcome.kind](
        outcome, actual
    )
    letters = RESULTS[outcome.kind][1][outcome.dims]
    if actual.dim() > 1:
        yield from only_the_first(wrong, letters[:2])
    yield from added_up_often(actual, outcome.expected, wrong)
    names = {
        "n": "image",
        "k": "output channel",
        "c": "input channel",
        "h": "row",
        "w": "column",
        "l": "pixel",
    }
    places = {dim: names[letter] for dim, letter in enumerate(letters) if letter in names}
    if actual.dim() == 1:
        yield from only_the_last(planes(wrong), {2: "output channel"})
    else:
        yield from only_the_last(wrong, places)
    if outcome.dtype == torch.float32:
        yield from nearly_right(actual, outcome.expected, outcome.allowed, wrong)


def _dgrad_hints(outcome: GradientOutcome, actual: torch.Tensor) -> Iterator[str]:
    same, case = comparison(actual), outcome.case
    grad_output, weight = outcome.tensors["grad_output"], outcome.tensors["weight"]
    spatial = tuple(range(2, weight.dim()))
    h, p, r = "hpr" if len(spatial) == 2 else "lqs"

    def variant(grad_output=grad_output, weight=weight, **options: int) -> torch.Tensor:
        return _scattered(grad_output, weight, case.size, **{**case.options, **options})

    if same(variant(weight=weight.flip(spatial))):
        yield (
            f"the filter is applied back to front: the pixel at {h} + padding = {p} * stride + {r} * dilation"
            f" meets weight[{r}]."
        )
    if case.stride > 1:
        if same(variant(stride=1)):
            yield "this is the result for stride 1: stride is not used, or not everywhere."
        spread = grad_output
        for dim in spatial:
            spread = spread.repeat_interleave(case.stride, dim)
        if same(variant(grad_output=spread, stride=1)):
            yield (
                "places where no window begins are taken for the window before them: only where"
                f" {h} + padding - {r} * dilation is a multiple of stride is there an output that tap {r}"
                " connects."
            )
    if case.dilation > 1 and same(variant(dilation=1)):
        yield "this is the result for dilation 1: dilation is not used, or not everywhere."
    if case.padding and same(variant(padding=0)):
        yield f"pixel {h} of the input lies at {h} + padding of the padded one: padding is not added."
    if weight.shape[0] > 1:
        if same(variant(grad_output=grad_output[:, :1], weight=weight[:1])):
            yield "only the first output channel is in the sum: the loop over k, or an index's k, is missing."
        if same(variant(grad_output=grad_output[:, -1:], weight=weight[-1:])):
            yield "only the last output channel is in the sum: every k overwrites the one before."
    for taps, mask in _left_out(weight, "tap"):
        if same(variant(weight=weight * mask)):
            yield f"{taps} of the filter is left out: look at where the loops over the taps start and end."


def _wgrad_hints(outcome: GradientOutcome, actual: torch.Tensor) -> Iterator[str]:
    same, case = comparison(actual), outcome.case
    grad_output, input = outcome.tensors["grad_output"], outcome.tensors["input"]
    spatial = tuple(range(2, actual.dim()))

    def variant(**options: int) -> torch.Tensor:
        return _correlated(grad_output, input, case.taps, **{**case.options, **options})

    if same(outcome.expected.flip(spatial)):
        yield "the filter is back to front: grad_weight[r] takes input[p * stride - padding + r * dilation]."
    if len(spatial) == 2 and same(outcome.expected.transpose(2, 3)):
        yield "the filter's rows and columns are exchanged: r goes with h, s goes with w."
    for option in ("stride", "dilation"):
        if case.options[option] > 1 and same(variant(**{option: 1})):
            yield f"this is the result for {option} 1: {option} is not used, or not everywhere."
    if case.padding and same(variant(padding=0)):
        yield "this is the result without padding on the left and above: padding is not subtracted."
    yield from _sum_hints(outcome, actual)


def _sum_hints(outcome: GradientOutcome, actual: torch.Tensor) -> Iterator[str]:
    """For sums over images and pixels."""
    same = comparison(actual)
    grad_output = outcome.tensors["grad_output"]

    def variant(keep: torch.Tensor) -> torch.Tensor:
        kept = grad_output * keep
        if outcome.kind == "bgrad":
            return kept.transpose(0, 1).flatten(1).sum(1)
        return _correlated(kept, outcome.tensors["input"], outcome.case.taps, **outcome.case.options)

    images, pixels = grad_output.shape[0], grad_output[0, 0].numel()
    if images > 1:
        first = torch.zeros(images, *[1] * (grad_output.dim() - 1), dtype=grad_output.dtype)
        first[0] = 1
        if same(variant(first)):
            yield "only the first image is in the sum: the loop over n, or an index's n, is missing."
        if same(variant(first.flip(0))):
            yield "only the last image is in the sum: every image overwrites the one before. Add them up."
    for what, count in (("images", images), ("images and pixels", images * pixels)):
        if count > 1 and same(outcome.expected / count):
            yield f"this is the mean over the {what}; the gradient is the sum."
    for what, mask in _left_out(grad_output, "output"):
        if same(variant(mask)):
            yield f"{what} of grad_output is left out: look at where the loops over the pixels start and end."


def _left_out(tensor: torch.Tensor, one: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Masks that leave out a row, a column or one place of the planes, and what it is in words."""
    sizes = tensor.shape[2:]
    names = ("row", "column") if len(sizes) == 2 else (one,)
    for dim, (name, size) in enumerate(zip(names, sizes, strict=True)):
        for i in range(size) if size > 1 else ():
            mask = torch.ones(sizes, dtype=tensor.dtype)
            mask.select(dim, i).zero_()
            yield f"{name} {i}", mask
    if len(sizes) == 2 and tensor[0, 0].numel() <= 25:
        for row, column in itertools.product(*map(range, sizes)):
            mask = torch.ones(sizes, dtype=tensor.dtype)
            mask[row, column] = 0
            yield f"{one} ({row}, {column})", mask


def _scattered(
    grad_output: torch.Tensor,
    weight: torch.Tensor,
    size: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
) -> torch.Tensor:
    """The gradient of an input of `size` as every output's share, spread over its window; any options do."""
    transpose = F.conv_transpose1d if len(size) == 1 else F.conv_transpose2d
    return _window(transpose(grad_output, weight, stride=stride, dilation=dilation), padding, size)


def _correlated(
    grad_output: torch.Tensor,
    input: torch.Tensor,
    taps: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
) -> torch.Tensor:
    """The gradient of a weight of `taps` as a convolution of the input with grad_output; any options do."""
    reach = [
        (outputs - 1) * stride + (count - 1) * dilation + 1
        for outputs, count in zip(grad_output.shape[2:], taps, strict=True)
    ]
    x = _window(input, -padding, reach)
    convolve = F.conv1d if len(taps) == 1 else F.conv2d
    found = convolve(x.transpose(0, 1), grad_output.transpose(0, 1), stride=dilation, dilation=stride)
    return found.transpose(0, 1)


def _window(tensor: torch.Tensor, start: int, sizes: Sequence[int]) -> torch.Tensor:
    """These sizes of every plane from `start` on in every direction; zeros lie around it."""
    pads = [(-start, start + wanted - has) for wanted, has in zip(sizes, tensor.shape[2:], strict=True)]
    return F.pad(tensor, [pad for pair in reversed(pads) for pad in pair])
