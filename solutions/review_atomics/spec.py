"""256 threads that add one and the same sum to one output, and most outputs left at zero."""

import torch

from utils.check import Case, check_conv1d, conv1d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def one_output(cell):
    quietly(check_conv1d, cell.conv1d, [Case("one output", 1, 3, (5,), 1, (5,))])


def few_outputs(cell):
    quietly(check_conv1d, cell.conv1d, [Case("few outputs", 2, 3, (59,), 4, (3,), stride=3, dilation=4)])


def everything(cell):
    quietly(check_conv1d, cell.conv1d, conv1d_cases(), empty_batch=True, refusals=True)


def launch(cell):
    """One launch for 2 x 3 x 100 outputs: 19 warps, the last one with 24 of them."""
    return profile(cell.conv1d, torch.randn(2, 2, 102), torch.randn(3, 2, 3))[0]


def no_atomics(cell):
    atomics = launch(cell).global_atomic
    assert not atomics.requests, (
        f"{atomics.requests:,} atomic requests for 600 outputs, 0 are needed: no two threads have an output"
        " in common, so nothing has to be protected"
    )


def stores(cell):
    counts = launch(cell).global_store
    assert counts.requests <= 19 and counts.sectors <= 75, (
        f"{counts.requests:,} store requests with {counts.sectors:,} sectors for 600 outputs in a row;"
        " 19 with 75 are enough"
    )
    loads = launch(cell).global_load
    assert loads.requests <= 228, (
        f"{loads.requests:,} load requests for 600 outputs, 228 are enough: 19 warps, 6 products, 2 loads for"
        " each. Does the kernel read the output before it writes it?"
    )


def blocks(cell):
    grid = launch(cell).grid
    assert grid == (3, 1, 1), f"600 outputs: the grid is {grid}, needed (3, 1, 1)"


exercise = Exercise(
    title="An atomic where nothing is shared",
    goal="one thread for each output, one plain store for each, and no atomic",
    run_starter=True,
    hints=[
        "How many threads have the same i? Each of them adds the same sum.",
        "Give each thread its own number: the threads of the blocks before it, and its place in its block."
        " The grid is right already.",
        "Once each output belongs to one thread, that thread can store. What if there are fewer outputs than"
        " threads in the last block?",
    ],
    checks=[
        ("one output", one_output),
        ("few outputs", few_outputs),
        ("right for every shape", everything),
        ("no atomics", no_atomics),
        ("32 outputs a store request", stores),
        ("no more blocks than needed", blocks),
    ],
    starter_fails="the wrong elements are 256 times what they should be",
    wrong=[
        Wrong(
            "adds to what the launcher put there",
            replace={"output[i] = sum": "output[i] += sum"},
            because="Does the kernel read the output before it writes it?",
        ),
        Wrong(
            "every output its thread, the atomic stays",
            replace={"output[i] = sum": "atomicAdd(&output[i], sum)"},
            because="no atomics: 19 atomic requests",
        ),
        Wrong(
            "the sum divided by 256",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x",
                "output[i] = sum": "atomicAdd(&output[i], sum / 256)",
            },
            because="few outputs: conv1d is wrong in",
        ),
        Wrong(
            "thread 0 alone adds",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x",
                "output[i] = sum": "if (threadIdx.x == 0) atomicAdd(&output[i], sum)",
            },
            because="few outputs: conv1d is wrong in",
        ),
        Wrong(
            "thread 0 alone, a block for each output",
            replace={
                "int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x",
                "output[i] = sum": "if (threadIdx.x == 0) output[i] = sum",
                "grid_of((count + 255) / 256, 1, 1)": "grid_of(count, 1, 1)",
            },
            because="32 outputs a store request: 600 store requests",
        ),
        Wrong(
            "a plain store by all 256",
            replace={"int64_t(blockIdx.x) * blockDim.x + threadIdx.x": "blockIdx.x"},
            because="one output: conv1d_kernel, line 16: race",
        ),
        Wrong(
            "no bound",
            replace={"    if (i >= int64_t(N) * K * Q) return;\n": ""},
            because="one output: conv1d_kernel, line 13: out-of-bounds",
        ),
        Wrong(
            "the bound of one image",
            replace={"i >= int64_t(N) * K * Q": "i >= int64_t(K) * Q"},
            because="few outputs: conv1d is wrong in",
        ),
    ],
)  # fmt: skip
