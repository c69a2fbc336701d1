"""A strided tile without bank conflicts: the lesson's pad leaves some, and the learner finds out why."""

import torch

from utils.check import Case
from utils.exercise.helpers import conv1d_on
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

OUTPUTS, CHANNELS = 256, 2
# Full blocks and more at every kind of stride: the usual cases are too short to leave the tile's first row.
LONG = [
    Case("stride", 2, 3, (150 * stride + 20,), 2, (7,), stride=stride, padding=2, bias=True)
    for stride in (2, 3, 4, 6, 8, 32, 64)
]


def layer(stride, taps, dilation=1):
    """Input and weight for two full blocks of outputs, and the length that one block needs."""
    length = (OUTPUTS - 1) * stride + dilation * (taps - 1) + 1
    window = (OUTPUTS // 2 - 1) * stride + dilation * (taps - 1) + 1
    return torch.zeros(1, CHANNELS, length), torch.zeros(1, CHANNELS, taps), window


def no_conflicts(taps, strides, dilation=1):
    def check(cell):
        for stride in strides:
            x, weight, _ = layer(stride, taps, dilation)
            (launch,) = profile(cell.conv1d, x, weight, stride=stride, dilation=dilation)
            products = CHANNELS * taps * OUTPUTS // 32  # of warps
            loads, stores = launch.shared_load, launch.shared_store
            where = f"stride {stride}, {taps} tap{'s' * (taps > 1)}" + (
                f", dilation {dilation}" if dilation > 1 else ""
            )
            assert loads.requests >= products and stores.requests > 0, (
                f"{where}: {loads.requests} loads from shared memory for {products} products of a warp:"
                " the products should read the tile"
            )
            for what, counts in (("stores to", stores), ("loads from", loads)):
                assert counts.bank_conflicts == 0, (
                    f"{where}: {counts.requests} {what} the tile take {counts.wavefronts} wavefronts,"
                    f" {counts.bank_conflicts} of them because lanes meet in a bank; there should be 0"
                )

    return check


def not_much_more_memory(cell):
    """A tile with a row of 32 for each element has no conflicts either."""
    for stride in (1, 2, 4, 8):
        x, weight, window = layer(stride, 9)
        (launch,) = profile(cell.conv1d, x, weight, stride=stride)
        most = 4 * (window + window // 8 + 64)
        assert launch.shared_bytes <= most, (
            f"stride {stride}: {launch.shared_bytes:,} bytes of shared memory for a tile of {4 * window:,};"
            f" at most {most:,} here, so that blocks find room"
        )


XOR = "return x ^ (x >> 5 & (ways - 1));            // row x / 32 moves by its number modulo ways"
ROOM = "return (tile_l + 31) / 32 * 32;"

exercise = Exercise(
    title="A tile without conflicts",
    goal="no bank conflicts at strides 1 to 8, with any number of taps; the rest of the kernel stays",
    run_starter=True,
    hints=[
        "Take place(x) = x + x / 32 first, with room for the unused words. One check more passes; then look"
        " at which lanes still meet, as in the lesson: the first and the last of the warp.",
        "At stride 4, lanes that meet are 8 apart, a row of 32 words. Four rows must be moved by four"
        " different amounts. A fifth row takes part where the tap begins beyond the first lane's place; it"
        " shares no column with the first. So what may the fifth row be moved by?",
        "Move row x / 32 by (x / 32) % ways, where ways is how many lanes meet without any remedy. For an odd"
        " stride that is 1, and nothing moves. It is the largest power of two that divides the stride, 32 at"
        " most: stride & -stride.",
        "Moving must stay within the row of 32, or rows overlap: the exclusive or of x with that amount does"
        " (and so does adding it modulo 32). The last row must be there as a whole: round words up to 32s.",
    ],
    checks=[
        (
            "right with stride 1",
            conv1d_on("plain", "block edges", "batch and channels", "padding", "dilation"),
        ),
        (
            "right with other strides",
            conv1d_on("stride", "everything together", "bias", "one output", more=LONG),
        ),
        ("no conflicts with one tap", no_conflicts(1, (1, 2, 3, 4, 5, 7, 8))),
        ("no conflicts with nine taps", no_conflicts(9, range(1, 9))),
        ("no conflicts with five dilated taps", no_conflicts(5, (1, 2, 4, 6, 8), dilation=3)),
        ("not much more memory", not_much_more_memory),
        ("no images, refusals", conv1d_on("plain", empty_batch=True, refusals=True)),
    ],
    starter_fails="no conflicts with one tap: stride 2, 1 tap: 16 loads from the tile take 32 wavefronts",
    wrong=[
        Wrong(
            "a pad every 32 words, as in the lesson",
            replace={XOR: "return x + (ways > 1 ? x / 32 : 0);", ROOM: "return tile_l + tile_l / 32;"},
            because="no conflicts with nine taps: stride 2",
        ),
        Wrong(
            "all five bits exchanged, as in the lesson",
            replace={"x >> 5 & (ways - 1)": "x >> 5 & 31"},
            because="no conflicts with one tap: stride 3",
        ),
        Wrong(
            "all five bits exchanged for even strides",
            replace={"x >> 5 & (ways - 1)": "x >> 5 & (ways > 1 ? 31 : 0)"},
            because="wavefronts",
        ),
        Wrong(
            "moved when loading, not when storing",
            replace={"tile[place(x, stride)] = ": "tile[x] = "},
            because="conv1d is wrong in",
        ),
        Wrong(
            "moved when storing, not when loading",
            replace={"tile[place(threadIdx.x * stride + s * dilation, stride)]":
                     "tile[threadIdx.x * stride + s * dilation]"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "no room for the last row",
            replace={ROOM: "return tile_l;"},
            because="out-of-bounds",
        ),
        Wrong(
            "a pad without room for it",
            replace={XOR: "return x + x / 32;", ROOM: "return tile_l;"},
            because="out-of-bounds",
        ),
        Wrong(
            "rows moved into each other",
            replace={XOR: "return x + (x / 32 & (ways - 1));", ROOM: "return tile_l + 32;"},
            because="race",
        ),
        Wrong(
            "only stride 2 thought of",
            replace={"min(stride & -stride, 32)": "2 - stride % 2"},
            because="no conflicts with one tap: stride 4",
        ),
        Wrong(
            "every phase of the stride far from the others",
            replace={
                XOR: "return x / ways + x % ways * (1024 + 32 / ways);",
                ROOM: "return tile_l + 1100 * std::min<int64_t>(stride & -stride, 32);",
            },
            because="not much more memory",
        ),
        Wrong(
            "no tile",
            replace={"tile[place(threadIdx.x * stride + s * dilation, stride)] * ":
                     "(q * stride - padding + s * dilation >= 0 && q * stride - padding + s * dilation < L ?"
                     " input[(n * C + c) * L + q * stride - padding + s * dilation] : 0.0f) * "},
            because="the products should read the tile",
        ),
    ],
)  # fmt: skip
