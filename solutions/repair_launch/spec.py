"""A launch that leaves outputs untouched: find out which, and why."""

from utils.check import Case, check_conv2d
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong


def outputs(*sizes):
    """A check of outputs of these sizes (P, Q)."""
    chosen = [Case(f"{p} x {q}", 2, 1, (p + 2, q + 1), 3, (3, 2)) for p, q in sizes]
    return lambda cell: quietly(check_conv2d, cell.conv2d, chosen)


exercise = Exercise(
    title="Repair a launch",
    goal="every output has a thread, whatever its height and width; the kernel stays as it is",
    run_starter=True,
    hints=[
        "Which outputs are nan, that is, untouched? Compare the first of them with the size of a block.",
        "The kernel takes q from x and p from y. In which order does the grid count blocks?",
        "Integers divide downwards: 97 / 32 is 3, and three blocks leave a column. How do you round up?",
    ],
    checks=[
        ("64 x 64 outputs, whole blocks, a square", outputs((64, 64))),
        ("32 x 96 outputs, whole blocks, wider than high", outputs((32, 96))),
        ("33 x 97 outputs, one more than whole blocks", outputs((33, 97))),
        ("outputs smaller than one block", outputs((1, 1), (5, 40), (40, 5))),
        ("outputs just below whole blocks", outputs((7, 31), (15, 63))),
    ],
    starter_fails="32 x 96 outputs, whole blocks, wider than high: conv2d is wrong in",
    wrong=[
        Wrong(
            "rounds down",
            replace={"(Q + block.x - 1) / block.x, (P + block.y - 1) / block.y": "Q / block.x, P / block.y"},
            because="33 x 97 outputs, one more than whole blocks: conv2d is wrong in",
        ),
        Wrong(
            "x and y swapped",
            replace={
                "(Q + block.x - 1) / block.x, (P + block.y - 1) / block.y":
                "(P + block.x - 1) / block.x, (Q + block.y - 1) / block.y",
            },
            because="32 x 96 outputs, whole blocks, wider than high: conv2d is wrong in",
        ),
        Wrong(
            "only the columns repaired",
            replace={"(P + block.y - 1) / block.y": "P / block.y"},
            because="33 x 97 outputs, one more than whole blocks: conv2d is wrong in",
        ),
        Wrong(
            "one block of threads per output channel alone",
            replace={"block.y, N * K)": "block.y, K)"},
            because="64 x 64 outputs, whole blocks, a square: conv2d is wrong in",
        ),
    ],
)  # fmt: skip
