"""A second buffer for conv1d_gemm: loads before the products, stores behind them, one barrier a step."""

import torch

from utils.exercise.helpers import conv1d_on, many_blocks, no_race
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile, trace


def steps_of(cell):
    """The trace of one block with 5 steps of 16 taps, and in each interval what warp 0 does, in order."""
    found = trace(cell.conv1d, torch.ones(1, 26, 130), torch.ones(8, 26, 3), warp=None)
    last = len(found.launches) - 1
    intervals = {}
    for request in found:
        if request.launch == last and request.warp == 0:
            lane = next(lane for lane in request.lanes if lane)
            tile = lane.tensor == "input" or lane.size == 16  # not the table: it may come earlier
            kind = "load" if request.kind == "global_load" and tile else request.kind
            intervals.setdefault(request.epoch, []).append(kind)
    return [barrier for barrier in found.barriers if barrier.launch == last], intervals


def barriers(cell):
    found, _ = steps_of(cell)
    assert len(found) <= 6, (
        f"a block waits at {len(found)} barriers for 5 steps; 6 are enough, one before the first step and one"
        " at the end of each"
    )


def order(cell):
    _, intervals = steps_of(cell)
    whole = [kinds for kinds in intervals.values() if {"load", "shared_load", "shared_store"} <= set(kinds)]
    assert len(whole) >= 4, (
        f"in {len(whole)} of the intervals between barriers a warp loads a tile, multiplies one and stores"
        " one; with 5 steps it should be in 4"
    )
    for kinds in whole:
        last = {kind: len(kinds) - 1 - kinds[::-1].index(kind) for kind in kinds}
        assert kinds.index("load") < kinds.index("shared_load"), (
            "the next tile's loads come behind the products of this one: nothing is under way meanwhile"
        )
        assert last["load"] < kinds.index("shared_load"), (
            "some of the next tile's loads come before the products of this one, but not all: inputs and"
            " weights belong there"
        )
        assert kinds.index("shared_store") > last["shared_load"], (
            "the next tile is stored before this one is multiplied: a store needs the number, so it waits"
        )


def two_buffers(cell):
    seen = profile(cell.conv1d, torch.ones(1, 26, 130), torch.ones(8, 26, 3))[-1].shared_bytes
    assert seen <= 24_576, (
        f"a block takes {seen:,} bytes of shared memory; two buffers of 16 x (64 + 128) numbers are 24,576"
    )


exercise = Exercise(
    title="conv1d with a second buffer",
    goal="one barrier a step: the next tile's loads before the products, its stores behind them",
    hints=[
        "Cut the loop's first half in two: `fetch` loads numbers into arrays of registers, `store` writes"
        " these into one of the two buffers. Both loops are unrolled, so that the arrays stay in registers.",
        "Before the loop: the first tile, through registers, and a barrier. In the loop multiply one buffer;"
        " the next tile goes into the other. So one barrier at the end of the step is enough. Why?",
        "The last step has no next tile: a fetch would read beyond the table, and nobody reads what a store"
        " leaves. But every thread comes to the barrier, so the condition stands before fetch and store"
        " alone.",
        "A step: if there is a next tile, fetch(first_tap + TAPS); multiply(buffer); buffer ^= 1; if there is"
        " a next tile, store(buffer); barrier.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride, padding, dilation", conv1d_on("stride", "padding", "dilation")),
        ("bias, many channels", conv1d_on("bias", "many channels", more=many_blocks())),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("no race, in the simulator", lambda cell: no_race(cell.conv1d, (3, 9, 26))),
        ("barriers of a block", barriers),
        ("loads, products, stores", order),
        ("two buffers", two_buffers),
    ],
    starter_fails="barriers of a block: a block waits at 10 barriers for 5 steps",
    wrong=[
        Wrong(
            "two names for one buffer",
            replace={
                "constexpr int BUFFERS = 2;": "constexpr int BUFFERS = 1;",
                "        buffer ^= 1;\n": "",
            },
            because="race",
        ),
        Wrong(
            "stored into the buffer that is multiplied",
            replace={
                "        buffer ^= 1;\n        if (more) store(buffer);\n": (
                    "        if (more) store(buffer);\n        buffer ^= 1;\n"
                )
            },
            because="race",
        ),
        Wrong(
            "no barrier in the loop",
            replace={"(more) store(buffer);\n        __syncthreads();\n": "(more) store(buffer);\n"},
            because="race",
        ),
        Wrong(
            "no barrier before the loop",
            replace={"    store(0);\n    __syncthreads();\n": "    store(0);\n"},
            because="race",
        ),
        Wrong(
            "a barrier of the warp",
            replace={
                "        if (more) store(buffer);\n        __syncthreads();\n": (
                    "        if (more) store(buffer);\n        __syncwarp();\n"
                )
            },
            because="race",
        ),
        Wrong(
            "two barriers a step, as before",
            replace={"        buffer ^= 1;\n": "        buffer ^= 1;\n        __syncthreads();\n"},
            because="barriers of a block: a block waits at 11 barriers for 5 steps",
        ),
        Wrong(
            "fetched behind the products",
            replace={
                "        if (more) fetch(first_tap + TAPS);\n        multiply(buffer);\n": (
                    "        multiply(buffer);\n        if (more) fetch(first_tap + TAPS);\n"
                )
            },
            because="loads, products, stores: the next tile's loads come behind the products",
        ),
        Wrong(
            "the weights fetched behind the products",
            replace={
                "            next_filters[f] = block": (
                    "            if (with_weights) next_filters[f] = block"
                ),
                "const auto fetch = [&](int first_tap) {": (
                    "const auto fetch = [&](int first_tap, bool with_weights) {"
                ),
                "    fetch(0);\n": "    fetch(0, true);\n",
                "        if (more) fetch(first_tap + TAPS);\n        multiply(buffer);\n": (
                    "        if (more) fetch(first_tap + TAPS, false);\n        multiply(buffer);\n"
                    "        if (more) fetch(first_tap + TAPS, true);\n"
                ),
            },
            because="loads, products, stores: some of the next tile's loads come before the products",
        ),
        Wrong(
            "three buffers",
            replace={
                "constexpr int BUFFERS = 2;": "constexpr int BUFFERS = 3;",
                "        buffer ^= 1;\n": "        buffer = (buffer + 1) % 3;\n",
            },
            because="two buffers: a block takes 36,864 bytes",
        ),
        Wrong(
            "stored before the products",
            replace={
                "        multiply(buffer);\n        buffer ^= 1;\n        if (more) store(buffer);\n": (
                    "        if (more) store(buffer ^ 1);\n        multiply(buffer);\n        buffer ^= 1;\n"
                )
            },
            because="loads, products, stores: the next tile is stored before this one is multiplied",
        ),
        Wrong(
            "a tile fetched beyond the last one",
            replace={"if (more) fetch(first_tap + TAPS);": "fetch(first_tap + TAPS);"},
            because="out-of-bounds",
        ),
        Wrong(
            "the same tile again",
            replace={"if (more) fetch(first_tap + TAPS);": "if (more) fetch(first_tap);"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "the weights stay those of the first tile",
            replace={
                "next_filters[f] = block_filters[first_tap * (TILE_K / 4) + f": "next_filters[f] = packed[f"
            },
            because="conv1d is wrong in",
        ),
        Wrong(
            "the padding loaded",
            replace={"next_inputs[i] = inside ? corner[tap.x] : 0.0f;": "next_inputs[i] = corner[tap.x];"},
            because="out-of-bounds",
        ),
        Wrong(
            "stored in the place of another column",
            replace={
                "i * PARTS + part])[place] = next_inputs[i]": "i * PARTS + part])[fetched] = next_inputs[i]"
            },
            because="conv1d is wrong in",
        ),
    ],
)
