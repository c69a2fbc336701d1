"""Eight output channels a thread, in one dimension: less is loaded, and less read from shared memory."""

import torch

from utils.check import Case
from utils.exercise.helpers import conv1d_on
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

MANY = [  # more than one group of 8 channels, and more than one block along q
    Case("many channels", 2, 3, (300,), 20, (3,), bias=True),
    Case("many channels", 1, 2, (290,), 16, (4,), stride=2, padding=1, bias=True),
]


def counted(cell):
    """Counts on 16 channels and 2 whole blocks along q, and how many products their warps make."""
    C, K, S, Q, stride = 2, 16, 9, 256, 7
    x, w = torch.ones(1, C, (Q - 1) * stride + S), torch.ones(K, C, S)
    launches = profile(cell.conv1d, x, w, stride=stride)
    assert len(launches) == 1, f"one kernel launch is enough, this made {len(launches)}"
    return launches[0], K * C * S * Q // 32


def global_loads(cell):
    launch, _ = counted(cell)
    before, most = 1920, 320  # the starter's, and a sixth of it
    seen = launch.global_load.requests
    assert seen <= most, (
        f"{seen:,} global load requests; one channel a thread made {before:,}, and 8 channels should need at"
        f" most a sixth, {most}. Is the input's tile loaded once for 8 channels?"
    )


def shared_loads(cell):
    launch, products = counted(cell)
    seen = launch.shared_load.wavefronts / products
    assert seen <= 0.75, (
        f"{seen:.3f} wavefronts of shared loads for a product of a warp; one channel a thread needed 2, and 8"
        " channels should need at most 0.75. Two float4 reads take 4 wavefronts for a tap's 8 weights, eight"
        " single reads take 8."
    )


exercise = Exercise(
    title="conv1d, eight channels a thread",
    goal="the same result with 8 output channels a thread: a sixth of the loads, 0.75 wavefronts a product",
    run_starter=True,
    hints=[
        "The picture of 8 x 1: one number of the tile, eight weights, eight sums. Nothing else changes in the"
        " order of the loops; six lines that know one channel k now know eight, from first_k on.",
        "A block has blockIdx.y for a group of channels: it begins at blockIdx.y * CHANNELS, and there are"
        " ceil_div(K, CHANNELS) groups. The last group may reach beyond K: weights of 0, and no store.",
        "Number the CHANNELS * S weights with j: i = j / S is the channel in the group, s = j % S the tap."
        " Weight (k, c, s) comes from (k * C + c) * S + s, and goes to filters[s * PITCH_K + i].",
        "reinterpret_cast<const float4*>(filters + s * PITCH_K) is a pointer f; f[0] and f[1] are the tap's"
        " weights. Copy their .x .y .z .w into an array of 8, and add in an unrolled loop.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride, padding, dilation", conv1d_on("stride", "padding", "dilation")),
        ("bias", conv1d_on("bias", "many channels", more=MANY)),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("the input is loaded once for 8 channels", global_loads),
        ("shared memory is read less", shared_loads),
    ],
    starter_fails="the input is loaded once for 8 channels: 1,920 global load requests",
    wrong=[
        Wrong(
            "weights beyond K are read",
            replace={"k < K ? weight[(k * C + c) * S + s] : 0.0f": "weight[(k * C + c) * S + s]"},
            because="out-of-bounds",
        ),
        Wrong(
            "channels beyond K are stored",
            replace={"if (k < K) output": "output"},
            because="writes output[",
        ),
        Wrong(
            "the bias is added once an input channel",
            replace={
                "sum[i] += w[i] * value;": (
                    "sum[i] += w[i] * value + (s == 0 && bias ? bias[min(first_k + i, K - 1)] : 0.0f);"
                ),
                "sum[i] + (bias ? bias[k] : 0.0f)": "sum[i]",
            },
            because="bias: conv1d is wrong",
        ),
        Wrong(
            "the bias of the channel within the group",
            replace={"(bias ? bias[k]": "(bias ? bias[i]"},
            because="bias: conv1d is wrong in",
        ),
        Wrong(
            "weights not transposed",
            replace={"filters[s * PITCH_K + i] =": "filters[i * S + s] ="},
            because="uninitialized-read",
        ),
        Wrong(
            "channel and tap swapped",
            replace={"i = j / S, s = j % S,": "i = j % S, s = j / S,"},
            because="out-of-bounds",
        ),
        Wrong(
            "channels of the input forgotten in the weight's index",
            replace={"(k * C + c) * S + s]": "(k + c) * S + s]"},
            because="wrong in",
        ),
        Wrong("every product replaces the sum", replace={"sum[i] += w": "sum[i] = w"}, because="wrong in"),
        Wrong(
            "the block of one channel, not of a group",
            replace={"first_k = blockIdx.y * CHANNELS": "first_k = blockIdx.y"},
            because="batch and channels: ",
        ),
        Wrong(
            "outputs beyond Q are stored", replace={"    if (q >= Q) return;\n": ""}, because="out-of-bounds"
        ),
        Wrong(
            "the last group is forgotten",
            replace={"ceil_div(size.K, CHANNELS)": "std::max(size.K / CHANNELS, 1)"},
            because="batch and channels: conv1d is wrong in",
        ),
        Wrong(
            "no barrier between staging and reading",
            replace={"        __syncthreads();\n\n": "\n"},
            because="race",
        ),
        Wrong(
            "weights read one by one",
            replace={
                """            const float4* f = reinterpret_cast<const float4*>(filters + s * PITCH_K);
            const float4 low = f[0], high = f[1];
            const float w[CHANNELS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
""": "            const float* w = filters + s * PITCH_K;\n",
            },
            because="shared memory is read less: 1.125 wavefronts",
        ),
        Wrong(
            "four channels a thread",
            replace={
                "CHANNELS = 8;": "CHANNELS = 4;",
                "low = f[0], high = f[1];": "low = f[0];",
                ", low.w, high.x, high.y, high.z, high.w}": ", low.w}",
            },
            because="the input is loaded once for 8 channels: ",
        ),
    ],
)
