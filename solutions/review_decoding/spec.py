"""Pixels decoded with W / stride in place of the output's width: right only where the two are equal."""

import torch

from utils.check import Case, check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def same_size(cell):
    chosen = [Case("as large as the input", 2, 2, size, 3, (3, 3), padding=1) for size in ((6, 9), (17, 20))]
    quietly(check_conv2d, cell.conv2d, chosen)


def alexnet(cell):
    """AlexNet's first layer on an image of 32 x 28: 7 x 6 outputs, and 28 / 4 is 7."""
    quietly(check_conv2d, cell.conv2d, [Case("AlexNet", 1, 3, (32, 28), 4, (11, 11), stride=4, padding=2)])


def everything(cell):
    """All cases, the empty batch and the refusals."""
    quietly(check_conv2d, cell.conv2d, conv2d_cases(), empty_batch=True, refusals=True)


def sectors(cell):
    """Planes of 17 x 31 outputs: numbered along the rows, a warp stores to 5 sectors at most."""
    stores = profile(cell.conv2d, torch.zeros(1, 2, 19, 33), torch.zeros(3, 2, 3, 3))[0].global_store
    assert stores.sectors_per_request <= 5.01, (
        f"{stores.sectors_per_request:.2f} sectors a store request, at most 5 are needed: neighbouring"
        " threads should have neighbours of one row, which lie side by side in memory"
    )


exercise = Exercise(
    title="A pixel in the wrong row",
    goal="row and column of a pixel from its number, for every stride, padding and dilation",
    run_starter=True,
    hints=[
        "The pixels of one row of the output: how many are there? Is it always W / stride?",
        "Two pixels with one place: print (p, q) for pixel 6 and 7 of 7 x 6 outputs, and p * Q + q for both.",
        "The kernel has the output's width already, computed by the launcher: its name is Q.",
    ],
    checks=[
        ("3 x 3 filters with padding 1", same_size),
        ("AlexNet's options on a small image", alexnet),
        ("right for every shape", everything),
        ("neighbours store to neighbours", sectors),
    ],
    starter_fails="AlexNet's options on a small image: stem, line 22: race: thread (7, 0, 0)",
    wrong=[
        Wrong(
            "the height for the width",
            replace={"pixel / Q, q = pixel % Q": "pixel / P, q = pixel % P"},
            because="3 x 3 filters with padding 1: stem, line 21: race",
        ),
        Wrong(
            "repaired for the column alone",
            replace={"pixel / Q, q": "pixel / (W / stride), q"},
            because="AlexNet's options on a small image: stem, line 21: race: thread (6, 0, 0)",
        ),
        Wrong(
            "the input's width divided by the stride, rounded up",
            replace={
                "int p = pixel / Q, q = pixel % Q":
                "int wide = (W + stride - 1) / stride, p = pixel / wide, q = pixel % wide",
            },
            because="AlexNet's options on a small image: stem, line 21: race: thread (7, 0, 0)",
        ),
        Wrong(
            "padding thought of, the filter forgotten",
            replace={
                "int p = pixel / Q, q = pixel % Q":
                "int wide = (W + 2 * padding) / stride, p = pixel / wide, q = pixel % wide",
            },
            because="3 x 3 filters with padding 1: stem, line 21: race",
        ),
        Wrong(
            "the filter thought of, dilation forgotten",
            replace={
                "int p = pixel / Q, q = pixel % Q":
                "int wide = (W + 2 * padding - S) / stride + 1, p = pixel / wide, q = pixel % wide",
            },
            because="right for every shape: stem, line 21: race",
        ),
        Wrong(
            "pixels numbered down the columns",
            replace={"p = pixel / Q, q = pixel % Q": "p = pixel % P, q = pixel / P"},
            because="neighbours store to neighbours: ",
        ),
        Wrong(
            "row and column exchanged",
            replace={"p = pixel / Q, q = pixel % Q": "p = pixel % Q, q = pixel / Q"},
            because="3 x 3 filters with padding 1: stem, line 21: race",
        ),
    ],
)  # fmt: skip
