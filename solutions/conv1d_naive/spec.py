"""The lesson's kernel in one dimension: strided, dilated, padded."""

import torch

from utils.check import Case, check_conv1d
from utils.exercise.helpers import call, conv1d_on, quietly
from utils.exercise.spec import Exercise, Wrong


def length(cell):
    """Every option at once, but only the shape: what the values are is for the checks that follow."""
    for case in (
        Case("length", 1, 1, (20,), 1, (3,), stride=3, padding=1, dilation=2),
        Case("length", 2, 1, (25,), 3, (4,), stride=2, padding=3),
    ):
        x, w = torch.zeros(case.N, case.C, *case.size), torch.zeros(case.K, case.C, *case.taps)
        expected = torch.nn.functional.conv1d(x, w, **case.options).shape
        if call(cell.conv1d, x, w, **case.options).shape != expected:
            quietly(check_conv1d, cell.conv1d, [case])  # says what is wrong with the shape


exercise = Exercise(
    title="conv1d, one thread per output",
    goal=(
        "output[n, k, q] = bias[k] + the sum over c and s of"
        " input[n, c, q stride - padding + s dilation] weight[k, c, s]"
    ),
    hints=[
        "It is conv2d without rows: p, r and h are gone. blockIdx.y is k, blockIdx.z is n.",
        "The filter covers dilation (S - 1) + 1 inputs. It can begin at L + 2 padding - dilation (S - 1)"
        " places, of which every stride-th one is taken, the first included.",
        "l = q * stride - padding + s * dilation may lie outside of the input: then it adds nothing."
        " Channel c of image n begins at (n * C + c) * L.",
    ],
    checks=[
        ("length of the output", length),
        ("one thread, one output", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride", conv1d_on("stride")),
        ("padding", conv1d_on("padding")),
        ("dilation", conv1d_on("dilation")),
        ("bias", conv1d_on("bias")),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
    ],
    starter_fails="returned shape (1, 1, 20), expected (N, K, Q) = (1, 1, 6)",
    wrong=[
        Wrong(
            "an output as long as the input",
            replace={"Q = (L + 2 * padding - dilation * (S - 1) - 1) / stride + 1": "Q = L"},
            because="length of the output: conv1d returned shape (1, 1, 20)",
        ),
        Wrong(
            "dilation forgotten in the length",
            replace={"dilation * (S - 1) - 1) / stride": "(S - 1) - 1) / stride"},
            because="returned shape (1, 1, 7)",
        ),
        Wrong(
            "the first place forgotten in the length",
            replace={"- 1) / stride + 1;": "- 1) / stride;"},
            because="returned shape (1, 1, 5)",
        ),
        Wrong("no bound on q", replace={"    if (q >= Q) return;\n": ""}, because="out-of-bounds"),
        Wrong("no bound on l", replace={"if (l >= 0 && l < L) ": ""}, because="out-of-bounds"),
        Wrong("no lower bound on l", replace={"l >= 0 && l < L": "l < L"}, because="out-of-bounds"),
        Wrong(
            "the output taken from the block alone",
            replace={"blockIdx.x * blockDim.x + threadIdx.x": "blockIdx.x"},
            because="race",
        ),
        Wrong(
            "channels of the weight in the wrong order",
            replace={"weight[(k * C + c) * S + s]": "weight[(c * K + k) * S + s]"},
            because="one thread, one output: conv1d is wrong in 14 of 14",
        ),
        Wrong(
            "n and k swapped",
            replace={"k = blockIdx.y, n = blockIdx.z": "n = blockIdx.y, k = blockIdx.z"},
            because="out-of-bounds",
        ),
        Wrong("stride forgotten", replace={"q * stride - padding": "q - padding"}, because="wrong in"),
        Wrong("dilation forgotten", replace={"+ s * dilation": "+ s"}, because="wrong in"),
        Wrong("bias forgotten", replace={"bias ? bias[k] : 0.0f": "0.0f"}, because="bias: conv1d is wrong"),
    ],
)  # fmt: skip
