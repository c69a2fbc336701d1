"""A grid for blocks of 256 pixels, of a kernel whose blocks have fewer: most outputs stay zero."""

import torch

from utils.check import Case, check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def planes(*sizes):
    """A check of output planes of these sizes (P, Q)."""
    chosen = [Case("planes", 2, 1, (p + 2, q + 2), 3, (3, 3)) for p, q in sizes]
    return lambda cell: quietly(check_conv2d, cell.conv2d, chosen)


def everything(cell):
    """All cases, the empty batch and the refusals."""
    quietly(check_conv2d, cell.conv2d, conv2d_cases(), empty_batch=True, refusals=True)


def blocks(cell):
    for p, q, needed in ((8, 8, 1), (5, 13, 2), (16, 16, 4)):
        grid = profile(cell.conv2d, torch.zeros(2, 1, p + 2, q + 2), torch.zeros(3, 1, 3, 3))[0].grid
        assert grid == (needed, 3, 2), (
            f"{p} x {q} pixels, 3 filters, 2 images: the grid is {grid}, needed ({needed}, 3, 2)"
        )


exercise = Exercise(
    title="Outputs that nobody computes",
    goal="a thread for every pixel of the plane, whatever the size of a block, and no block too many",
    run_starter=True,
    hints=[
        "How many pixels does one block compute? Compare with the number that the grid divides by.",
        "A block has THREADS threads. Take that name, not a number, so that the two cannot part again.",
        "grid_of takes blocks along x, y and z. ceil_div(a, b) of conv.h is a / b rounded up.",
    ],
    checks=[
        ("planes of up to 64 pixels", planes((1, 1), (5, 7), (8, 8))),
        ("65 pixels", planes((5, 13))),
        ("planes around 256 pixels", planes((15, 17), (16, 16), (1, 257))),
        ("right for every shape", everything),
        ("no more blocks than needed", blocks),
    ],
    starter_fails="65 pixels: conv2d is wrong in 6 of 390 elements",
    wrong=[
        Wrong(
            "rounded down",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q / THREADS"},
            because="a grid of 0 x 3 x 2 blocks",
        ),
        Wrong(
            "one block too many where the division is exact",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q / THREADS + 1"},
            because="no more blocks than needed: 8 x 8",
        ),
        Wrong(
            "a block a pixel",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q"},
            because="no more blocks than needed: 8 x 8",
        ),
        Wrong(
            "rows counted, columns forgotten",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P"},
            because="planes around 256 pixels: conv2d is wrong in",
        ),
        Wrong(
            "half of it: blocks of 128",
            replace={"ceil_div(size.P * size.Q, THREADS)": "ceil_div(size.P * size.Q, 128)"},
            because="65 pixels: conv2d is wrong in 6 of 390",
        ),
        Wrong(
            "images and filters exchanged",
            replace={"THREADS), size.K, size.N)": "THREADS), size.N, size.K)"},
            because="reads input[18], 1 past the last",
        ),
    ],
)
