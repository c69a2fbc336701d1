"""The gradient of the bias by a warp for each channel, added up by shuffles."""

import torch

from utils.check import CheckError
from utils.check_gradients import bgrad_cases, check_bgrad
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile


def on(*groups, **flags):
    """A check on the cases of these groups."""
    chosen = [case for case in bgrad_cases() if case.group in groups]

    def check(cell):
        try:
            quietly(check_bgrad, cell.bgrad, chosen, **flags)
        except CheckError as error:
            if "NaN" not in str(error):
                raise
            raise CheckError(
                f"{error} Or some lanes miss a shuffle, and the others read from them: does an `if` stand"
                " around it, or does a loop with a shuffle end earlier for some lanes?"
            ) from None

    return check


def neighbours(cell):
    """2 images of 8 channels, 16 x 16: 8 loads of a warp for each channel and image, 4 sectors each."""
    (launch,) = profile(cell.bgrad, torch.ones(2, 8, 16, 16))
    loads = launch.global_load
    assert loads.requests <= 128, (
        f"{loads.requests} global load requests where 128 are enough: does each lane read pixels of its own?"
    )
    assert loads.sectors_per_request <= 4, (
        f"{loads.sectors_per_request:.1f} sectors a request where 4 are enough: lanes should read neighbours"
    )
    stores = launch.global_store
    assert stores.requests <= 8, f"{stores.requests} store requests for 8 channels"


def no_shared_memory(cell):
    (launch,) = profile(cell.bgrad, torch.ones(1, 2, 8, 8))
    assert not launch.shared_load.requests, (
        f"{launch.shared_load.requests} loads of shared memory: let shuffles bring the other lanes' parts"
    )


exercise = Exercise(
    title="A bias's gradient by shuffles",
    goal="one warp per channel: lanes read neighbours, and five shuffles add them up",
    hints=[
        "A lane takes the pixels lane, lane + 32, lane + 64, ... of each image: a warp reads neighbours.",
        "After the loops each lane has a part. __shfl_down_sync(0xffffffff, sum, 16) gives lanes 0 to 15 the"
        " parts of lanes 16 to 31. Add, and half of the lanes hold everything. Then 8.",
        "The steps are 16, 8, 4, 2, 1. All lanes take part in each, as the mask promises: what a lane reads"
        " from one that does not come is undefined. So no `if` around a shuffle. At the end lane 0 has the"
        " sum.",
    ],
    checks=[
        ("one pixel", on("one pixel")),
        ("one dimension", on("one dimension")),
        ("two dimensions", on("two dimensions")),
        ("many images, many channels", on("many images", "many channels")),
        (
            "slices of tensors, no images",
            on("slices of tensors", "several blocks", empty_batch=True, refusals=True),
        ),
        ("neighbours", neighbours),
        ("no shared memory", no_shared_memory),
    ],
    starter_fails="one pixel: bgrad",
    wrong=[
        Wrong(
            "the last step left out",
            replace={"step > 0; step /= 2": "step > 1; step /= 2"},
            because="one dimension: bgrad",
        ),
        Wrong(
            "the first step left out",
            replace={"int step = 16": "int step = 8"},
            because="one dimension: bgrad",
        ),
        Wrong(
            "taken, not added",
            replace={"sum += __shfl": "sum = __shfl"},
            because="one pixel: bgrad",
        ),
        Wrong(
            "one image",
            replace={"n < N; ++n": "n < 1; ++n"},
            because="one pixel: bgrad",
        ),
        Wrong(
            "every lane reads everything",
            replace={"i = lane; i < pixels; i += 32": "i = 0; i < pixels; ++i"},
            because="bgrad",
        ),
        Wrong(
            "32 neighbours a lane",
            replace={
                "i = lane; i < pixels; i += 32": (
                    "i = lane * ((pixels + 31) / 32); i < min(pixels, (lane + 1) * ((pixels + 31) / 32)); ++i"
                )
            },
            because="neighbours: ",
        ),
        Wrong(
            "the last lane stores",
            replace={"if (lane == 0)": "if (lane == 31)"},
            because="one pixel: bgrad",
        ),
        Wrong(
            "every lane stores",
            replace={"if (lane == 0) grad_bias": "grad_bias"},
            because="race",
        ),
        Wrong(
            "only full rounds of the loop",
            replace={"i < pixels; i += 32": "i + 32 <= pixels; i += 32"},
            because="one pixel: bgrad",
        ),
        Wrong(
            "through shared memory",
            replace={
                "for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);": (
                    "__shared__ float part[WARPS][32];\n    part[threadIdx.y][lane] = sum;\n"
                    "    __syncwarp();\n    sum = 0;\n"
                    "    for (int i = 0; i < 32; ++i) sum += part[threadIdx.y][i];"
                )
            },
            because="no shared memory: ",
        ),
        Wrong(
            "shuffles in a branch",
            replace={
                "sum += __shfl_down_sync(0xffffffff, sum, step)": (
                    "if (lane < step) sum += __shfl_down_sync(0xffffffff, sum, step)"
                )
            },
            because="some lanes miss a shuffle",
        ),
    ],
)
