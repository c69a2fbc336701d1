"""The same kernel with its threads laid anew; the counters judge."""

import torch

from utils.check import check_conv1d, conv1d_cases
from utils.exercise.helpers import full_warps, quietly, sectors_of_lines
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

MOST = 4.6  # sectors a request: 4 for 32 neighbours, 5 where they begin off a sector


def measured(cell):
    """One launch on rows of 96 outputs, three whole warps."""
    return profile(cell.conv1d, torch.zeros(2, 3, 96), torch.zeros(64, 3, 3), padding=1)[-1]


def right(cell):
    quietly(check_conv1d, cell.conv1d, conv1d_cases(), empty_batch=True, refusals=True)


def whole_warps(cell):
    full_warps(measured(cell))


def store(cell):
    each = measured(cell).global_store.sectors_per_request
    assert each <= 4, f"a store touches {each:.2f} sectors a request; 32 neighbours touch 4"


def loads(cell):
    sectors_of_lines(measured(cell), MOST, "load")


exercise = Exercise(
    title="Lay the threads along memory",
    goal="the same results, but a store touches 4 sectors a request, and no load more than 4.6",
    run_starter=True,
    hints=[
        "The output is N x K x Q in memory. Which of n, k and q has to differ between neighbouring lanes,"
        " so that they store neighbours?",
        "Lanes are counted along threadIdx.x first. Which of k and q comes from x now?",
        "Whatever you exchange in the kernel has to be exchanged in the grid too: block.x now counts along"
        " another size than before. The block may stay as it is: 32 threads along x are one warp.",
    ],
    checks=[
        ("right on every shape", right),
        ("a store touches 4 sectors", store),
        ("no load touches more than 4.6 sectors", loads),
        ("nearly all lanes take part", whole_warps),
    ],
    starter_fails="a store touches 4 sectors: a store touches 32.00 sectors a request",
    wrong=[
        Wrong(
            "lanes left along k",
            replace={
                "q = blockIdx.x * blockDim.x + threadIdx.x": "k = blockIdx.x * blockDim.x + threadIdx.x",
                "k = blockIdx.y * blockDim.y + threadIdx.y": "q = blockIdx.y * blockDim.y + threadIdx.y",
                "ceil_div(size.Q, block.x), ceil_div(size.K, block.y)":
                "ceil_div(size.K, block.x), ceil_div(size.Q, block.y)",
            },
            because="a store touches 32.00 sectors",
        ),
        Wrong(
            "the grid left as it was",
            replace={
                "ceil_div(size.Q, block.x), ceil_div(size.K, block.y)":
                "ceil_div(size.K, block.x), ceil_div(size.Q, block.y)",
            },
            because="right on every shape: conv1d is wrong in",
        ),
        Wrong(
            "rounds down",
            replace={"ceil_div(size.Q, block.x)": "size.Q / block.x"},
            because="right on every shape",
        ),
        Wrong(
            "the output transposed instead",
            replace={
                "q = blockIdx.x * blockDim.x + threadIdx.x": "k = blockIdx.x * blockDim.x + threadIdx.x",
                "k = blockIdx.y * blockDim.y + threadIdx.y": "q = blockIdx.y * blockDim.y + threadIdx.y",
                "ceil_div(size.Q, block.x), ceil_div(size.K, block.y)":
                "ceil_div(size.K, block.x), ceil_div(size.Q, block.y)",
                "output[(n * K + k) * Q + q]": "output[(n * Q + q) * K + k]",
            },
            because="right on every shape: conv1d is wrong in",
        ),
        Wrong("eight channels a warp", replace={"block(32, 8)": "block(4, 64)"}, because="touches 8.00"),
        Wrong(
            "neighbours in different blocks",
            replace={"blockIdx.x * blockDim.x + threadIdx.x": "threadIdx.x * gridDim.x + blockIdx.x"},
            because="a store touches 12.00 sectors",
        ),
        Wrong("blocks of one lane", replace={"block(32, 8)": "block(1, 1)"}, because="1.0 of 32 lanes"),
        Wrong("no bound on q", replace={"if (q >= Q || k >= K)": "if (k >= K)"}, because="out-of-bounds"),
        Wrong(
            "n and k swapped",
            replace={
                "k = blockIdx.y * blockDim.y + threadIdx.y;\n    const int n = blockIdx.z":
                "n = blockIdx.y * blockDim.y + threadIdx.y;\n    const int k = blockIdx.z",
            },
            because="right on every shape",
        ),
        Wrong("stride forgotten", replace={"q * stride - padding": "q - padding"}, because="wrong in"),
    ],
)  # fmt: skip
