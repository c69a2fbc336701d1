"""Winograd's F(2, 3) in one kernel: a thread per pair of outputs, four products an input channel."""

import torch

from kernels import Rounding
from utils.check import Case
from utils.exercise.helpers import call, conv1d_on
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

# Three taps and stride 1 alone. With one channel this rounds up to 6 times where a direct sum rounds 3 times,
# and numbers up to 8 / 3 as large where all inputs are equal: 5.3. The same count with the absolute values of
# these cases' random numbers gives at most 11.9 times the direct sum's bound.
F23 = {"taps": (3,), "stride": False, "dilation": False, "rounding": Rounding(growth=12.0)}

MANY = [  # more than DEPTH channels, more than one block along q, an odd number of outputs
    Case("many channels", 2, 70, (301,), 3, (3,), padding=1, bias=True),
    Case("many channels", 1, 130, (9,), 5, (3,), padding=2, bias=True),
]


def four_products(cell):
    """The same two outputs, but one number of the tile is so large that 1 disappears beside it."""
    x = torch.tensor([[[1.0, 0.0, 2.0**27, 0.0], [0.0, 2.0**27, 0.0, 1.0]]])
    for channel, first in ((0, True), (1, False)):
        w = torch.zeros(1, 2, 3)
        w[0, channel, 0 if first else 2] = 1
        y = call(cell.conv1d, x, w)[0, 0, 0 if first else 1].item()
        what = (
            "y0 = d0 g0 with d0 = g0 = 1 and d2 = 2^27"
            if first
            else "y1 = d3 g2 with d3 = g2 = 1 and d1 = 2^27"
        )
        assert y != 1, (
            f"{what} came out as {y:g}, without a rounding error. F(2, 3) adds the large number before it"
            " multiplies, and 1 is lost beside it: its result is 0. So this output was made of products of"
            " its own: six for the pair, not four"
        )


def counted(cell):
    """The loads of a launch of whole blocks: 40 channels, 512 outputs, 2 filters."""
    C, K, Q = 40, 2, 512
    launches = profile(cell.conv1d, torch.ones(1, C, Q + 2), torch.ones(K, C, 3))
    assert len(launches) == 1, f"one kernel launch is enough, this made {len(launches)}"
    return launches[0], Q // 2 // 32 * K * C  # and how often a warp meets a channel


def loads(cell):
    launch, meetings = counted(cell)
    most = 4.25 * meetings
    seen = launch.global_load.requests
    assert seen <= most, (
        f"{seen / meetings:.2f} global load requests for a warp and an input channel; four inputs of a pair"
        " take 4, and the filters of a block 0.15 more. Is every filter loaded and transformed once a block?"
    )
    shared = launch.shared_load.requests
    assert shared <= meetings, (
        f"{shared / meetings:.2f} shared load requests for a warp and an input channel; a transformed filter"
        " is one float4: 1 is enough"
    )


exercise = Exercise(
    title="conv1d by Winograd's F(2, 3)",
    goal="a thread computes two neighbouring outputs from four products an input channel, in place of six",
    run_starter=True,
    hints=[
        "Nothing changes in what is loaded, nor in the loops. Three places know six products now: what is"
        " stored for a filter, what is added for a channel, and what is made of the sums at the end.",
        "The recipe has two factors for each of m0 to m3. Those of g belong into `filters`, computed once a"
        " block; those of d are computed by each thread. m has four elements, all of them used.",
        "The factors of m1 and m2 are half of g0 + g1 + g2 and half of g0 - g1 + g2; those of the input are"
        " d[1] + d[2] and d[2] - d[1].",
        "Sum over the channels first: m[i] gets += in the loop. Behind it pair[0] takes m[0], m[1] and m[2];"
        " pair[1] takes m[1], minus m[2], and m[3]. The bias is added once to each.",
    ],
    checks=[
        ("one pair, few channels", conv1d_on("one output", "plain", **F23)),
        ("batch and channels", conv1d_on("batch and channels", **F23)),
        ("lengths around the size of a block", conv1d_on("block edges", **F23)),
        ("padding", conv1d_on("padding", **F23)),
        ("bias, many channels", conv1d_on("bias", "many channels", more=MANY, **F23)),
        ("no images, refusals", conv1d_on("plain", empty_batch=True, refusals=True, **F23)),
        ("four products a pair", four_products),
        ("no more loads", loads),
    ],
    starter_fails="four products a pair: y0 = d0 g0 with d0 = g0 = 1 and d2 = 2^27 came out as 1",
    wrong=[
        Wrong(
            "halves forgotten",
            replace={"(outer + g[1]) / 2, (outer - g[1]) / 2": "outer + g[1], outer - g[1]"},
            because="one pair, few channels: conv1d is wrong in",
        ),
        Wrong(
            "d1 - d2",
            replace={"(d[2] - d[1]) * u.z": "(d[1] - d[2]) * u.z"},
            because="one pair, few channels: conv1d is wrong in",
        ),
        Wrong(
            "the last product subtracted",
            replace={"m[1] - m[2] + m[3]": "m[1] - m[2] - m[3]"},
            because="one pair, few channels: conv1d is wrong in",
        ),
        Wrong(
            "every channel replaces the sum",
            replace={"m[3] += ": "m[3] = "},
            because="conv1d is wrong in",
        ),
        Wrong(
            "outputs beyond Q are stored",
            replace={"if (q + 1 < Q) pair[1]": "pair[1]"},
            because="out-of-bounds",
        ),
        Wrong(
            "a pair that is cut in two is not stored",
            replace={"    pair[0] = m[0]": "    if (q + 1 < Q) pair[0] = m[0]"},
            because="one pair, few channels: conv1d is wrong in",
        ),
        Wrong(
            "the bias on one output alone",
            replace={"m[1] - m[2] + m[3] + b": "m[1] - m[2] + m[3]"},
            because="bias, many channels: conv1d is wrong in",
        ),
        Wrong(
            "the bias in a product that both share",
            replace={
                "m[0] + m[1] + m[2] + b": "m[0] + m[1] + m[2]",
                "m[1] - m[2] + m[3] + b": "m[1] - m[2] + m[3]",
                "    if (q >= Q) return;\n    const float b = bias ? bias[k] : 0.0f;": (
                    "    if (q >= Q) return;\n    m[2] += bias ? bias[k] : 0.0f;"
                ),
            },
            because="bias, many channels: conv1d is wrong in",
        ),
        Wrong(
            "four products for the first output alone",
            replace={
                "m[3] += (d[3] - d[1]) * u.w;": "m[3] += d[1] * u.x + d[2] * (u.y - u.z) + d[3] * u.w;",
                "m[1] - m[2] + m[3] + b": "m[3] + b",
            },
            because="four products a pair: y1 = d3 g2",
        ),
        Wrong(
            "every thread transforms every filter",
            replace={
                "const float4 u = filters[c];": (
                    "const float* f = weight + (k * C + first_c + c) * 3;\n"
                    "            const float4 u = make_float4(f[0], (f[0] + f[2] + f[1]) / 2,"
                    " (f[0] + f[2] - f[1]) / 2, f[2]);"
                )
            },
            because="no more loads: ",
        ),
    ],
)
