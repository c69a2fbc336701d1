"""conv1d_gemm with cp.async in three stages: groups, waits, one barrier a step, zeros for the padding."""

import re

import torch

import kernels
from utils.errors import KernelError
from utils.exercise.helpers import conv1d_on, many_blocks, no_race
from utils.exercise.spec import Exercise, Wrong
from utils.inline import load_inline
from utils.simulator import trace

CHANNELS = (3, 9, 15, 26)  # one, two, three and five steps of 16 taps
WEIGHTS = """\
                copy_async<16>(&filters[stage][0][f * THREADS + thread],
                               &block_filters[first_tap * (TILE_K / 4) + f * THREADS + thread]);"""


def steps_of(cell):
    """The barriers of a block with 5 steps of 16 taps, and what warp 0 does in each interval, in order."""
    found = trace(cell.conv1d, torch.ones(1, 26, 130), torch.ones(8, 26, 3), warp=0)
    last = len(found.launches) - 1
    intervals = {}
    for request in found:
        lane = next(lane for lane in request.lanes if lane)
        if request.launch != last:
            continue
        if request.kind == "global_load" and lane.tensor == "input":
            intervals.setdefault(request.epoch, []).append("copy")
        elif request.kind == "shared_load":
            intervals.setdefault(request.epoch, []).append("multiply")
    return [barrier for barrier in found.barriers if barrier.launch == last], intervals


def barriers(cell):
    found, _ = steps_of(cell)
    assert len(found) <= 5, f"a block waits at {len(found)} barriers for 5 steps; one a step is enough"


def order(cell):
    _, intervals = steps_of(cell)
    both = [kinds for kinds in intervals.values() if {"copy", "multiply"} <= set(kinds)]
    assert len(both) == 3, (
        f"in {len(both)} of 5 steps copies are started; with 3 stages it should be in 3, as two tiles are"
        " under way before the loop"
    )
    for kinds in both:
        assert kinds.index("copy") < kinds.index("multiply"), (
            "the copies are started behind the products: start them before, so that these cover them"
        )


def past_the_registers(cell):
    """Inputs and weights come by copies, the weights by 16 bytes each; the table is loaded."""
    found = trace(cell.conv1d, torch.ones(1, 26, 130), torch.ones(8, 26, 3), warp=0)
    for request in found:
        if request.launch != len(found.launches) - 1 or request.kind != "global_load":
            continue
        lane = next(lane for lane in request.lanes if lane)
        if lane.tensor == "input" or lane.size == 16:
            assert "async" in request.source, (
                f"line {request.line} loads {'inputs' if lane.tensor == 'input' else 'weights'} and stores"
                " them: these pass through registers. copy_async copies past them"
            )
        else:
            assert lane.size == 8, (  # the table's int2
                f"line {request.line} copies weights by {lane.size} bytes: copy_async<16> takes four at once"
            )


def as_weak_as_can_be(cell):
    """The cell's kernel with each wait a group weaker must be wrong: else it waits for more than it needs."""
    _, text = cell.conv1d.source.parts[-1]
    weaker = re.sub(r"wait_for_copies<(.+?)>\(\)", r"wait_for_copies<(\1) + 1>()", text)
    assert weaker != text, "there is no wait_for_copies<...>() in the cell"
    options = {"functions": ["conv1d"], "extra_include_paths": [kernels.INCLUDE], "backend": "simulator"}
    try:
        no_race(load_inline("weaker_wait", cuda_sources=weaker, **options).conv1d, CHANNELS)
    except KernelError as error:
        if error.kind == "race":
            return
        raise
    raise AssertionError(
        "wait_for_copies waits for more than the tile that comes next: one group more may still be under way"
    )


exercise = Exercise(
    title="conv1d with cp.async",
    goal="three stages: two tiles under way while one is multiplied, one barrier a step",
    hints=[
        "fetch is conv1d_double's, with copies in the place of loads: copy_async<4> for each input, to the"
        " place in inputs[stage] where it was stored; copy_async<16> for each float4 of weights. The third"
        " argument says whether there is a number to copy; where there is none it writes zeros.",
        "One commit_copies() a call of fetch, also where first_tap is beyond the last tile and nothing was"
        " copied. Then the group of a tile is always the same number of groups ago.",
        "Before the loop: fetch for the first STAGES - 1 tiles, no wait. In a step, when you wait, STAGES - 1"
        " groups may be under way, and the oldest is the one that you need.",
        "wait_for_copies<STAGES - 2>(), __syncthreads(), fetch of the tile STAGES - 1 steps ahead into the"
        " stage that the last step multiplied, multiply. Both numbers go round, from STAGES - 1 to 0.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride, padding, dilation", conv1d_on("stride", "padding", "dilation")),
        ("bias, many channels", conv1d_on("bias", "many channels", more=many_blocks())),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("several steps, in the simulator", lambda cell: no_race(cell.conv1d, CHANNELS)),
        ("barriers of a block", barriers),
        ("copies before products", order),
        ("copies past the registers", past_the_registers),
        ("waits for one tile", as_weak_as_can_be),
    ],
    starter_fails="one output, few channels: ",
    wrong=[
        Wrong(
            "waits for one group too few",
            replace={"wait_for_copies<STAGES - 2>();": "wait_for_copies<STAGES - 1>();"},
            because="was not waited for",
        ),
        Wrong(
            "waits for all groups",
            replace={"wait_for_copies<STAGES - 2>();": "wait_for_copies<0>();"},
            because="waits for one tile: wait_for_copies waits for more than the tile",
        ),
        Wrong(
            "no wait",
            replace={"        wait_for_copies<STAGES - 2>();\n": ""},
            because="was not waited for",
        ),
        Wrong(
            "commit forgotten",
            replace={"        commit_copies();\n": ""},
            because="has put this one into a group",
        ),
        Wrong(
            "no group where nothing is left to copy",
            replace={"        commit_copies();\n": "        if (first_tap < taps) commit_copies();\n"},
            because="was not waited for",
        ),
        Wrong(
            "two groups a tile",
            replace={"        commit_copies();\n": "        commit_copies();\n        commit_copies();\n"},
            because="waits for one tile: wait_for_copies waits for more than the tile",
        ),
        Wrong(
            "no barrier",
            replace={"        __syncthreads();\n": ""},
            because="a wait for a copy tells its own thread alone",
        ),
        Wrong(
            "the barrier before the wait",
            replace={
                "        wait_for_copies<STAGES - 2>();\n        __syncthreads();\n": (
                    "        __syncthreads();\n        wait_for_copies<STAGES - 2>();\n"
                )
            },
            because="a wait for a copy tells its own thread alone",
        ),
        Wrong(
            "a second barrier, behind the products",
            replace={"        multiply(stage);\n": "        multiply(stage);\n        __syncthreads();\n"},
            because="barriers of a block: a block waits at 10 barriers for 5 steps",
        ),
        Wrong(
            "copied into the stage that is multiplied",
            replace={"(STAGES - 1) * TAPS, free);": "(STAGES - 1) * TAPS, stage);"},
            because="race",
        ),
        Wrong(
            "copied before the barrier, into what others still multiply",
            replace={
                "        __syncthreads();\n        fetch(first_tap + (STAGES - 1) * TAPS, free);\n": (
                    "        fetch(first_tap + (STAGES - 1) * TAPS, free);\n        __syncthreads();\n"
                )
            },
            because="race",
        ),
        Wrong(
            "copies behind the products",
            replace={
                "        fetch(first_tap + (STAGES - 1) * TAPS, free);\n        multiply(stage);\n": (
                    "        multiply(stage);\n        fetch(first_tap + (STAGES - 1) * TAPS, free);\n"
                )
            },
            because="copies before products: the copies are started behind the products",
        ),
        Wrong(
            "the weights through registers",
            replace={
                WEIGHTS: (
                    "                filters[stage][0][f * THREADS + thread] =\n"
                    "                    block_filters[first_tap * (TILE_K / 4) + f * THREADS + thread];"
                )
            },
            because="copies past the registers: line ",
        ),
        Wrong(
            "the weights one by one",
            replace={
                WEIGHTS: (
                    "                for (int n = 0; n < 4; ++n)\n"
                    "                    copy_async<4>(\n"
                    "                        &filters[stage][0][f * THREADS + thread].x + n,\n"
                    "                        &block_filters[first_tap * (TILE_K / 4) + f * THREADS"
                    " + thread].x + n);"
                )
            },
            because="copies weights by 4 bytes",
        ),
        Wrong(
            "the next tile, not that two steps ahead",
            replace={"fetch(first_tap + (STAGES - 1) * TAPS, free)": "fetch(first_tap + TAPS, free)"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "one tile under way before the loop",
            replace={"s < STAGES - 1; ++s) fetch": "s < STAGES - 2; ++s) fetch"},
            because="was not waited for",
        ),
        Wrong(
            "the padding copied as it is",
            replace={"&input[corner + tap.x], inside);": "&input[corner + tap.x]);"},
            because="out-of-bounds",
        ),
        Wrong(
            "the padding left as it was",
            replace={
                "copy_async<4>(to, &input[corner + tap.x], inside);": (
                    "if (inside) copy_async<4>(to, &input[corner + tap.x]);"
                )
            },
            because="uninitialized-read",
        ),
        Wrong(
            "a tile copied beyond the last one",
            replace={"        if (first_tap < taps) {\n": "        {\n"},
            because="out-of-bounds",
        ),
        Wrong(
            "sixteen bytes of inputs at a time",
            replace={"copy_async<4>(to, ": "copy_async<16>(to, "},
            because="misaligned",
        ),
    ],
)
