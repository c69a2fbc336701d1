"""conv1d by WMMA: the pieces' layouts, the rounding, the product and the store of an implicit GEMM."""

import torch

from utils.check import Case
from utils.exercise.helpers import call, conv1d_on
from utils.exercise.spec import Exercise, Wrong

TF32 = {"precision": "tf32"}
MANY = [  # several blocks of channels and of outputs, which begin within an image; several steps of taps
    Case("many channels", 3, 3, (70,), 70, (3,), bias=True),
    Case("many channels", 2, 11, (75,), 9, (4,), stride=2, padding=3, bias=True),
    Case("many channels", 5, 20, (40,), 100, (5,), stride=3, padding=2, dilation=2, bias=True),
]


def rounded(cell):
    """Numbers a quarter of a step from the nearest TF32 number, as input and as weight: above 1, below 2."""
    step = 2.0**-10
    C = 24
    for name in ("an input", "a weight"):
        for text, value, nearest, mistaken, why in (
            ("1 + 0.75", 1 + 0.75 * step, 1 + step, 1.0, "its last bits were cut off"),
            ("2 - 0.75", 2 - 0.75 * step, 2 - step, 2.0, "it was made larger, not rounded"),
        ):
            x, w = torch.ones(1, C, 16), torch.ones(16, C, 1)
            (x if name == "an input" else w).fill_(value)
            mean = float(call(cell.conv1d, x, w).mean()) / C
            assert abs(mean - mistaken) > step / 4, (
                f"{name} of {text} * 2^-10 has counted as {mean:.6f}: {why}, where {nearest:.6f} is nearest."
                " Round each element of that piece with wmma::__float_to_tf32"
            )


exercise = Exercise(
    title="conv1d by WMMA",
    goal="load pieces of weights and inputs, round them to TF32, multiply them, store the sums",
    hints=[
        "wmma::fill_fragment puts one number into all elements of a piece. A fragment has arbitrary contents"
        " until then. Where there is no input, the tile needs a 0, or what was there before is multiplied.",
        "Two neighbours along the taps are neighbours in memory, in `filters` and in `inputs`. For the"
        " weights, channels x taps, that is row_major. The inputs are multiplied as taps x outputs: each of"
        " their columns is a row of memory, col_major. From one such row to the next it is PITCH floats.",
        "The weights' piece j begins at &filters[warp_k + 16 * j][t], the inputs' piece l at"
        " &inputs[warp_column + 16 * l][t], for t = 0 and t = 8.",
        "A fragment's own elements are in its member x, an array: for (auto& value : piece.x) goes through"
        " them, and wmma::__float_to_tf32(value) is the rounded one. Then mma_sync(sum[j][l], weights,"
        " inputs, sum[j][l]). To store: wmma::mem_row_major, with PITCH_SUMS floats from row to row.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain", **TF32)),
        ("rounded to nearest", rounded),
        ("batch and channels", conv1d_on("batch and channels", **TF32)),
        ("lengths around the size of a block", conv1d_on("block edges", **TF32)),
        ("stride", conv1d_on("stride", **TF32)),
        ("padding, dilation", conv1d_on("padding", "dilation", **TF32)),
        ("bias, many channels", conv1d_on("bias", "many channels", more=MANY, **TF32)),
        (
            "everything together, no images",
            conv1d_on("everything together", empty_batch=True, refusals=True, **TF32),
        ),
    ],
    starter_fails="one output, few channels: ",
    wrong=[
        Wrong(
            "nothing is rounded",
            replace={
                "                for (auto& value : x[l].x) value = wmma::__float_to_tf32(value);\n": "",
                "                for (auto& value : w.x) value = wmma::__float_to_tf32(value);\n": "",
            },
            because="an input of 1 + 0.75",
        ),
        Wrong(
            "scaled by 1 + 2^-11, not rounded",
            replace={"x[l].x) value = wmma::__float_to_tf32(value);": "x[l].x) value *= 1.0f + 1.0f / 2048;"},
            because="an input of 2 - 0.75",
        ),
        Wrong(
            "the weights are not rounded",
            replace={"                for (auto& value : w.x) value = wmma::__float_to_tf32(value);\n": ""},
            because="a weight of 1 + 0.75",
        ),
        Wrong(
            "the inputs are not rounded",
            replace={
                "                for (auto& value : x[l].x) value = wmma::__float_to_tf32(value);\n": ""
            },
            because="an input of 1 + 0.75",
        ),
        Wrong(
            "the inputs by rows",
            replace={"wmma::col_major>": "wmma::row_major>"},
            because="uninitialized-read: thread (0, 0, 0) of block (0, 0, 0) reads element 16 of inputs",
        ),
        Wrong(
            "the weights by columns",
            replace={"wmma::precision::tf32, wmma::row_major>": "wmma::precision::tf32, wmma::col_major>"},
            because="reads element 16 of filters",
        ),
        Wrong(
            "no pads counted",
            replace={"(w, &filters[warp_k + 16 * j][t], PITCH)": "(w, &filters[warp_k + 16 * j][t], TAPS)"},
            because="of filters in shared memory",
        ),
        Wrong(
            "accumulators not zeroed",
            replace={"wmma::fill_fragment(piece, 0.0f);": "(void)piece;"},
            because="one output, few channels: conv1d is wrong in",
        ),
        Wrong(
            "zeroed in every step",
            replace={
                "        __syncthreads();\n\n": "        __syncthreads();\n        for (auto& row : sum)\n"
                "            for (auto& piece : row) wmma::fill_fragment(piece, 0.0f);\n"
            },
            because="batch and channels: conv1d is wrong in",
        ),
        Wrong(
            "the end of L not filled with zeros",
            replace={"tap < taps && l >= 0 && l < L": "tap < taps && l >= 0"},
            because="padding, dilation: conv1d_wmma, line 42: out-of-bounds",
        ),
        Wrong(
            "padding not skipped",
            replace={"tap < taps && l >= 0 && l < L": "tap < taps && l < L"},
            because="reads input[-1]",
        ),
        Wrong(
            "padding skipped, not filled with zeros",
            replace={
                "inputs[row][i] = inside ? input[(n * C + c) * L + l] : 0.0f;": "if (inside)"
                " inputs[row][i] = input[(n * C + c) * L + l];"
            },
            because="uninitialized-read",
        ),
        Wrong(
            "all warps multiply the same outputs",
            replace={"&inputs[warp_column + 16 * l][t]": "&inputs[16 * l][t]"},
            because="batch and channels: conv1d is wrong in",
        ),
        Wrong(
            "half of the taps",
            replace={"t < TAPS; t += 8": "t < 8; t += 8"},
            because="one output, few channels: conv1d is wrong in",
        ),
        Wrong(
            "stored by columns",
            replace={"wmma::mem_row_major": "wmma::mem_col_major"},
            because="conv1d is wrong in 4 of 5",
        ),
    ],
)
