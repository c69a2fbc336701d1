"""Eight channels and eight outputs a thread, in one dimension: the kernel that `make bench` times."""

import torch

from utils.check import Case
from utils.exercise.helpers import conv1d_on
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

MANY = [  # several warps, several blocks of channels, several stages of input channels
    Case("many channels", 2, 3, (300,), 20, (3,), bias=True),
    Case("many channels", 1, 2, (40,), 75, (2,), stride=2, bias=True),
    Case("many channels", 1, 26, (400,), 9, (3,), stride=5, bias=True),
]


def per_product(cell, stride):
    """Requests and wavefronts of shared loads for a product of a warp: 64 channels, 2 blocks along q."""
    C, K, S, Q = 3, 64, 2, 512
    x, w = torch.ones(1, C, (Q - 1) * stride + S), torch.ones(K, C, S)
    launches = profile(cell.conv1d, x, w, stride=stride)
    assert len(launches) == 1, f"one kernel launch is enough, this made {len(launches)}"
    products = K * C * S * Q // 32
    return launches[0].shared_load.requests / products, launches[0].shared_load.wavefronts / products


def requests(cell):
    seen, _ = per_product(cell, 1)
    assert seen <= 0.2, (
        f"{seen:.3f} requests of shared loads for a product of a warp, where 10 for 64 products, 0.156, are"
        " enough and 0.2 is allowed: two float4 reads of weights and eight of inputs."
    )


def wavefronts(cell):
    for stride in (1, 2):
        _, seen = per_product(cell, stride)
        assert seen <= 0.25, (
            f"stride {stride}: {seen:.3f} wavefronts of shared loads for a product of a warp, where 12 for 64"
            " products, 0.188, are enough and 0.25 is allowed. Do lanes meet in a bank?"
        )


exercise = Exercise(
    title="conv1d, eight channels x eight outputs a thread",
    goal="a thread reads 8 weights and 8 inputs for 64 products, and stores what exists of its 64 outputs",
    hints=[
        "The eight weights of this warp and tap lie side by side from f on: two float4, as for conv2d.",
        "A thread's outputs are q = block_q + j * 32 + lane: 32 apart, so that a warp's lanes are neighbours."
        " Output j of the thread reads element (j * 32 + lane) * stride + s * dilation of the tile.",
        "With place(), elements 32 * stride apart in the input are always place(32 * stride, shift) words"
        " apart in the tile. So one address is enough, and output j is j of these steps behind it.",
        "Both loops over i and j are unrolled, and sum[i][j] gets weight i times input j. In the store,"
        " channel block_k + warp * CHANNELS + i may be beyond K, output block_q + j * 32 + lane beyond Q.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride", conv1d_on("stride")),
        ("padding, dilation", conv1d_on("padding", "dilation")),
        ("bias, many channels", conv1d_on("bias", "many channels", more=MANY)),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("requests a product", requests),
        ("wavefronts a product", wavefronts),
    ],
    starter_fails="one output, few channels: conv1d is wrong in",
    wrong=[
        Wrong(
            "channels beyond K are stored",
            replace={"        if (k >= K) break;\n": ""},
            because="out-of-bounds",
        ),
        Wrong(
            "outputs beyond Q are stored", replace={"if (q < Q) output": "output"}, because="out-of-bounds"
        ),
        Wrong(
            "every product replaces the sum", replace={"sum[i][j] += w": "sum[i][j] = w"}, because="wrong in"
        ),
        Wrong("channels and outputs swapped", replace={"sum[i][j] + b": "sum[j][i] + b"}, because="wrong in"),
        Wrong(
            "neighbouring inputs, but outputs 32 apart",
            replace={"first[j * step]": "first[j * stride]"},
            because="batch and channels: conv1d is wrong in",
        ),
        Wrong(
            "the pads between two outputs forgotten",
            replace={"step = place(32 * stride, shift)": "step = 32 * stride"},
            because="stride: ",
        ),
        Wrong(
            "the pads of the tile forgotten",
            replace={"place(lane * stride + s * dilation, shift)": "lane * stride + s * dilation"},
            because="stride: ",
        ),
        Wrong(
            "dilation forgotten", replace={"+ s * dilation": "+ s"}, because="dilation: conv1d is wrong in"
        ),
        Wrong(
            "all warps store the same channels",
            replace={"k = block_k + warp * CHANNELS + i": "k = block_k + i"},
            because="batch and channels: ",
        ),
        Wrong(
            "all warps use the weights of the first",
            replace={"f = filters + warp * CHANNELS": "f = filters"},
            because="batch and channels: conv1d is wrong in",
        ),
        Wrong(
            "the bias forgotten",
            replace={"sum[i][j] + b": "sum[i][j]"},
            because="bias, many channels: conv1d",
        ),
        Wrong(
            "the bias of the channel within the warp",
            replace={"b = bias ? bias[k]": "b = bias ? bias[i]"},
            because="bias, many channels: conv1d is wrong in",
        ),
        Wrong(
            "no barrier before the next stage",
            replace={"            }\n        __syncthreads();\n    }\n": "            }\n    }\n"},
            because="race",
        ),
        Wrong(
            "no barrier between staging and reading",
            replace={"            }\n        __syncthreads();\n\n": "            }\n\n"},
            because="race",
        ),
        Wrong(
            "weights read one by one",
            replace={
                """                const float4 low = reinterpret_cast<const float4*>(f)[0];
                const float4 high = reinterpret_cast<const float4*>(f)[1];
                const float w[CHANNELS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
""": "                const float* w = f;\n",
            },
            because="requests a product: ",
        ),
        Wrong(
            "conflicts left in",
            replace={
                "any_stride, shift = stride % 2 == 0 ? 5 : 31": "any_stride, shift = 31",
            },
            because="wavefronts a product: stride 2: 0.312 wavefronts",
        ),
    ],
)
