"""The pictures: what they say in words, that they come out the same twice, and that bad input is refused."""

import io
from types import SimpleNamespace

import pytest
from IPython.display import Image
from PIL import Image as Picture

from utils.plots import access_map, ladder_chart, roofline


def request(
    offsets, kind="global_load", size=4, tensor="input", line=7, wavefronts=1, source="x = input[i];"
):
    lanes = [None if o is None else SimpleNamespace(tensor=tensor, offset=o, size=size) for o in offsets]
    return SimpleNamespace(
        kind=kind, line=line, source=source, launch=0, lanes=lanes, sectors=0, wavefronts=wavefronts
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

PICTURES = {
    "ladder": lambda: ladder_chart(ROWS, "NVIDIA H200, 2026-11-20"),
    "roofline": lambda: roofline(POINTS, CEILINGS, "NVIDIA H200"),
    "map": lambda: access_map([COALESCED], title="a warp"),
    "shared": lambda: access_map(request([128 * i for i in range(32)], "shared_load", wavefronts=32)),
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


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="at least one row"):
        ladder_chart([])
    with pytest.raises(ValueError, match="draws one workload, not a, b"):
        ladder_chart([ROWS[0] | {"workload": "b"}, ROWS[0] | {"workload": "a"}])
    with pytest.raises(ValueError, match="touched no memory"):
        access_map([])
