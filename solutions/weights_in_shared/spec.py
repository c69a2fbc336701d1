"""Stage a block's weights in shared memory: an eighth of the global load requests, counted."""

import torch

from utils.check import Case, check_conv1d
from utils.exercise.helpers import conv1d_on, quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

STARTER = 3288  # load requests of the starter on the layer below


MANY_WEIGHTS = Case("many weights", 2, 20, (70,), 3, (31,), stride=2, padding=3, bias=True)  # 620 a filter


def many_weights(cell):
    quietly(check_conv1d, cell.conv1d, [MANY_WEIGHTS])


def large_tiles(cell):
    """Over 48 KB of weights in each of two filters: the launch has to ask for one."""
    options = {"stride": 1, "padding": 0, "dilation": 1}
    x, w = torch.ones(1, 2000, 8), torch.ones(2, 2000, 7)  # 56,000 bytes of weights in a filter
    seen, needed = profile(cell.conv1d, x, w, **options)[0].shared_bytes, 4 * (262 + 14_000)
    assert seen >= needed, f"a block asks for {seen:,} bytes: the weights need shared memory, too"
    assert seen <= needed + 64, (
        f"a block asks for {seen:,} bytes, and {needed:,} are enough: it uses one output channel's filter"
    )


def requests(cell):
    """16 taps, 4 channels, 3 filters, 512 outputs: 6 blocks."""
    launch = profile(cell.conv1d, torch.ones(1, 4, 527), torch.ones(3, 4, 16))[0]
    seen = launch.global_load.requests
    assert launch.grid == (2, 3, 1), f"the grid is {launch.grid}, and should still be (2, 3, 1)"
    assert seen * 8 <= STARTER, (
        f"{seen:,} global load requests; at most {STARTER // 8} are allowed, an eighth of the starter's"
        f" {STARTER:,}"
    )


exercise = Exercise(
    title="The weights in shared memory",
    goal="the same conv1d with an eighth of the global load requests: the weights come from shared memory",
    run_starter=True,
    hints=[
        "The 256 threads of a block share one output channel k. Its C * S weights lie side by side in"
        " memory: where do they begin?",
        "Dynamic shared memory is one array. The tile takes its first tile_l elements; the weights begin"
        " behind it. The launcher has to ask for both.",
        "Loop as the tile does: i from threadIdx.x, in steps of TILE_Q, up to C * S. Which barrier stands"
        " between this and the first use already?",
        "Within the filter, the weight of channel c and tap s is number c * S + s.",
    ],
    checks=[
        ("right on small shapes", conv1d_on("plain", "one output", "batch and channels")),
        ("global load requests", requests),
        ("more weights than threads", many_weights),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride, padding, dilation, bias", conv1d_on("stride", "padding", "dilation", "bias")),
        ("shared memory for both", large_tiles),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
    ],
    starter_fails="global load requests: 3,288 global load requests; at most 411",
    wrong=[
        Wrong(
            "the weights of output channel 0",
            replace={"weight[k * C * S + i]": "weight[i]"},
            because="right on small shapes: conv1d is wrong in",
        ),
        Wrong(
            "the weights of input channel 0",
            replace={"filter[c * S + s]": "filter[s]"},
            because="right on small shapes: conv1d is wrong in",
        ),
        Wrong(
            "the weights on top of the tile",
            replace={"tile + tile_l;": "tile;"},
            because="right on small shapes: conv1d",
        ),
        Wrong(
            "no shared memory asked for",
            replace={"tile_l + size.C * int64_t(size.S);": "tile_l;"},
            because="out-of-bounds",
        ),
        Wrong(
            "shared memory for all filters",
            replace={"size.C * int64_t(size.S);": "weight.numel();"},
            because="shared memory for both: a block asks for 113,048 bytes, and 57,048 are enough",
        ),
        Wrong(
            "one weight a thread",
            replace={
                "for (int i = threadIdx.x; i < C * S; i += TILE_Q) filter[i] = weight[k * C * S + i];":
                "if (threadIdx.x < C * S) filter[threadIdx.x] = weight[k * C * S + threadIdx.x];",
            },
            because="more weights than threads: conv1d_weights, line",
        ),
        Wrong(
            "staged, and not used",
            replace={"const float w = filter[c * S + s];": "const float w = weight[(k * C + c) * S + s];"},
            because="global load requests: 3,3",
        ),
        Wrong(
            "staged by one thread",
            replace={
                "int i = threadIdx.x; i < C * S; i += TILE_Q":
                "int i = 0; threadIdx.x == 0 && i < C * S; ++i",
            },
            because="global load requests: ",
        ),
        Wrong(
            "staged by every thread",
            replace={"int i = threadIdx.x; i < C * S; i += TILE_Q": "int i = 0; i < C * S; ++i"},
            because="race",
        ),
        Wrong(
            "the barrier before the sum left out",
            replace={"        __syncthreads();\n        for (int s": "        for (int s"},
            because="race",
        ),
        Wrong(
            "threads without an output leave",
            replace={"    float* filter": "    if (q >= Q) return;\n    float* filter"},
            because="barrier-divergence",
        ),
    ],
)  # fmt: skip
