"""A tile loaded by float4, though rows begin anywhere and end anywhere."""

import torch

from utils.check import Case, check_conv1d, conv1d_cases, error_bound
from utils.exercise.helpers import call, device_of, quietly, same
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import trace

LONG = [
    Case("rows", 2, 3, (length,), 2, (3,), padding=padding, dilation=dilation, bias=True)
    for length, padding, dilation in ((2048, 1, 1), (1023, 0, 1), (1025, 2, 3), (1026, 3, 2), (2047, 4, 1))
]


def cases(*groups, **flags):
    """A check of the launcher on all cases of these groups with stride 1."""
    chosen = [case for case in [*conv1d_cases(), *LONG] if case.group in groups and case.stride == 1]
    return lambda cell: quietly(check_conv1d, cell.conv1d, chosen, **flags)


def slice_of(shape, first):
    """A contiguous tensor whose data begin `first` floats behind a multiple of 16 bytes, and where."""
    flat = torch.randn(first + torch.Size(shape).numel() + 4, generator=torch.Generator().manual_seed(7))
    first += -(flat.data_ptr() // 4) % 4
    return flat, slice(first, first + torch.Size(shape).numel())


def storage_that_begins_anywhere(cell):
    device = device_of(cell.conv1d)
    weight = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(8))
    for first in (1, 2, 3):
        for length in (1100, 37):
            flat, part = slice_of((2, 3, length), first)
            x = flat.to(device)[part].view(2, 3, length)  # sliced there: a copy would be aligned
            actual = call(lambda w, x=x: cell.conv1d(x, w.to(device), padding=1), weight)
            exact = torch.nn.functional.conv1d(x.cpu().double(), weight.double(), padding=1)
            bound = error_bound(torch.nn.functional.conv1d, x.cpu(), weight, padding=1)
            same(actual, exact, f"an input of 2x3x{length} that begins {4 * first} bytes off", bound)


def loads(cell, length, first=0, padding=1):
    """Requests of the input by a block in the middle of a row, of one channel."""
    flat, part = slice_of((1, 2, length), first)
    x, weight = flat[part].view(1, 2, length), torch.zeros(1, 2, 3)
    requests = trace(cell.conv1d, x, weight, padding=padding, block=(1, 0, 0), warp=None)
    loads = [request for request in requests if request.kind == "global_load"]
    return sum(any(lane and lane.tensor == "input" for lane in load.lanes) for load in loads) / 2


SCALAR = 33  # 1,026 floats by 256 threads: four loads by eight warps, one for the last two


def few_requests(*layers):
    def check(cell):
        for length, first in layers:
            found = loads(cell, length, first)
            where = f"rows of {length:,} floats" + (f", storage {4 * first} bytes off" if first else "")
            assert found <= SCALAR / 3, (
                f"{where}: {found:g} load requests of the input by one block for one channel. One float a"
                f" lane takes {SCALAR}; float4 should take a third of that or less"
            )

    return check


LEAD = "(offset + unsigned(n * C + c) * L + left) % 4"

exercise = Exercise(
    title="conv1d, its tile loaded by float4",
    goal="load the tile of a convolution with stride 1 with a third of the requests, wherever the rows begin",
    run_starter=True,
    seconds=30.0,
    hints=[
        "The tile may begin earlier than the window: up to three floats earlier, at a multiple of 16 bytes."
        " How far behind such a multiple does row[left] lie? Count in floats.",
        "row[left] is number offset + (n C + c) L + left, counted from a multiple of 16 bytes. lead is that"
        " modulo 4; with an unsigned number it is right where left is below 0, too.",
        "Thread t loads the four floats for tile[4 t] to tile[4 t + 3], then goes on by 4 THREADS. The first"
        " of them is row[l] with l = left - lead + x. When are all four inside of the row?",
        "If l >= 0 and l + 3 < L, copy through reinterpret_cast<const float4*>(row + l). Otherwise go through"
        " the four one by one, with a 0 for each that is outside.",
    ],
    checks=[
        ("right on short rows", cases("plain", "batch and channels", "one output", "bias")),
        ("right around the ends of rows", cases("block edges", "padding", "dilation", "everything together")),
        ("right on rows of several tiles", cases("rows")),
        ("right on storage that begins anywhere", storage_that_begins_anywhere),
        ("a third of the requests, rows of 16 bytes", few_requests((4096, 0))),
        ("a third of the requests, rows of any length", few_requests((4097, 0), (4099, 0), (4096, 1))),
        ("no images, refusals", cases("plain", empty_batch=True, refusals=True)),
    ],
    starter_fails="rows of 4,096 floats: 33 load requests of the input",
    wrong=[
        Wrong(
            "alignment ignored",
            replace={LEAD: "0"},
            because="misaligned",
        ),
        Wrong(
            "only the window's own place taken into account",
            replace={LEAD: "unsigned(left) % 4"},
            because="misaligned",
        ),
        Wrong(
            "the storage's start forgotten",
            replace={LEAD: "(unsigned(n * C + c) * L + left) % 4"},
            because="right on storage that begins anywhere: conv1d_vector, line 26: misaligned",
        ),
        Wrong(
            "the remainder of a negative number",
            replace={LEAD: "(int(offset) + (n * C + c) * L + left) % 4"},
            because="out-of-bounds",
        ),
        Wrong("the tail unguarded", replace={"l >= 0 && l + 3 < L": "l >= 0"}, because="out-of-bounds"),
        Wrong("the tail half guarded", replace={"l + 3 < L": "l < L"}, because="out-of-bounds"),
        Wrong("the head unguarded", replace={"l >= 0 && l + 3 < L": "l + 3 < L"}, because="out-of-bounds"),
        Wrong(
            "the scalar tail unguarded",
            replace={"l + j >= 0 && l + j < L ? row[l + j] : 0.0f": "l + j >= 0 ? row[l + j] : 0.0f"},
            because="out-of-bounds",
        ),
        Wrong(
            "zeros in place of the tail",
            replace={"tile[x + j] = l + j >= 0 && l + j < L ? row[l + j] : 0.0f": "tile[x + j] = 0.0f"},
            because="right on short rows: conv1d is wrong in",
        ),
        Wrong(
            "the lead forgotten when reading",
            replace={"tile[lead + i * THREADS": "tile[i * THREADS"},
            because="wrong in",
        ),
        Wrong(
            "the halo left out",
            replace={"x < room; x += 4 * THREADS": "x < TILE_Q; x += 4 * THREADS"},
            because="uninitialized-read",
        ),
        Wrong(
            "float4 only where every row is aligned",
            replace={"if (l >= 0 && l + 3 < L)": "if (offset == 0 && L % 4 == 0 && l >= 0 && l + 3 < L)"},
            because="rows of any length: rows of 4,097 floats",
        ),
        Wrong(
            "one float after the other",
            replace={"if (l >= 0 && l + 3 < L)": "if (l < -2 * L)"},
            because="a third of the requests, rows of 16 bytes: rows of 4,096",
        ),
    ],
)  # fmt: skip
