"""Bias and ReLU while the sums of a WMMA kernel are stored: no second kernel, no second pass over memory."""

import torch

from utils.exercise.helpers import call, device_of, same
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def layer(N, C, K, H, W, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, w = torch.randn(N, C, H, W, generator=generator), torch.randn(K, C, 1, 1, generator=generator)
    return x, w, torch.randn(K, generator=generator) * 3


def exact(x, w, bias):
    return torch.relu(torch.nn.functional.conv2d(x.double(), w.double(), bias.double()))


def right(*sizes):
    """A check: the output on layers of these sizes, within what rounding the inputs to TF32 allows."""

    def check(cell):
        for size in sizes:
            x, w, bias = layer(*size)
            what = "pointwise of {}x{} -> {} channels, {}x{}".format(*size)
            magnitude = torch.nn.functional.conv2d(x.abs().double(), w.abs().double()).max()
            same(call(cell.pointwise, x, w, bias), exact(x, w, bias), what, float(magnitude + 3) * 2.0**-9)

    return check


def order(cell):
    """Sums of 1 and -1 with biases of both signs: max(1 - 3, 0) is 0, max(1, 0) - 3 is not."""
    x, w = torch.ones(1, 16, 8, 8), torch.full((64, 16, 1, 1), 1 / 16)
    w[32:] *= -1
    bias = torch.tensor([-3.0, 2.0, -0.5, 4.0, 0.5, -2.0, 3.0, 0.0]).repeat(8)
    seen = call(cell.pointwise, x, w, bias)[0, :, 0, 0].tolist()
    sums = [1.0] * 32 + [-1.0] * 32
    for k, (value, total, b) in enumerate(zip(seen, sums, bias.tolist(), strict=True)):
        expected = max(total + b, 0.0)
        assert value == expected, (
            f"channel {k}: a sum of {total:g} and a bias of {b:g} gave {value:g}, expected"
            f" max({total:g} + {b:g}, 0) = {expected:g}"
        )


def counts(cell):
    """One launch; every output written once, in requests of 32 lanes that touch 2 channels."""
    x, w, bias = (t.to(device_of(cell.pointwise)) for t in layer(1, 16, 64, 8, 32))
    launches = profile(cell.pointwise, x, w, bias)
    assert len(launches) == 1, f"one kernel launch is enough, this made {len(launches)}"
    stores, outputs = launches[0].global_store, 64 * 8 * 32
    assert stores.bytes_requested == 4 * outputs, (
        f"{stores.bytes_requested:,} bytes are stored for {outputs:,} outputs: each is 4 bytes, stored once"
    )
    assert stores.sectors <= outputs // 8, (
        f"{stores.sectors:,} sectors are stored, where {outputs // 8:,} hold the output: let 16 neighbouring"
        " lanes store 16 neighbouring pixels of a channel"
    )


exercise = Exercise(
    title="Bias and ReLU in the epilogue",
    goal="store max(sum + bias, 0) of what exists, each output once, in the kernel that has the sums",
    hints=[
        "Which lane holds which sum is wmma's business. store_matrix_sync writes the 16 x 16 piece to the"
        " warp's own corner of shared memory, where everybody knows what is what.",
        "32 lanes, 256 sums: 8 for each lane. A lane can take pixel lane % 16 of rows lane / 16,"
        " lane / 16 + 2, and so on: then a request stores 16 neighbours of two channels.",
        "Row `row` of this warp's piece is channel block_k + warp * 16 + row, and column lane % 16 of piece l"
        " is pixel first_pixel + l * 16 + lane % 16. Either may be beyond the end.",
        "Lanes read what other lanes have written: __syncwarp() before they read, and once more before the"
        " next piece overwrites this one. The bias is added first, then fmaxf(..., 0.0f).",
    ],
    checks=[
        ("first the bias, then the ReLU", order),
        ("whole blocks", right((1, 16, 64, 8, 8))),
        ("pixels and channels beyond the end", right((1, 5, 3, 1, 1), (1, 8, 70, 5, 13), (1, 3, 9, 2, 33))),
        ("several images and steps", right((3, 40, 70, 5, 7), (2, 33, 130, 9, 10))),
        ("each output is stored once, in whole sectors", counts),
    ],
    starter_fails="first the bias, then the ReLU: channel 0",
    wrong=[
        Wrong(
            "ReLU before the bias",
            replace={
                "fmaxf(piece[row][lane % 16] + bias[k], 0.0f)": "fmaxf(piece[row][lane % 16], 0.0f) + bias[k]"
            },
            because="a sum of 1 and a bias of -3 gave -2",
        ),
        Wrong(
            "the bias of the row in the piece",
            replace={"bias[k], 0.0f)": "bias[row], 0.0f)"},
            because="whole blocks: pointwise",
        ),
        Wrong(
            "the bias of the pixel",
            replace={"bias[k], 0.0f)": "bias[lane % 16], 0.0f)"},
            because="first the bias, then the ReLU: channel 1:",
        ),
        Wrong("the bias forgotten", replace={" + bias[k], 0.0f)": ", 0.0f)"}, because="a bias of -3 gave 1"),
        Wrong(
            "the ReLU forgotten",
            replace={"fmaxf(piece[row][lane % 16] + bias[k], 0.0f)": "piece[row][lane % 16] + bias[k]"},
            because="a bias of -3 gave -2",
        ),
        Wrong(
            "ReLU in every step",
            replace={
                "wmma::mma_sync(sum[l], w, x, sum[l]);": "wmma::mma_sync(sum[l], w, x, sum[l]);\n"
                "                for (auto& value : sum[l].x) value = fmaxf(value, 0.0f);"
            },
            because="a sum of -1 and a bias of 2 gave 2",
        ),
        Wrong(
            "channels beyond K are stored",
            replace={"if (k < K && pixel < pixels)\n": "if (pixel < pixels)\n"},
            because="pixels and channels beyond the end: pointwise_relu, line 63: out-of-bounds",
        ),
        Wrong(
            "pixels beyond the end are stored",
            replace={"if (k < K && pixel < pixels)\n": "if (k < K)\n"},
            because="writes output[3], 1 past the last",
        ),
        Wrong(
            "read before all have written",
            replace={"mem_row_major);\n        __syncwarp();\n": "mem_row_major);\n"},
            because="race",
        ),
        Wrong(
            "stored by columns",
            replace={"wmma::mem_row_major": "wmma::mem_col_major"},
            because="whole blocks: pointwise",
        ),
        Wrong(
            "all warps use the channels of the first",
            replace={"const int k = block_k + warp * 16 + row;": "const int k = block_k + row;"},
            because="race",
        ),
        Wrong(
            "neighbouring lanes store channels, not pixels",
            replace={
                "        const int pixel = first_pixel + l * 16 + lane % 16;\n": "",
                "int k = block_k + warp * 16 + row;": "int k = block_k + warp * 16 + lane % 16;\n"
                "            const int pixel = first_pixel + l * 16 + row;",
                "piece[row][lane % 16] +": "piece[lane % 16][row] +",
            },
            because="sectors are stored",
        ),
    ],
)
