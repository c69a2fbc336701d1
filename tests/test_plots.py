"""The pictures: what they say in words, that they come out the same twice, and that bad input is refused."""

import io
import re
from types import SimpleNamespace

import pytest
import torch
from IPython.display import Image
from PIL import Image as Picture

from utils.plots import (
    access_map,
    bank_grid,
    banks,
    fragment_map,
    ladder_chart,
    number_formats,
    product_map,
    reuse_map,
    roofline,
    sectors_chart,
    thread_timeline,
    tile_map,
)
from utils.simulator import Barrier, Trace


def request(
    offsets,
    kind="global_load",
    size=4,
    tensor="input",
    line=7,
    wavefronts=1,
    source="x = input[i];",
    warp=0,
    epoch=0,
):
    lanes = [None if o is None else SimpleNamespace(tensor=tensor, offset=o, size=size) for o in offsets]
    return SimpleNamespace(
        kind=kind,
        line=line,
        source=source,
        launch=0,
        lanes=lanes,
        sectors=0,
        wavefronts=wavefronts,
        warp=warp,
        epoch=epoch,
    )


ROWS = [
    {"workload": "blur", "kernel": "cudnn", "precision": "fp32", "tflops": 2.9, "ms": 0.56, "ratio": 1.0},
    {
        "workload": "blur",
        "kernel": "conv2d_naive",
        "precision": "fp32",
        "tflops": 3.2,
        "ms": 0.51,
        "ratio": 1.1,
    },
]
POINTS = [
    {"name": "naive", "intensity": 12.2, "tflops": 3.2},
    {"name": "other", "intensity": 100, "tflops": 3.2},
]
CEILINGS = {"memory": 4280, "compute": {"fp32": 51, "TF32": 350}}
COALESCED = request([4 * i for i in range(32)])


def column(row_length, wavefronts):
    """A warp reads one column of an array with rows of so many elements."""
    return request(
        [4 * row_length * i for i in range(32)], "shared_load", tensor="tile", wavefronts=wavefronts
    )


def half_warp(kind, tensor, line, **fields):
    return request([4 * i if i < 16 else None for i in range(32)], kind, tensor=tensor, line=line, **fields)


# 48 threads in two warps: load and store; a barrier at line 9; half a warp reads, one thread writes.
STEPS = Trace(
    [
        request([4 * i for i in range(32)], line=8),
        request([4 * i for i in range(32)], "shared_store", tensor="tile", line=8),
        half_warp("global_load", "input", 8, warp=1),
        half_warp("shared_store", "tile", 8, warp=1),
        *[half_warp("shared_load", "tile", 11, epoch=1)] * 3,
        request([0] + [None] * 31, "global_store", tensor="output", line=12, epoch=1),
    ],
    launches=[SimpleNamespace(name="blur", grid=(2, 1, 1), block=(16, 3, 1))],
    barriers=[Barrier(0, line, "__syncthreads();", epoch) for epoch, line in enumerate((9, 13))],
)

# A product of a 4 x 8 matrix and an 8 x 8 one: lane i has element i of a, two of b and one of the product.
ELEMENTS = [
    request([4 * i for i in range(32)], tensor="a"),
    *[request([128 * half + 4 * i for i in range(32)], tensor="b") for half in range(2)],
    request([4 * i for i in range(32)], "global_store", tensor="output"),
]
MATRICES = {"a": (4, 8), "b": (8, 8), "output": (4, 8)}

PICTURES = {
    "formats": lambda: number_formats(0.1, title="a number"),
    "fragments": lambda: fragment_map(ELEMENTS, MATRICES, lane=9, title="a product"),
    "banks": lambda: bank_grid(column(32, 32), title="A column"),
    "padded": lambda: bank_grid(column(33, 1), row_length=33),
    "timeline": lambda: thread_timeline(STEPS, title="a block"),
    "reuse": lambda: reuse_map((1, 1), (16, 4), (8, 8), title="tiles"),
    "one tile": lambda: reuse_map((2, 3)),
    "ladder": lambda: ladder_chart(ROWS, "NVIDIA H200, 2026-11-20"),
    "roofline": lambda: roofline(POINTS, CEILINGS, "NVIDIA H200"),
    "sectors": lambda: sectors_chart({"stride": {1: 4, 2: 8, 8: 32}, "dilation": {1: 14 / 3}}, "a row"),
    "map": lambda: access_map([COALESCED], title="a warp"),
    "shared": lambda: access_map(request([128 * i for i in range(32)], "shared_load", wavefronts=32)),
    "product": lambda: product_map(
        (4, 5), (3, 3), 2, 3, padding=1, column=7, element=(0, 1, 2), title="a product"
    ),
    "one filter": lambda: product_map((3, 6), (1, 2), stride=2),
    "tile": lambda: tile_map((20, 40), (3, 5), tile=(4, 8), block=(1, 1), padding=2, title="a tile"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_an_image_with_words_on_white_the_same_every_time(name):
    image = PICTURES[name]()
    assert isinstance(image, Image) and image.alt and len(image.alt) > 30
    assert image.data == PICTURES[name]().data
    assert len(image.data) < 120_000
    picture = Picture.open(io.BytesIO(image.data)).convert("RGBA")
    assert picture.getpixel((0, 0)) == (255, 255, 255, 255)
    # Nothing is cut off: the outermost pixels are all white.
    width, height = picture.size
    edge = [picture.getpixel((x, y)) for x in range(width) for y in (0, height - 1)]
    edge += [picture.getpixel((x, y)) for y in range(height) for x in (0, width - 1)]
    assert set(edge) == {(255, 255, 255, 255)}


def test_what_the_pictures_say():
    assert ladder_chart(ROWS).alt == "Bar chart of blur in TFLOP/s: conv2d_naive 3.2; cuDNN fp32 2.9."
    assert "slope for memory at 4,280 GB/s" in roofline(POINTS, CEILINGS).alt
    assert "naive at 12.2 operations per byte: 3.2 TFLOP/s" in roofline(POINTS, CEILINGS).alt
    assert reuse_map((8, 1), (4, 4)).alt == (
        "8 channels x 1 pixel: 8 weights and 1 input read for 8 products, 1.125 numbers a product;"
        " 4 channels x 4 pixels: 4 weights and 4 inputs read for 16 products, 0.5 numbers a product."
    )


def test_product_map():
    said = product_map((4, 5), (3, 3), 2, 3, padding=1, column=7, element=(0, 1, 2)).alt
    assert said.startswith("weights of 3 x 18 times an input matrix of 18 x 20 make an output of 3 x 20;")
    assert "the input has 40 numbers, the matrix 360 places, 100 of them zeros" in said
    assert said.endswith("column 7 holds the window of pixel (1, 2); input 7 stands in 9 places.")
    strided = product_map((5, 9), (3, 3), stride=2, dilation=2, element=(0, 4, 4)).alt
    assert strided.endswith("pixel (0, 0); input 40 stands in 3 places.")
    for wrong, what in (
        ({"size": (2, 2)}, "larger than the padded input"),
        ({"size": (9, 9)}, "at most 40"),
        ({"column": 12}, "column 12 does not exist"),
        ({"element": (1, 0, 0)}, "no element"),
    ):
        with pytest.raises(ValueError, match=what):
            product_map(**{"size": (5, 6), "taps": (3, 3), **wrong})


def test_fragment_map():
    assert fragment_map(ELEMENTS, MATRICES, lane=9).alt == (
        "a, 4 x 8: lane 9 has (row, column) (1, 1); b, 8 x 8: lane 9 has (row, column) (1, 1), (5, 1);"
        " output, 4 x 8: lane 9 has (row, column) (1, 1)."
    )
    for requests, shapes, what in (
        (ELEMENTS, {"a": (4, 8)}, "three matrices"),
        (ELEMENTS[:2], MATRICES, "32 of 64 elements of b are touched"),
        ([ELEMENTS[0], ELEMENTS[0]], MATRICES, r"lanes 0 and 0 both touch a\[0, 0\]"),
    ):
        with pytest.raises(ValueError, match=what):
            fragment_map(requests, shapes, lane=0)


@pytest.mark.parametrize(
    ("value", "tf32", "bf16"),
    [
        (1.0, "1", "1"),
        (0.1, "0.0999755859", "0.100097656"),
        (1 + 2.0**-11, "1.00097656", "1"),  # halfway in TF32: away from zero
        (-1 - 2.0**-11, "-1.00097656", "-1"),
        (1 + 2.0**-8, "1.00390625", "1"),  # halfway in BF16: to even
        (1 + 3 * 2.0**-8, "1.01171875", "1.015625"),
        (2 - 2.0**-23, "2", "2"),
    ],
)
def test_number_formats_rounds_as_the_gpu(value, tf32, bf16):
    alt = number_formats(value).alt
    assert alt.endswith(f"10 of fraction, {tf32}; BF16: 1 bit of sign, 8 of exponent, 7 of fraction, {bf16}.")
    assert f"{float(torch.tensor(value).bfloat16()):.9g}" == bf16


def test_sectors_chart():
    said = sectors_chart({"stride": {1: 4, 2: 8.125}, "lanes along": {"q": 32}}, "A row").alt
    assert said == "A row: Bar chart of sectors a request. stride 1: 4, 2: 8.12; lanes along q: 32."
    low, high = (
        sum(n for (r, _, b), n in colours(sectors_chart({"stride": {1: value}})).items() if b > r + 60)
        for value in (8, 16)
    )
    assert 1.9 * low < high < 2.1 * low, "a bar twice as high has twice the blue"
    for nothing in ({}, {"stride": {}}):
        with pytest.raises(ValueError, match="at least one series"):
            sectors_chart(nothing)


@pytest.mark.parametrize(
    "offsets, size, words",
    [
        (
            [4 * i for i in range(32)],
            4,
            "32 lanes, 4 sectors, 128 of 128 bytes used; the words lie in 1 line",
        ),
        (
            [4 + 4 * i for i in range(32)],
            4,
            "32 lanes, 5 sectors, 128 of 160 bytes used; the words lie in 2 lines",
        ),
        ([256 * i for i in range(32)], 4, "32 lanes, 32 sectors, 128 of 1,024 bytes used"),
        ([64] * 32, 4, "32 lanes, 1 sector, 4 of 32 bytes used"),
        ([None] * 31 + [0], 4, "1 lane, 1 sector, 4 of 32 bytes used"),
        (
            [16 * i for i in range(32)],
            16,
            "32 lanes, 16 sectors, 512 of 512 bytes used; the words lie in 4 lines",
        ),
        (
            [4096 * i for i in range(32)],
            16,
            "32 lanes, 32 sectors, 512 of 1,024 bytes used; the words lie in 32 lines",
        ),
    ],
)
def test_access_map_counts(offsets, size, words):
    assert access_map(request(offsets, size=size)).alt.startswith(f"line 7, global load of input: {words}")


def test_access_map_chooses_the_busiest_request_of_each_line_and_tensor():
    requests = [
        request([0] + [None] * 31),
        COALESCED,
        request([0] * 32, tensor="weight"),
        request([0] * 32, line=9),
    ]
    alt = access_map(requests).alt
    assert alt.count("global load") == 3 and "32 lanes, 4 sectors" in alt and "1 lane," not in alt
    assert "1 lane," in access_map(requests, select=0).alt
    assert access_map(requests, select=[0, 2]).alt.count("global load") == 2


def test_access_map_of_a_real_trace():
    import torch

    import kernels
    from utils.simulator import trace

    fn = kernels.load("conv2d_naive", backend="simulator")
    alt = access_map(trace(fn, torch.zeros(1, 1, 8, 64), torch.zeros(1, 1, 3, 3), padding=1, warp=1)).alt
    assert "global load of input: 32 lanes" in alt and "global load of weight: 32 lanes, 1 sector" in alt
    assert "global store of output: 32 lanes, 4 sectors, 128 of 128 bytes used" in alt


def colours(image):
    """How many pixels have each colour."""
    picture = Picture.open(io.BytesIO(image.data)).convert("RGB")
    return {colour: count for count, colour in picture.getcolors(1 << 20)}


def test_bank_grid_tells_lanes_that_meet_from_lanes_that_do_not():
    before, after = bank_grid(column(32, 32)), bank_grid(column(33, 1), row_length=33)
    start = "line 7, shared load of tile: 32 lanes, 32 words, "
    assert before.alt == f"{start}32 wavefronts; the words lie in 1 bank of 32, at most 32 words in one bank."
    assert after.alt == f"{start}1 wavefront; the words lie in 32 banks of 32, at most 1 word in one bank."
    # Every pass has a shade of its own; what is served in one pass is of one shade, but for a few edges.
    many, few = (
        sorted((n for (red, _, blue), n in colours(image).items() if blue > red + 12), reverse=True)
        for image in (before, after)
    )
    assert sum(n > 500 for n in many) == 32 and few[0] > 10 * few[1]


@pytest.mark.parametrize(
    "offsets, size, wavefronts, passes, together",
    [
        ([4 * i for i in range(32)], 4, 1, [0] * 32, 32),
        ([8 * i for i in range(32)], 4, 2, [0] * 16 + [1] * 16, 32),
        ([0] * 32, 4, 1, [0], 32),
        ([16 * i for i in range(32)], 16, 4, [0] * 32 + [1] * 32 + [2] * 32 + [3] * 32, 8),
        ([16 * (i // 2) for i in range(32)], 16, 2, [0] * 32 + [1] * 32, 16),  # neighbours share
        ([8 * i for i in range(32)], 8, 2, [0] * 32 + [1] * 32, 16),
        ([8 * (i // 2) for i in range(32)], 8, 1, [0] * 32, 32),
        ([128 * i for i in range(32)], 4, 7, [0] * 32, 32),  # not what the model says: no passes are shown
    ],
)
def test_the_passes_of_a_request(offsets, size, wavefronts, passes, together):
    served, found = banks._passes(request(offsets, "shared_load", size=size, wavefronts=wavefronts))
    assert [served[word] for word in sorted(served)] == passes and found == together


def test_bank_grid_of_a_long_column_leaves_out_rows():
    image = bank_grid(request([4 * 97 * i for i in range(32)], "shared_store", wavefronts=1))
    assert "shared store" in image.alt and Picture.open(io.BytesIO(image.data)).size[1] < 2000


def test_thread_timeline_says_who_does_what_when():
    assert thread_timeline(STEPS).alt == (
        "Timeline of 48 threads of block (0, 0, 0) of blur: interval 0: global load of input at line 8 by "
        "all threads, shared store of tile at line 8 by all threads; barrier at line 9; interval 1: shared "
        "load of tile at line 11 by threads 0-15, global store of output at line 12 by thread 0; barrier at "
        "line 13; interval 2: no access to memory."
    )
    one = Trace(STEPS[4:], warp=0, launches=STEPS.launches, barriers=STEPS.barriers)
    alt = thread_timeline(one, first=1).alt
    assert alt.startswith(
        "Timeline of 32 threads of block (0, 0, 0) of blur: interval 1: shared load of tile"
    )


def test_a_long_timeline_is_drawn_in_parts():
    loop = Trace(
        [request([0] * 32, line=line, epoch=epoch) for epoch in range(9) for line in (5, 6)],
        launches=STEPS.launches,
        barriers=[Barrier(0, 8, "__syncthreads();", epoch) for epoch in range(8)],
    )
    alt = thread_timeline(loop).alt
    assert "interval 6" in alt and "interval 7" not in alt and alt.endswith("2 more intervals not drawn.")
    alt = thread_timeline(loop, first=7).alt
    assert "interval 6" not in alt and "interval 8: global load" in alt and "not drawn" not in alt
    crowded = Trace([request([0] * 32, line=line) for line in range(40)], launches=STEPS.launches)
    assert thread_timeline(crowded).alt.count("global load") == 40


def test_a_timeline_of_a_real_trace():
    import torch
    from simulated import compile_text

    from utils.simulator import trace

    reverse = compile_text("""
__global__ void reverse(const float* x, float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x >= 32) y[threadIdx.x] = tile[63 - threadIdx.x];
}
torch::Tensor run(torch::Tensor x) {
    auto y = torch::zeros_like(x);
    reverse<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
""").run
    found = trace(reverse, torch.zeros(64), warp=None)
    assert thread_timeline(found).alt == (
        "Timeline of 64 threads of block (0, 0, 0) of reverse: interval 0: global load of x at line 5 by "
        "all threads, shared store of tile at line 5 by all threads; barrier at line 6; interval 1: shared "
        "load of tile at line 7 by threads 32-63, global store of output at line 7 by threads 32-63."
    )
    assert "shared store of tile: 32 lanes, 32 words, 1 wavefront" in bank_grid(found).alt


@pytest.mark.parametrize(
    "options, words",
    [
        (  # the textbook's halo: a ring of one around the outputs' places
            {"block": (1, 1), "padding": 1},
            "block (1, 1) computes 8 x 32 outputs of 30 x 78; its tile is 10 x 34 = 340 elements of the"
            " input, rows 7 to 16, columns 31 to 64: its own share 256, halo 84, zeros outside of the input"
            " 0. The tile of block (2, 1) has 20 elements in common with it.",
        ),
        (  # a corner: the row above and the column on the left lie in the padding
            {"padding": 1},
            "rows -1 to 8, columns -1 to 32: its own share 256, halo 41, zeros outside of the input 43.",
        ),
        (  # the last block: 6 rows and 14 columns of outputs, one row and 18 columns too many of its tile
            {"block": (2, 3), "padding": 1},
            "its own share 84, halo 21, zeros outside of the input 235. The tile of block (1, 3) has 20",
        ),
        (
            {"block": (1, 1), "tile": (2, 4), "stride": 3, "dilation": 2, "padding": 1},
            "its tile is 8 x 14 = 112 elements of the input, rows 5 to 12, columns 11 to 24: its own share"
            " 72, halo 40, zeros outside of the input 0. The tile of block (2, 1) has 16 elements",
        ),
        (  # a stride larger than the filter leaves elements out that no block needs
            {"tile": (2, 2), "stride": 5},
            "8 x 8 = 64 elements of the input, rows 0 to 7, columns 0 to 7: its own share 64, halo 0, zeros"
            " outside of the input 0. The tile of block (1, 0) has 0 elements in common",
        ),
    ],
)
def test_tile_map_says_what_a_block_needs(options, words):
    assert words in tile_map((30, 78), (3, 3), **options).alt


def test_tile_map_of_a_single_block_has_no_neighbour():
    alt = tile_map((5, 5), (3, 3)).alt
    assert alt.endswith("own share 25, halo 0, zeros outside of the input 315.")


@pytest.mark.parametrize("padding, dilation", [(0, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_tile_map_agrees_with_the_kernel(padding, stride, dilation):
    import torch

    import kernels
    from utils.simulator import trace

    options = {"padding": padding, "stride": stride, "dilation": dilation}
    fn = kernels.load("conv2d_tiled", backend="simulator")
    tensors = torch.zeros(1, 1, 50, 70), torch.zeros(1, 1, 3, 2)
    found = trace(fn, *tensors, **options, block=(0, 1, 0), warp=None)
    loaded = {
        access.offset // 4
        for request in found
        for access in request.lanes
        if access is not None and access.tensor == "input"
    }
    stored = {
        access.offset
        for request in found
        for access in request.lanes
        if access is not None and request.kind == "shared_store"
    }
    alt = tile_map((50, 70), (3, 2), block=(0, 1), **options).alt
    elements, share, halo, zeros = (
        int(re.search(pattern, alt)[1])
        for pattern in (r"= (\d+) elements", r"share (\d+)", r"halo (\d+)", r"input (\d+)\b")
    )
    assert share + halo == len(loaded) and elements == len(stored) == len(loaded) + zeros


def test_tile_map_refuses():
    with pytest.raises(ValueError, match="larger than the padded input"):
        tile_map((2, 9), (3, 3))
    with pytest.raises(ValueError, match=r"no block \(3, 0\): the grid is 3 x 4"):
        tile_map((30, 78), (3, 3), block=(3, 0), padding=1)
    with pytest.raises(ValueError, match="at most 140"):
        tile_map((30, 300), (3, 3))


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="none among these"):
        bank_grid([COALESCED])
    with pytest.raises(ValueError, match="request 0 is a global load: only shared memory has banks"):
        bank_grid([COALESCED], select=0)
    with pytest.raises(ValueError, match=r"draws what trace\(fn, ..., warp=None\) returns"):
        thread_timeline([COALESCED])
    with pytest.raises(ValueError, match="no launch 1: the call made 1 launch"):
        thread_timeline(STEPS, launch=1)
    with pytest.raises(ValueError, match="first must be from 0 to 2"):
        thread_timeline(STEPS, first=3)
    elsewhere = Trace(STEPS, block=(5, 0, 0), launches=STEPS.launches)
    with pytest.raises(ValueError, match=r"launch 0 has no block \(5, 0, 0\)"):
        thread_timeline(elsewhere)
    with pytest.raises(ValueError, match="at least one tile"):
        reuse_map()
    for tile in ((17, 1), (0, 4), (2, 2, 2), (1.5, 2)):
        with pytest.raises(ValueError, match="each from 1 to 16"):
            reuse_map(tile)
    with pytest.raises(ValueError, match="at least one row"):
        ladder_chart([])
    with pytest.raises(ValueError, match="draws one workload, not a, b"):
        ladder_chart([ROWS[0] | {"workload": "b"}, ROWS[0] | {"workload": "a"}])
    with pytest.raises(ValueError, match="touched no memory"):
        access_map([])
