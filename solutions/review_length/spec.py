"""An output as long as the input, filled up with partial sums and zeros."""

from utils.check import Case, check_conv1d, conv1d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong


def on(*cases):
    return lambda cell: quietly(check_conv1d, cell.conv1d, cases)


def everything(cell):
    quietly(check_conv1d, cell.conv1d, conv1d_cases(), empty_batch=True, refusals=True)


PLACES = "i % Q, k = i / Q % K, n = i / Q / K"
BY_LENGTH = "i % length, k = i / length % K, n = i / length / K"

exercise = Exercise(
    title="Longer than it should be",
    goal="an output of the length that stride and dilation leave, and each sum at its place in it",
    run_starter=True,
    hints=[
        "S taps at distance `dilation` cover how many inputs? From where to where can such a window begin?",
        "A window can begin at length - dilation (S - 1) places; every stride-th is taken.",
        "In the kernel, `length` has two meanings. Where a place of the output is meant, it must be Q.",
    ],
    checks=[
        ("one channel, dilation and stride 1", on(Case("length", 1, 1, (7,), 1, (3,)))),
        ("dilation", on(Case("dilation", 1, 2, (20,), 1, (3,), dilation=4))),
        ("stride and dilation", on(Case("the layer, shorter", 1, 2, (59,), 1, (3,), stride=3, dilation=4))),
        ("several filters and images", on(Case("images", 2, 2, (59,), 4, (3,), stride=3, dilation=4))),
        ("right for every shape", everything),
    ],
    starter_fails="conv1d returned shape (1, 1, 7), expected (N, K, Q) = (1, 1, 5)",
    wrong=[
        Wrong(
            "only the taps taken off",
            replace={"(length - dilation * (S - 1) - 1) / stride + 1": "length - S + 1"},
            because="dilation: conv1d returned shape (1, 1, 18)",
        ),
        Wrong(
            "dilation times the taps",
            replace={"dilation * (S - 1) - 1) / stride + 1": "dilation * S - 1) / stride + 1"},
            because="returned shape (1, 1, 4)",
        ),
        Wrong(
            "stride forgotten",
            replace={"(S - 1) - 1) / stride + 1": "(S - 1) - 1) + 1"},
            because="stride and dilation: conv1d returned shape (1, 1, 51)",
        ),
        Wrong(
            "the input's length divided by the stride",
            replace={"(length - dilation * (S - 1) - 1) / stride + 1": "length / stride"},
            because="returned shape (1, 1, 7)",
        ),
        Wrong(
            "the launcher repaired, the kernel not",
            replace={"i >= int64_t(N) * K * Q": "i >= int64_t(N) * K * length", PLACES: BY_LENGTH},
            because="one channel, dilation and stride 1: conv1d_kernel, line 16: out-of-bounds",
        ),
        Wrong(
            "only the bound repaired in the kernel",
            replace={PLACES: BY_LENGTH},
            because="several filters and images: conv1d is wrong in",
        ),
        Wrong(
            "only the decoding repaired in the kernel",
            replace={"i >= int64_t(N) * K * Q": "i >= int64_t(N) * K * length"},
            because="out-of-bounds",
        ),
    ],
)  # fmt: skip
