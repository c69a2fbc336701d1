"""The lesson's step in one dimension: several channels of the input staged, shared by 8 output channels."""

import torch

from utils.check import Case, check_conv1d
from utils.exercise.helpers import conv1d_on, quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile, trace

NAIVE = 384  # load requests of the input that conv1d_naive makes for the outputs of one block, below


STAGES = Case("several stages", 2, 45, (200,), 9, (3,), stride=3, padding=2, dilation=4, bias=True)


def several_stages(cell):
    """A tile of 198 elements a channel: 20 channels fit into one stage, and 45 are no multiple of it."""
    x, w = torch.ones(1, STAGES.C, *STAGES.size), torch.ones(STAGES.K, STAGES.C, *STAGES.taps)
    profile(cell.conv1d, x, w, **STAGES.options)  # in the simulator: a GPU hides most races
    quietly(check_conv1d, cell.conv1d, [STAGES])


def input_requests(cell):
    """The middle block's load requests of the input, for 64 x 8 outputs of 8 channels, 3 taps."""
    layer = torch.ones(1, 8, 1544), torch.ones(16, 8, 3)
    found = trace(cell.conv1d, *layer, stride=3, dilation=5, block=(1, 0, 0), warp=None)
    return [
        request
        for request in found
        if request.kind == "global_load" and any(lane and lane.tensor == "input" for lane in request.lanes)
    ]


def length(cell):
    """Windows of 11, 3 apart: 64 of them cover 200 elements; all 8 channels fit into one stage."""
    seen = profile(cell.conv1d, torch.ones(1, 8, 1544), torch.ones(16, 8, 3), stride=3, dilation=5)[
        0
    ].shared_bytes
    assert seen <= 4 * 8 * 200, (
        f"a block asks for {seen:,} bytes; 8 channels of 200 floats are 6,400. The last window begins"
        " TILE_Q - 1 strides behind the first one"
    )


def requests(cell):
    loads = input_requests(cell)
    seen, warps = len(loads), len({load.warp for load in loads})
    assert seen * 4 <= NAIVE, (
        f"a block makes {seen} load requests of the input for its 64 x 8 outputs; at most {NAIVE // 4} are"
        f" allowed, a quarter of the {NAIVE} of conv1d_naive"
    )
    assert warps >= 8, f"{warps} of the block's 16 warps load the input, and the others wait: share the work"


def sectors(cell):
    loads = input_requests(cell)
    mean = sum(load.sectors for load in loads) / len(loads)
    assert mean <= 4.6, (
        f"a load request of the input moves {mean:.2f} sectors; at most 4.6 are allowed."
        " Do neighbouring threads load neighbouring elements?"
    )


exercise = Exercise(
    title="conv1d over a tile",
    goal="conv1d from a tile that 8 output channels share, with a quarter of the naive kernel's requests",
    hints=[
        "Three steps, with a barrier behind the first and one at the end: stage, barrier, sum, barrier. A"
        " thread without an output stages too.",
        "tile_l in the launcher: from the first window's beginning to the last window's end, with stride and"
        " dilation, as tile_w in the lesson.",
        "Stage: threadIdx.y runs over the channels in steps of TILE_K, threadIdx.x over the elements in steps"
        " of TILE_Q. Element x of a channel is number left + x of its row: zero if there is none.",
        "Sum: channel c of the stage is channel first_c + c of input and weight. In the tile the element is"
        " c * tile_l + threadIdx.x * stride + s * dilation. If k >= K there is no weight: skip the sum.",
    ],
    checks=[
        ("one output, few outputs", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride", conv1d_on("stride")),
        ("padding", conv1d_on("padding")),
        ("dilation", conv1d_on("dilation")),
        ("bias", conv1d_on("bias")),
        ("several stages", several_stages),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("length of the tile", length),
        ("load requests of the input", requests),
        ("sectors a request", sectors),
    ],
    starter_fails="one output, few outputs: conv1d is wrong in",
    wrong=[
        Wrong(
            "no barrier before the sum",
            replace={"        __syncthreads();\n        if (k < K) {": "        if (k < K) {"},
            because="race",
        ),
        Wrong(
            "no barrier behind the sum",
            replace={"        }\n        __syncthreads();\n    }": "        }\n    }"},
            because="several stages: conv1d_tiled, line 26: race",
        ),
        Wrong(
            "stride forgotten in the tile's length",
            replace={"(TILE_Q - 1) * stride +": "TILE_Q - 1 +"},
            because="stride: conv1d_tiled, line",
        ),
        Wrong(
            "dilation forgotten in the tile's length",
            replace={"dilation * (size.S - 1) + 1": "(size.S - 1) + 1"},
            because="dilation: conv1d_tiled, line",
        ),
        Wrong(
            "one stride too many",
            replace={"(TILE_Q - 1) * stride +": "TILE_Q * stride +", "(size.S - 1) + 1;": "(size.S - 1);"},
            because="length of the tile: a block asks for 6,464 bytes",
        ),
        Wrong(
            "staged by two warps of sixteen",
            replace={
                "for (int c = threadIdx.y; c < depth; c += TILE_K)":
                "for (int c = 0; threadIdx.y == 0 && c < depth; ++c)",
            },
            because="load requests of the input: 2 of the block's 16 warps load the input",
        ),
        Wrong("the halo one short", replace={"x < tile_l": "x < tile_l - 1"}, because="uninitialized-read"),
        Wrong(
            "the padding not zeroed",
            replace={
                "tile[c * tile_l + x] = inside ? value : 0.0f;": "if (inside) tile[c * tile_l + x] = value;",
            },
            because="uninitialized-read",
        ),
        Wrong(
            "the edges unguarded",
            replace={"input[inside ? (n": "input[(n", "* L + l : 0];": "* L + l];"},
            because="out-of-bounds",
        ),
        Wrong(
            "threads without an output leave",
            replace={"    float sum = bias &&": "    if (q >= Q || k >= K) return;\n    float sum = bias &&"},
            because="barrier-divergence",
        ),
        Wrong(
            "the sum and its barrier only where there is an output channel",
            replace={
                "        }\n        __syncthreads();\n    }": "        __syncthreads();\n        }\n    }",
            },
            because="barrier-divergence",
        ),
        Wrong(
            "stride forgotten in the sum",
            replace={"threadIdx.x * stride + s * dilation": "threadIdx.x + s * dilation"},
            because="stride: conv1d is wrong in",
        ),
        Wrong(
            "the first stage's weights in every stage",
            replace={"weight[(k * C + first_c + c) * S + s]": "weight[(k * C + c) * S + s]"},
            because="several stages: conv1d is wrong in",
        ),
        Wrong(
            "the first stage's input in every stage",
            replace={"(n * C + first_c + c) * L + l : 0": "(n * C + c) * L + l : 0"},
            because="several stages: conv1d is wrong in",
        ),
        Wrong("no bound on k", replace={"if (k < K) {": "{"}, because="out-of-bounds"),
        Wrong(
            "every thread stages all of it",
            replace={
                "int c = threadIdx.y; c < depth; c += TILE_K": "int c = 0; c < depth; ++c",
                "int x = threadIdx.x; x < tile_l; x += TILE_Q": "int x = 0; x < tile_l; ++x",
            },
            because="race",
        ),
        Wrong(
            "right, but straight from the input",
            replace={
                "tile[c * tile_l + threadIdx.x * stride + s * dilation] *":
                "(q < Q && left + int(threadIdx.x) * stride + s * dilation >= 0 &&"
                " left + int(threadIdx.x) * stride + s * dilation < L"
                " ? input[(n * C + first_c + c) * L + left + int(threadIdx.x) * stride + s * dilation]"
                " : 0.0f) *",
            },
            because="load requests of the input: a block makes 4",
        ),
        Wrong(
            "each thread a stretch of its own",
            replace={
                "for (int x = threadIdx.x; x < tile_l; x += TILE_Q) {":
                "for (int x = threadIdx.x * ((tile_l + TILE_Q - 1) / TILE_Q), end = min(tile_l,"
                " x + (tile_l + TILE_Q - 1) / TILE_Q); x < end; ++x) {",
            },
            because="sectors a request: a load request of the input moves",
        ),
    ],
)  # fmt: skip
