"""A source that uses names which nobody defined: the compiler finds it, and the formula has to be right."""

from utils.check import check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong


def cases(*groups, **flags):
    """A check of the launcher on all cases of these groups."""
    chosen = [case for case in conv2d_cases() if case.group in groups]
    return lambda cell: quietly(check_conv2d, cell.conv2d, chosen, **flags)


exercise = Exercise(
    title="It does not compile",
    goal="define the two names that the compiler misses, so that the output has the right size",
    run_starter=True,
    starter_compiles=False,
    hints=[
        "The message names them: P and Q, height and width of the output. Both are int64_t.",
        "How many places can a window begin at along H, with padding on both sides? Take every stride-th.",
        "A window of R rows can begin at H + 2 padding - R + 1 places, the first of which is always taken."
        " What is left over at the end counts for nothing: the division rounds down.",
    ],
    checks=[
        ("stride 1, no padding", cases("plain", "batch and channels", "one output")),
        ("padding", cases("padding")),
        ("stride", cases("stride")),
        ("everything else", cases("block edges", "one row or column", empty_batch=True, refusals=True)),
    ],
    starter_fails="INT_MAX / P / Q",
    wrong=[
        Wrong(
            "the input's size divided by the stride",
            replace={
                "(H + 2 * padding - R) / stride + 1": "H / stride",
                "(W + 2 * padding - S) / stride + 1": "W / stride",
            },
            because="the output is as large as the input here",
        ),
        Wrong(
            "the + 1 forgotten",
            replace={"- R) / stride + 1": "- R) / stride", "- S) / stride + 1": "- S) / stride"},
            because="the + 1 is missing",
        ),
        Wrong(
            "padding on one side alone",
            replace={
                "(H + 2 * padding - R)": "(H + padding - R)",
                "(W + 2 * padding - S)": "(W + padding - S)",
            },
            because="padding: conv2d returned shape",
        ),
        Wrong(
            "rounded up",
            replace={"(H + 2 * padding - R) / stride": "(H + 2 * padding - R + stride - 1) / stride"},
            because="stride: conv2d returned shape",
        ),
        Wrong(
            "P and Q exchanged",
            replace={
                "int64_t P = (H + 2 * padding - R)": "int64_t P = (W + 2 * padding - S)",
                "int64_t Q = (W + 2 * padding - S)": "int64_t Q = (H + 2 * padding - R)",
            },
            because="height and width are exchanged",
        ),
        Wrong(
            "one name forgotten",
            replace={"    const int64_t Q = (W + 2 * padding - S) / stride + 1;\n": ""},
            because="compiles: cell was not compiled",
        ),
    ],
)
