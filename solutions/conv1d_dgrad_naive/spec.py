"""The gradient of conv1d's input, one thread per input."""

import torch

from utils.check_gradients import check_conv1d_dgrad, conv1d_gradient_cases
from utils.exercise.helpers import call, quietly
from utils.exercise.spec import Exercise, Wrong


def on(*groups, **flags):
    """A check on the cases of these groups."""
    chosen = [case for case in conv1d_gradient_cases() if case.group in groups]
    return lambda cell: quietly(check_conv1d_dgrad, cell.conv1d_dgrad, chosen, **flags)


def in_float64(cell):
    """Each product is 1e-9 beside a sum of 1: float32 would lose all of them."""
    grad_output = torch.full((1, 3, 8), 1e-9, dtype=torch.float64)
    grad_output[:, 0] = 1.0
    weight = torch.ones(3, 1, 1, dtype=torch.float64)
    found = float(call(cell.conv1d_dgrad, grad_output, weight, length=8)[0, 0, 0])
    assert abs(found - (1 + 2e-9)) < 1e-12, (
        f"1 + 1e-9 + 1e-9 came out as {found:.12f} in float64: is a number kept in a float? The kernel's"
        " type is T"
    )


exercise = Exercise(
    title="conv1d's input gradient",
    goal="every thread adds up what the outputs that read its input give back",
    hints=[
        "It is conv2d_dgrad_naive with one dimension less: which loops are left? Two, over output channels k"
        " and over taps s.",
        "stride times the output that tap s connects is l + padding - s * dilation. Three things can make it"
        " no output: below 0, no multiple of stride, beyond Q. Ask for below 0 first: in C++ -4 % 2 is 0.",
        "grad_output is N x K x Q: its element (n, k, q) is (n * K + k) * Q + q. The weight is K x C x S: (k,"
        " c, s) is (k * C + c) * S + s. The sum is of type T, which may be double.",
    ],
    checks=[
        ("one output, few channels", on("one output", "plain")),
        ("batch and channels", on("batch and channels")),
        ("lengths around the size of a block", on("block edges")),
        ("stride", on("stride")),
        ("padding", on("padding", "windows in the padding")),
        ("dilation", on("dilation")),
        ("inputs that no output reads", on("pixels between windows", "pixels after the last window")),
        ("everything together, no images", on("everything together", empty_batch=True, refusals=True)),
        ("float64", in_float64),
    ],
    starter_fails="one output, few channels: conv1d_dgrad",
    wrong=[
        Wrong(
            "every output gives, whether it divides or not",
            replace={"q < 0 || q % stride != 0 || ": "q < 0 || "},
            because="stride: ",
        ),
        Wrong(
            "below 0 is not asked for",
            replace={"q < 0 || q % stride": "q % stride"},
            because="out-of-bounds",
        ),
        Wrong(
            "beyond the last output is not asked for",
            replace={" || q / stride >= Q) continue": ") continue"},
            because="out-of-bounds",
        ),
        Wrong(
            "compared before the division",
            replace={"q / stride >= Q": "q >= Q"},
            because="stride: ",
        ),
        Wrong("dilation forgotten", replace={"- s * dilation": "- s"}, because="result for dilation 1"),
        Wrong("padding forgotten", replace={"l + padding - s": "l - s"}, because="padding: "),
        Wrong(
            "padding on the wrong side", replace={"l + padding - s": "l - padding - s"}, because="padding: "
        ),
        Wrong(
            "the forward's formula",
            replace={"l + padding - s * dilation": "l * stride - padding + s * dilation"},
            because="one output, few channels: ",
        ),
        Wrong(
            "the weight's channels swapped",
            replace={"weight[(k * C + c) * S + s]": "weight[(c * K + k) * S + s]"},
            because="conv1d_dgrad",
        ),
        Wrong(
            "every image is the first",
            replace={"grad_output[(n * K + k) * Q": "grad_output[k * Q"},
            because="only the first image is right",
        ),
        Wrong(
            "the last product alone",
            replace={"sum += grad_output": "sum = grad_output"},
            because="conv1d_dgrad",
        ),
        Wrong("one channel", replace={"k < K; ++k": "k < 1; ++k"}, because="conv1d_dgrad"),
        Wrong("a sum in float", replace={"T sum = 0;": "float sum = 0;"}, because="float64: "),
    ],
)
