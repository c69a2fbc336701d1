"""One pixel a block, 256 threads that all do its work: a race, and after half a repair a waste."""

import torch

from utils.check import Case, check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def one_thread_an_output(cell):
    """The sanitizer runs along: two threads that write one element are a race."""
    case = Case("a few outputs", 1, 2, (4, 5), 2, (3, 3))
    quietly(check_conv2d, cell.conv2d, [case])


def everything(cell):
    """All cases, the empty batch and the refusals."""
    quietly(check_conv2d, cell.conv2d, conv2d_cases(), empty_batch=True, refusals=True)


def launch(cell, rows=17, columns=31):
    """One launch for 3 planes; those of 17 x 31 outputs are 17 warps each, the last one with 15 outputs."""
    return profile(cell.conv2d, torch.randn(1, 2, rows + 2, columns + 2), torch.randn(3, 2, 3, 3))[0]


def store_requests(cell):
    stores = launch(cell).global_store
    assert stores.requests <= 51, (
        f"{stores.requests:,} store requests for 3 planes of 527 outputs; 51 are enough: 17 warps for each"
        f" plane. Here a request stores {1581 / stores.requests:.2f} outputs: which threads do nothing?"
    )


def sectors(cell):
    stores = launch(cell).global_store
    assert stores.sectors_per_request <= 5.01, (
        f"{stores.sectors_per_request:.2f} sectors a store request, at most 5 are needed: the 32 lanes of a"
        " warp should have pixels that are neighbours in memory"
    )


def blocks(cell):
    for rows, columns, needed in ((17, 31, 3), (16, 16, 1)):
        grid = launch(cell, rows, columns).grid
        assert grid == (needed, 3, 1), (
            f"{rows * columns} pixels, 3 filters, 1 image: the grid is {grid}, needed ({needed}, 3, 1)"
        )


exercise = Exercise(
    title="One pixel a block",
    goal="one thread for each output, neighbouring threads for neighbouring pixels, no block too many",
    run_starter=True,
    hints=[
        "Which of a block's 256 threads does the kernel tell apart? Look for threadIdx.",
        "A thread's number in the whole row of blocks: the blocks before it, times their size, plus its own"
        " place.",
        "The last block has threads without a pixel: they leave. And the grid: 256 pixels a block now, so how"
        " many blocks? ceil_div(a, b) of conv.h rounds up.",
    ],
    checks=[
        ("no two threads write one output", one_thread_an_output),
        ("right for every shape", everything),
        ("neighbours store to neighbours", sectors),
        ("32 outputs a store request", store_requests),
        ("no more blocks than needed", blocks),
    ],
    starter_fails="no two threads write one output: stem, line 21: race: thread (1, 0, 0)",
    wrong=[
        Wrong(
            "thread 0 alone works on",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x",
                "if (pixel >= P * Q) return;": "if (threadIdx.x != 0) return;",
                "ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q",
            },
            because="32 outputs a store request: 1,581 store requests",
        ),
        Wrong(
            "the last line alone by thread 0",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x",
                "    output[((n": "    if (threadIdx.x == 0) output[((n",
                "ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q",
            },
            because="32 outputs a store request: 1,581 store requests",
        ),
        Wrong(
            "the kernel repaired, the grid not",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q"},
            because="no more blocks than needed: 527 pixels",
        ),
        Wrong(
            "the grid repaired, the kernel not",
            replace={"int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x"},
            because="race: thread (1, 0, 0) of block (0, 0, 0) writes output[0]",
        ),
        Wrong("no bound", replace={"    if (pixel >= P * Q) return;\n": ""}, because="out-of-bounds"),
        Wrong(
            "neighbouring threads a block's width apart",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "threadIdx.x * gridDim.x + blockIdx.x"
            },
            because="sectors a store request, at most 5 are needed",
        ),
        Wrong(
            "one block too many where the division is exact",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q / THREADS + 1"},
            because="no more blocks than needed: 256 pixels",
        ),
        Wrong(
            "blocks rounded down",
            replace={"ceil_div(size.P * size.Q, THREADS)": "size.P * size.Q / THREADS"},
            because="a grid of 0 x 2 x 1 blocks",
        ),
    ],
)
