"""Repair a kernel whose barriers are missing, in a branch, and out of reach for some threads."""

import torch

from utils.check import Case, check_conv1d, conv1d_cases
from utils.exercise.helpers import quietly, same
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile, trace


def simulated(*cases):
    """Check these cases in the simulator, wherever the cell runs: a GPU often hides what is missing here."""

    def check(cell):
        for case in cases:
            generator = torch.Generator().manual_seed(1)
            x = torch.randn(case.N, case.C, *case.size, generator=generator)
            w = torch.randn(case.K, case.C, *case.taps, generator=generator)
            expected = torch.nn.functional.conv1d(x.double(), w.double())
            for order in ("forward", "reverse", "random"):
                result = profile(cell.conv1d, x, w, order=order, seed=1).result
                same(result, expected, f"conv1d of {case}", tolerance=1e-3)

    return check


def tile_and_barriers(cell):
    """One block, 3 channels: the sum reads the tile, and no channel takes more than two barriers."""
    found = trace(cell.conv1d, torch.ones(1, 3, 258), torch.ones(2, 3, 3), warp=None)
    assert any(request.kind == "shared_load" for request in found), (
        "nothing reads the tile any more: keep it, and repair the barriers around it"
    )
    seen = len(found.barriers)
    assert seen <= 6, f"a block waits at {seen} barriers for 3 channels; two a channel are enough"


def everything_else(cell):
    plain = [case for case in conv1d_cases() if not case.needs]
    quietly(check_conv1d, cell.conv1d, plain, empty_batch=True, refusals=True)


exercise = Exercise(
    title="Repair the barriers",
    goal="every thread of a block comes to every barrier, and no thread is too early or too late",
    run_starter=True,
    hints=[
        "Read the message: its kind, its line, its two threads. A barrier is for all threads of a block. Who"
        " does not come to this one?",
        "Two moments need a barrier: all have written before anybody reads, and all have read before anybody"
        " writes the next channel. Both stand in the loop, and in no branch.",
        "A thread without an output still has an element of the tile to load. It must not leave: put a"
        " condition around the sum and around the store instead. (Around the sum, as beyond Q it may read"
        " elements of the tile that nobody has stored.)",
    ],
    checks=[
        ("one channel, whole blocks", simulated(Case("", 1, 1, (258,), 2, (3,)))),
        ("several channels, whole blocks", simulated(Case("", 2, 3, (258,), 2, (3,)))),
        (
            "a block that is not full",
            simulated(Case("", 1, 2, (202,), 3, (3,)), Case("", 2, 3, (9,), 2, (4,))),
        ),
        ("a halo as large as the tile", simulated(Case("", 1, 2, (383,), 1, (128,)))),
        ("two barriers a channel", tile_and_barriers),
        ("every shape", everything_else),
    ],
    starter_fails="one channel, whole blocks: conv1d_small, line 21: race",
    wrong=[
        Wrong(
            "the barrier in the branch is left there",
            replace={
                "row[q + TILE_Q];\n        }\n        __syncthreads();":
                "row[q + TILE_Q];\n            __syncthreads();\n        }\n       ",
            },
            because="one channel, whole blocks: conv1d_small, line 21: race",
        ),
        Wrong(
            "a second barrier behind the one in the branch",
            replace={
                "row[q + TILE_Q];\n        }": "row[q + TILE_Q];\n            __syncthreads();\n        }",
            },
            because="one channel, whole blocks: conv1d_small, line 17: barrier-divergence",
        ),
        Wrong(
            "the first barrier missing",
            replace={"        __syncthreads();  // the tile is complete\n": ""},
            because="one channel, whole blocks: conv1d_small, line 19: race",
        ),
        Wrong(
            "the second barrier missing",
            replace={"        __syncthreads();  // everybody has read it\n": ""},
            because="several channels, whole blocks: conv1d_small, line 14: race",
        ),
        Wrong(
            "the early return is left there",
            replace={"    float sum = 0.0f;\n": "    float sum = 0.0f;\n    if (q >= Q) return;\n"},
            because="a block that is not full: conv1d_small, line 19: barrier-divergence",
        ),
        Wrong(
            "the second barrier only for threads with an output",
            replace={
                "* S + s];\n        }\n        __syncthreads();":
                "* S + s];\n            __syncthreads();\n        }",
            },
            because="a block that is not full: conv1d_small, line",
        ),
        Wrong(
            "a barrier of the warp",
            replace={"__syncthreads();  // the tile is complete": "__syncwarp();"},
            because="race",
        ),
        Wrong(
            "the halo one short",
            replace={"threadIdx.x < S - 1": "threadIdx.x < S - 2"},
            because="uninitialized-read",
        ),
        Wrong(
            "threads without an output load nothing",
            replace={"if (q < L) tile": "if (q < Q) tile"},
            because="a block that is not full: conv1d_small, line 20: uninitialized-read",
        ),
        Wrong(
            "no guard around the sum",
            replace={"        if (q < Q) {\n": "        {\n"},
            because="a block that is not full: conv1d_small, line 20: uninitialized-read",
        ),
        Wrong(
            "a third barrier",
            replace={"        if (threadIdx.x < S": "        __syncthreads();\n        if (threadIdx.x < S"},
            because="two barriers a channel: a block waits at 9 barriers for 3 channels",
        ),
        Wrong(
            "no tile, so no barrier",
            replace={
                "* S + s];\n        }\n        __syncthreads();  // everybody has read it":
                "* S + s];\n        }",
                "        __syncthreads();  // the tile is complete\n": "",
                "tile[threadIdx.x + s] *": "row[q + s] *",
            },
            because="two barriers a channel: nothing reads the tile any more",
        ),
        Wrong("loads past the end", replace={"if (q < L) tile": "tile"}, because="out-of-bounds"),
    ],
)  # fmt: skip
