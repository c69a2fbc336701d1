"""conv1d_registers with cp.async in three stages: groups, waits, one barrier a step, zeros for the padding."""

import re

import kernels
import torch

from utils.check import Case
from utils.errors import KernelError
from utils.exercise.helpers import conv1d_on, same
from utils.exercise.spec import Exercise, Wrong
from utils.inline import load_inline
from utils.simulator import profile, trace

MANY = [  # several warps, several blocks of channels, several stages of input channels
    Case("many channels", 2, 3, (300,), 20, (3,), bias=True),
    Case("many channels", 1, 2, (40,), 75, (2,), stride=2, bias=True),
    Case("many channels", 1, 26, (400,), 9, (3,), stride=5, bias=True),
]


def layer(C):
    """Two channels of the input make a stage: 1,803 elements and a few weights each."""
    generator = torch.Generator().manual_seed(1)
    x, w = (torch.randn(*shape, generator=generator) for shape in ((1, C, 1700), (9, C, 3)))
    return x, w, {"stride": 7, "padding": 5}


def no_race(conv1d):
    """One to five steps, in the simulator wherever the cell runs: a GPU hides most of what is missing here."""
    for C in (1, 3, 6, 9):
        x, w, options = layer(C)
        expected = torch.nn.functional.conv1d(x.double(), w.double(), **options)
        for order in ("forward", "reverse"):
            result = profile(conv1d, x, w, **options, order=order).result
            same(result, expected, f"conv1d of 1x{C}x1700, 9 filters of 3, stride 7", tolerance=1e-3)


def steps_of(cell):
    """The barriers of a block with 5 steps, and of warp 0 what it does in each interval, and to which stage."""
    x, w, options = layer(9)
    found = trace(cell.conv1d, x, w, **options, block=(0, 0, 0), warp=0)
    intervals = {}
    for request in found:
        lane = next(lane for lane in request.lanes if lane)
        if request.kind == "global_load" and lane.tensor == "input":
            intervals.setdefault(request.epoch, []).append("copy")
        elif request.kind == "shared_load":
            intervals.setdefault(request.epoch, []).append("multiply")
    return found.barriers, intervals


def barriers(cell):
    found, _ = steps_of(cell)
    assert len(found) <= 5, f"a block waits at {len(found)} barriers for 5 steps; one a step is enough"


def order(cell):
    _, intervals = steps_of(cell)
    assert "multiply" not in intervals.get(0, []), "something is multiplied before the first barrier"
    both = [kinds for kinds in intervals.values() if {"copy", "multiply"} <= set(kinds)]
    assert len(both) == 3, (
        f"in {len(both)} steps of 5 copies are started; with 3 stages it should be in 3, as two stages are"
        " under way before the loop"
    )
    for kinds in both:
        assert kinds.index("copy") < kinds.index("multiply"), (
            "the copies are started behind the products: start them before, so that these cover them"
        )


def as_late_as_can_be(cell):
    """The cell's kernel with each wait a group weaker must be wrong: else it waits for more than it needs."""
    _, text = cell.conv1d.source.parts[-1]
    weaker = re.sub(r"wait_for_copies<(.+?)>\(\)", r"wait_for_copies<(\1) + 1>()", text)
    assert weaker != text, "there is no wait_for_copies<...>() in the cell"
    options = {"functions": ["conv1d"], "extra_include_paths": [kernels.INCLUDE], "backend": "simulator"}
    try:
        no_race(load_inline("weaker_wait", cuda_sources=weaker, **options).conv1d)
    except KernelError as error:
        if error.kind == "race":
            return
        raise
    raise AssertionError(
        "wait_for_copies waits for more than the stage that comes next: one group more may still be under way"
    )


exercise = Exercise(
    title="conv1d with cp.async",
    goal="three stages: two under way while one is multiplied, one barrier a step",
    hints=[
        "The copies go where the stores of conv1d_registers went: to + place(x, shift) for an input, and"
        " filters + tap * pitch_k + i for a weight. The third argument of copy_async<4> says whether there is"
        " a number to copy; where there is none it writes zeros.",
        "One commit_copies() a call of fetch, also where depth is 0 or less and nothing was copied. Then the"
        " group of a stage is always the same number of groups ago.",
        "Before the loop: fetch for the first STAGES - 1 stages, no wait. In a step, when you wait, STAGES - 1"
        " groups may be under way, and the oldest is the one that you need.",
        "wait_for_copies<STAGES - 2>(), __syncthreads(), fetch(first_c + (STAGES - 1) * tile.depth, free),"
        " multiply(stage, min(tile.depth, C - first_c)). `free` is the stage that the last step multiplied.",
    ],
    checks=[
        ("one output, few channels", conv1d_on("one output", "plain")),
        ("batch and channels", conv1d_on("batch and channels")),
        ("lengths around the size of a block", conv1d_on("block edges")),
        ("stride, padding, dilation", conv1d_on("stride", "padding", "dilation")),
        ("bias, many channels", conv1d_on("bias", "many channels", more=MANY)),
        ("everything together, no images", conv1d_on("everything together", empty_batch=True, refusals=True)),
        ("several steps, in the simulator", lambda cell: no_race(cell.conv1d)),
        ("barriers of a block", barriers),
        ("copies before products", order),
        ("waits for one stage", as_late_as_can_be),
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
            because="waits for one stage: wait_for_copies waits for more than the stage",
        ),
        Wrong(
            "no wait",
            replace={"        wait_for_copies<STAGES - 2>();\n": ""},
            because="was not waited for",
        ),
        Wrong(
            "commit forgotten", replace={"        commit_copies();\n": ""}, because="has put this one into a group"
        ),
        Wrong(
            "no group where nothing is left to copy",
            replace={"        commit_copies();\n": "        if (depth > 0) commit_copies();\n"},
            because="was not waited for",
        ),
        Wrong(
            "two groups a stage",
            replace={"        commit_copies();\n": "        commit_copies();\n        commit_copies();\n"},
            because="waits for one stage: wait_for_copies waits for more than the stage",
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
            replace={
                "        stage = stage + 1 <": "        __syncthreads();\n        stage = stage + 1 <",
            },
            because="barriers of a block: a block waits at 10 barriers for 5 steps",
        ),
        Wrong(
            "copied into the stage that is multiplied",
            replace={"fetch(first_c + (STAGES - 1) * tile.depth, free);": "fetch(first_c + (STAGES - 1) * tile.depth, stage);"},
            because="race",
        ),
        Wrong(
            "copied before the barrier, into what others still multiply",
            replace={
                "        __syncthreads();\n        fetch(first_c + (STAGES - 1) * tile.depth, free);\n": (
                    "        fetch(first_c + (STAGES - 1) * tile.depth, free);\n        __syncthreads();\n"
                )
            },
            because="race",
        ),
        Wrong(
            "copies behind the products",
            replace={
                "        fetch(first_c + (STAGES - 1) * tile.depth, free);\n": "",
                "        stage = stage + 1 <": (
                    "        fetch(first_c + (STAGES - 1) * tile.depth, free);\n        stage = stage + 1 <"
                ),
            },
            because="copies before products: the copies are started behind the products",
        ),
        Wrong(
            "the next step's channels, not those two steps ahead",
            replace={"fetch(first_c + (STAGES - 1) * tile.depth, free)": "fetch(first_c + tile.depth, free)"},
            because="conv1d is wrong in",
        ),
        Wrong(
            "one stage under way before the loop",
            replace={"s < STAGES - 1; ++s) fetch": "s < STAGES - 2; ++s) fetch"},
            because="was not waited for",
        ),
        Wrong(
            "the padding copied as it is",
            replace={", left + x >= 0 && left + x < size.L);": ");"},
            because="out-of-bounds",
        ),
        Wrong(
            "the padding left as it was",
            replace={
                "                copy_async<4>(to + place(x, shift), from + x, left + x >= 0 && left + x < size.L);": (
                    "                if (left + x >= 0 && left + x < size.L)\n"
                    "                    copy_async<4>(to + place(x, shift), from + x);"
                )
            },
            because="uninitialized-read",
        ),
        Wrong("weights beyond K copied", replace={", from, k < size.K);": ", from);"}, because="out-of-bounds"),
        Wrong(
            "the pads of the tile forgotten",
            replace={"copy_async<4>(to + place(x, shift), ": "copy_async<4>(to + x, "},
            because="stride, padding, dilation: ",
        ),
        Wrong(
            "the last stage as deep as the others",
            replace={"multiply(stage, min(tile.depth, C - first_c));": "multiply(stage, tile.depth);"},
            because="uninitialized-read",
        ),
    ],
)
