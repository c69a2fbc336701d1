"""conv1d as a product of two matrices, of which the second is never stored."""

import torch

from utils.exercise.helpers import conv1d_on, many_blocks
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def per_product(cell):
    """The counts of shared loads and of global loads, for a product of a warp: whole blocks and steps."""
    N, C, K, S, Q = 2, 16, 128, 3, 256
    x, w = torch.ones(N, C, Q + S - 1), torch.ones(K, C, S)
    launch = profile(cell.conv1d, x, w)[-1]
    products = N * Q * K * C * S // 32
    shared = launch.shared_load
    return shared.requests / products, shared.wavefronts / products, launch.global_load.requests / products


def requests(cell):
    seen, _, _ = per_product(cell)
    assert seen <= 0.07, (
        f"{seen:.4f} requests of shared loads for a product of a warp, where 4 for 64 products, 0.0625, are"
        " enough: two float4 of weights and two of inputs for each tap."
    )


def wavefronts(cell):
    _, seen, _ = per_product(cell)
    assert seen <= 0.14, (
        f"{seen:.4f} wavefronts of shared loads for a product of a warp, where 8 for 64 products, 0.125, are"
        " enough: every float4 takes two. Does each lane read at its own row and column?"
    )


def loads(cell):
    _, _, seen = per_product(cell)
    assert seen <= 0.04, (
        f"{seen:.4f} requests of global loads for a product of a warp, where 0.04 are allowed: a block"
        " loads each place of its tile once."
    )


exercise = Exercise(
    title="conv1d as a product of matrices",
    goal="the table of taps, the input's tile without a division, and 64 products from four float4",
    hints=[
        "As in conv2d_gemm, with one dimension less: a tap is c and s, of which s counts first; a column is n"
        " and q, of which q counts first. A tap that does not exist has the place BEYOND.",
        "The window of output q begins at q * stride - padding in L, which may be negative. Image n begins"
        " n * C * L numbers into the input. Columns beyond the last one have no image: take the last again.",
        "In the loop nothing is left to decode: read the tap's entry, add its y to the window's first place,"
        " and ask with one unsigned comparison whether it is inside. If so, the number is tap.x behind"
        " the corner. It goes to the tap's row of inputs, as a float, at `place`. Let the loop begin at 0 and"
        " add `part` inside: then the compiler knows its length.",
        "filters[i] has 32 float4: this thread's are number row, of channels 0 to 63, and 16 + row, of 64 to"
        " 127. inputs[i] alike, with column. Put each pair into an array of 8, then two unrolled loops.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride", conv1d_on("stride")),
        ("padding, dilation", conv1d_on("padding", "dilation")),
        ("bias, many channels", conv1d_on("bias", "many channels", more=many_blocks())),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("requests a product", requests),
        ("wavefronts a product", wavefronts),
        ("each place of the tile is loaded once", loads),
    ],
    starter_fails="one output, few channels: ",
    wrong=[
        Wrong(
            "channels counted first",
            replace={"c = tap / S, l = tap % S * dilation": "c = tap % C, l = tap / C * dilation"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "dilation forgotten",
            replace={"l = tap % S * dilation": "l = tap % S"},
            because="padding, dilation: conv1d is wrong in",
        ),
        Wrong(
            "the filter's taps for the input's channel",
            replace={"int2{c * L + l, l}": "int2{c * S + l, l}"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "taps that do not exist are fetched",
            replace={"exists ? int2{c * L + l, l} : int2{0, BEYOND}": "int2{c * L + l, l}"},
            because="out-of-bounds",
        ),
        Wrong(
            "stride forgotten",
            replace={"mine % Q * stride - padding": "mine % Q - padding"},
            because="stride: ",
        ),
        Wrong(
            "padding forgotten",
            replace={"mine % Q * stride - padding": "mine % Q * stride"},
            because="padding, dilation: conv1d is wrong in",
        ),
        Wrong(
            "columns decoded with the input's length",
            replace={"mine % Q * stride": "mine % L * stride"},
            because="one output, few channels: ",
        ),
        Wrong(
            "every image is the first",
            replace={"input + mine / Q * C * L + l0": "input + l0"},
            because="only the first image is right",
        ),
        Wrong(
            "columns beyond the last one",
            replace={"min(first_column + fetched, columns - 1)": "first_column + fetched"},
            because="out-of-bounds",
        ),
        Wrong(
            "the left end alone is padding",
            replace={"unsigned(l0 + tap.y) < unsigned(L)": "l0 + tap.y >= 0"},
            because="out-of-bounds",
        ),
        Wrong(
            "the right end alone is padding",
            replace={"unsigned(l0 + tap.y) < unsigned(L)": "l0 + tap.y < L"},
            because="padding, dilation: ",
        ),
        Wrong(
            "every product replaces the sum", replace={"sum[j][l] += w": "sum[j][l] = w"}, because="wrong in"
        ),
        Wrong(
            "channels and outputs swapped", replace={"+= w[j] * x[l]": "+= w[l] * x[j]"}, because="wrong in"
        ),
        Wrong(
            "the first four channels twice",
            replace={"w1 = filters[i][16 + row]": "w1 = filters[i][row]"},
            because="bias, many channels: conv1d is wrong in",
        ),
        Wrong(
            "the second four beside the first, but 64 columns apart",
            replace={
                "x0 = inputs[i][column], x1 = inputs[i][16 + column]": (
                    "x0 = inputs[i][2 * column], x1 = inputs[i][2 * column + 1]"
                )
            },
            because="conv1d is wrong in",
        ),
        Wrong(
            "inputs read one by one",
            replace={
                "            const float4 x0 = inputs[i][column], x1 = inputs[i][16 + column];\n": (
                    "            const float* row_of_inputs = reinterpret_cast<const float*>(inputs[i]);\n"
                ),
                "const float x[8] = {x0.x, x0.y, x0.z, x0.w, x1.x, x1.y, x1.z, x1.w};": (
                    "float x[8];\n            for (int l = 0; l < 8; ++l)"
                    " x[l] = row_of_inputs[l / 4 * 64 + 4 * column + l % 4];"
                ),
            },
            because="requests a product: ",
        ),
        Wrong(
            "no barrier before the next step",
            replace={"        __syncthreads();\n    }\n": "    }\n"},
            because="race",
        ),
    ],
)
