"""A launch that leaves outputs untouched: find out which, and why."""

import torch

from utils.check import Case, check_conv2d
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def outputs(*sizes):
    """A check of outputs of these sizes (P, Q)."""
    chosen = [Case(f"{p} x {q}", 2, 1, (p + 2, q + 1), 3, (3, 2)) for p, q in sizes]
    return lambda cell: quietly(check_conv2d, cell.conv2d, chosen)


def no_more_blocks_than_needed(cell):
    """Blocks without a single output cost time and nothing else; a beginner's grid often has many."""
    x, weight = torch.zeros(2, 1, 35, 98), torch.zeros(3, 1, 3, 2)  # 33 x 97 outputs
    grid = profile(cell.conv2d, x, weight)[0].grid
    assert grid == (4, 5, 6), f"33 x 97 outputs, 2 images, 3 filters: the grid is {grid}, needed (4, 5, 6)"


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
        ("no more blocks than needed", no_more_blocks_than_needed),
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
            "a block for each output",
            replace={"(Q + block.x - 1) / block.x, (P + block.y - 1) / block.y": "Q, P"},
            because="no more blocks than needed: 33 x 97",
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
