"""What a kernel cannot do, its launcher refuses, with the reason and what to do about it."""

import re

import pytest
import torch
from rungs import OF_AMPERE, RUNGS, Kernel, compiled, find, random

import kernels
from kernels import LADDERS
from utils.inline import load_inline


@pytest.fixture(scope="module", params=LADDERS["conv2d"], ids=lambda rung: rung.name)
def conv2d(request):
    return Kernel(request.param, compiled(request.param))


@pytest.fixture(scope="module", params=LADDERS["conv1d"], ids=lambda rung: rung.name)
def conv1d(request):
    return Kernel(request.param, compiled(request.param))


def refusals():
    """Calls and words of the reason; every kernel refuses these."""
    x, w, b = random(2, 3, 5, 6), random(4, 3, 3, 3), random(4)
    huge = 2**40
    return {
        "float64": ((x.double(), w), "input must be float32"),
        "float16": ((x.half(), w.half()), "input must be float32"),
        "weight float16": ((x, w.half()), "weight must be (float32|bfloat16)"),
        "bias int": ((x, w, b.int()), "bias must be (float32|bfloat16)"),
        "3-D": ((x[0], w), "input must have 4 dimensions, not 3"),
        "weight 3-D": ((x, w[0]), "weight must have 4 dimensions"),
        "bias 2-D": ((x, w, b[None]), "bias must have 1 dimensions"),
        "input not contiguous": ((x.mT, w), "input must be (contiguous|channels_last)"),
        "weight not contiguous": ((x, w.mT), "weight must be (contiguous|channels_last)"),
        "bias not contiguous": ((x, w, random(8)[::2]), "bias must be contiguous"),
        "groups": ((x, w[:, :1].contiguous()), "weight has 1 channels, input has 3 .groups"),
        "bias too short": ((x, w, b[:3]), "bias must have 4 elements"),
        "stride 0": ((x, w, None, 0), "stride and dilation must be positive"),
        "stride negative": ((x, w, None, -1), "stride and dilation must be positive"),
        "dilation 0": ((x, w, None, 1, 0, 0), "stride and dilation must be positive"),
        "padding negative": ((x, w, None, 1, -1), "padding must not be negative"),
        "filter too large": ((x, random(4, 3, 6, 3)), "larger than the padded input"),
        "filter too large when dilated": ((x, w, None, 1, 0, 3), "larger than the padded input"),
        "filter too large, empty batch": ((x[:0], random(4, 3, 6, 3)), "larger than the padded input"),
        "huge padding": ((x, w, None, 1, huge), "must be below 536870912"),
        "huge stride": ((x, w, None, huge), "must be below 536870912"),
        "huge dilation": ((x, w, None, 1, 0, huge), "must be below 536870912"),
        "no channels": ((x[:, :0], w[:, :0]), "only the batch may be empty"),
        "no filter": ((x, w[:0]), "only the batch may be empty"),
        "no rows": ((x[:, :, :0], w), "only the batch may be empty"),
        "output too large": (
            (random(1, 1, 1, 1), random(1, 1, 1, 1), None, 1, 200_000),
            "2\\^31 - 1 elements",
        ),
        "too many blocks along y": (
            (random(1, 1, 1, 1), random(1, 1, 1, 1), None, 1, 2**28),
            "65,535 blocks along y|2.31 - 1 elements",
        ),
    }


NAMES = ("input", "weight", "bias", "stride", "padding", "dilation")
DEFAULTS = {"bias": None, "stride": 1, "padding": 0, "dilation": 1}


def named(arguments):
    """Arguments in order as keywords, without those that are the default."""
    given = zip(NAMES, arguments, strict=False)
    return {name: value for name, value in given if name not in DEFAULTS or value is not DEFAULTS[name]}


@pytest.mark.parametrize("name", refusals())
def test_refusals_say_why(conv2d, name):
    arguments, words = refusals()[name]
    options = named(arguments)
    taken = {parameter.name for parameter in conv2d.launcher.signature.parameters}
    if not options.keys() <= taken:
        pytest.skip("not an option of this kernel")
    with pytest.raises(RuntimeError, match=words):
        conv2d(**options)


def test_over_2_to_the_31_elements(conv2d):
    huge = random(1, 1, 1, 1).expand(1, 2, 2**15, 2**15)  # without its 8 GB
    with pytest.raises(RuntimeError, match="input (has over 2.31 - 1 elements|must be)"):
        conv2d(huge, random(1, 2, 3, 3))


# Types of input, weight and bias; what a kernel for float32 says, and one for either (None: it takes them).
MIXED = [
    ("float32 bfloat16 float32", "weight must be float32", "weight must be float32"),
    ("float32 float32 bfloat16", "bias must be float32", "bias must be float32"),
    ("bfloat16 float32 float32", "input must be float32", "weight must be bfloat16"),
    ("bfloat16 bfloat16 float32", "input must be float32", "bias must be bfloat16"),
    ("bfloat16 bfloat16 bfloat16", "input must be float32", None),
    ("bfloat16 float16 bfloat16", "input must be float32", "weight must be bfloat16"),
]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_types_are_not_mixed_and_bfloat16_not_taken_by_kernels_for_float32(rung):
    launcher = compiled(rung)
    one, device = rung.name.startswith("conv1d"), "cpu" if rung.simulated else "cuda"
    channels, taps = 1 if "groups" in rung.supports else 3, rung.taps or (3, 3)
    shapes = (2, 3, *(8, 9)[one:]), (3, channels, *taps[one:]), (3,)
    tensors = [random(*shape).to(device) for shape in shapes]
    if rung.layout == "channels_last":
        tensors[:2] = (t.contiguous(memory_format=torch.channels_last) for t in tensors[:2])
    for types, of_float32, of_both in MIXED:
        given = [t.to(getattr(torch, name)) for t, name in zip(tensors, types.split(), strict=True)]
        words = of_both if "bf16" in rung.precisions else of_float32
        if words is None:
            assert launcher(*given).dtype == torch.bfloat16
            continue
        with pytest.raises(RuntimeError, match=words):
            launcher(*given)


@pytest.mark.parametrize("number, name", [(0, "input"), (1, "weight")])
@pytest.mark.parametrize(
    "rung", [rung for rung in RUNGS if rung.layout == "channels_last"], ids=lambda rung: rung.name
)
def test_nchw_is_refused_with_advice(rung, number, name):
    launcher, device = compiled(rung), "cpu" if rung.simulated else "cuda"
    tensors = [random(2, 3, 5, 6).to(device), random(4, 3, 3, 3).to(device)]
    tensors[1 - number] = tensors[1 - number].contiguous(memory_format=torch.channels_last)
    advice = rf"{name} must be channels_last: pass {name}\.\w+\(memory_format=torch.channels_last\)"
    for dtype in {torch.float32, *([torch.bfloat16] if "bf16" in rung.precisions else [])}:
        with pytest.raises(RuntimeError, match=advice):
            launcher(*(tensor.to(dtype) for tensor in tensors))


@pytest.mark.parametrize(
    "rung", [rung for rung in RUNGS if kernels.operator(rung.name) == "conv2d"], ids=lambda rung: rung.name
)
def test_channels_last_is_refused_by_kernels_for_nchw(rung):
    if rung.layout != "NCHW":
        pytest.skip("it takes this layout")
    kernel = Kernel(rung, compiled(rung))
    C = 1 if "groups" in rung.supports else 3
    x, w = random(2, 3, 5, 6), random(3, C, *(rung.taps or (3, 3)))
    with pytest.raises(RuntimeError, match=r"input must be contiguous: pass input.contiguous\(\)"):
        kernel(x.contiguous(memory_format=torch.channels_last), w)
    if w[0].numel() > max(w.shape[1], w[0, 0].numel()):  # else both layouts are one
        with pytest.raises(RuntimeError, match=r"weight must be contiguous: pass weight.contiguous\(\)"):
            kernel(x, w.contiguous(memory_format=torch.channels_last))


def large(*shape):
    """Zeros that nobody looks at: the system gives them no memory."""
    return torch.empty(shape)


def own_refusals():
    """Kernel, arguments, options, words: what one kernel refuses and others do not."""
    x, w, b = random(2, 3, 9, 11), random(4, 3, 3, 3), random(4)
    one = random(1, 1, 1, 1)
    tables = ["conv2d_gemm", "conv2d_gemm_double", "conv2d_gemm_async", "conv2d_wmma"]
    # 2^31 - 2 outputs of one channel: an int counts them, and not the tile that goes past the last one.
    edge = (large(1, 1, 1, 32772), one), {"padding": 16383}
    deep = (large(1, 2**25 + 1, 1, 1), large(1, 2**25 + 1, 1, 1)), {}
    deep_1d = (large(1, 2**24 + 1, 1), large(1, 2**24 + 1, 1)), {}
    wide = (large(1, 1, 2), large(2**17, 1, 1)), {}
    return [
        ("conv2d_rows", (x, random(4, 3, 8, 3)), {}, "must not be larger than 7 x 7: a thread holds"),
        ("conv2d_rows", (x, random(4, 3, 3, 8)), {}, "must not be larger than 7 x 7"),
        ("conv2d_pointwise", (x, w), {}, "a filter of 3x3 is no matrix product of the input"),
        ("conv2d_pointwise", (x, random(4, 3, 1, 2)), {}, "a filter of 1x2 is no matrix product"),
        ("conv2d_pointwise", (x, random(4, 3, 2, 1)), {}, "a filter of 2x1 is no matrix product"),
        ("conv2d_winograd", (x, random(4, 3, 1, 1)), {}, "those of 3x3 filters, not of 1x1"),
        ("conv2d_winograd", (x, random(4, 3, 3, 2)), {}, "those of 3x3 filters, not of 3x2"),
        ("conv2d_winograd", (x, random(4, 3, 5, 3)), {}, "those of 3x3 filters, not of 5x3"),
        ("conv2d_winograd", (x, w, b), {"stride": 2}, "those of stride 1 and dilation 1"),
        ("conv2d_winograd", (x, w, b), {"dilation": 2}, "those of stride 1 and dilation 1"),
        ("conv2d_gemm_async", (x, w), {"tile": -2}, "tile must be -1, for a choice by rule, or below 6"),
        ("conv2d_gemm_async", (x, w), {"tile": 6}, "tile must be -1, for a choice by rule, or below 6"),
        ("conv2d_gemm_async", (x[:0], w), {"tile": 6}, "tile must be -1, for a choice by rule, or below 6"),
        *[
            (name, *rest)
            for name in ("conv2d_mma", "conv2d_wgmma")
            for rest in (
                ((random(1, 2, 20, 5), random(3, 2, 16, 3)), {}, "at most 15 x 15 taps here, one bit each"),
                ((random(1, 2, 5, 20), random(3, 2, 3, 16)), {}, "at most 15 x 15 taps here, one bit each"),
                ((x, w), {"tile": -2}, "tile must be -1 to 4"),
                ((x, w), {"tile": 5}, "tile must be -1 to 4"),
                ((x[:0], w), {"tile": 5}, "tile must be -1 to 4"),
                (*edge, "too many output pixels: int indices overflow"),
            )
        ],
        *[(name, *edge, "too large for int offsets") for name in tables],
        *[(name, (one, one), {"padding": 20_000, "stride": 8}, "for int offsets") for name in tables],
        *[(name, *deep, "the packed weights have over 2.31 - 1 elements") for name in tables],
        ("conv2d_window", *deep, "the packed weight has over 2.30 elements: int indices overflow"),
        ("conv2d_mma_window", *deep, "the filters have over 2.31 - 1 elements when padded"),
        ("conv1d_window", *deep_1d, "the packed weight has over 2.30 elements: int indices overflow"),
        ("conv1d_mma", *deep_1d, "the filters have over 2.31 - 1 elements when padded"),
        (
            "conv1d_mma",
            (random(2, 3, 20), random(4, 3, 2)),
            {"stride": 1000},
            "two stages of the window needs \\d{7,} bytes",
        ),
        ("conv2d_window", (x, w), {"stride": 2**28}, "window and filters needs \\d+ bytes of shared memory"),
        ("conv2d_mma_window", (x, w), {"stride": 2**28}, "the window needs \\d+ bytes of shared memory"),
        (
            "conv2d_gemm",
            (large(1, 1, 1, 1), large(2**20, 1, 1, 1)),
            {},
            "131072 blocks along y: a grid has at most",
        ),
        ("conv1d_naive", *wide, "65,535"),
    ]


@pytest.mark.parametrize(
    "number", [pytest.param(k, id=f"{call[0]}-{k}") for k, call in enumerate(own_refusals())]
)
def test_refusals_of_single_kernels(number):
    name, tensors, options, words = own_refusals()[number]
    (rung,) = find(name)
    with pytest.raises(RuntimeError, match=words):
        Kernel(rung, compiled(rung))(*tensors, **options)


def test_the_largest_tile_and_filter_are_taken():
    """One less than what is refused."""
    x, w = random(1, 2, 15, 16), random(3, 2, 15, 15)
    kernel = Kernel(*find("conv2d_mma"), compiled(*find("conv2d_mma")))
    assert kernel(x, w, tile=4).shape == (1, 3, 1, 2)
    kernel = Kernel(*find("conv2d_rows"), compiled(*find("conv2d_rows")))
    assert kernel(x, random(3, 2, 7, 7)).shape == (1, 3, 9, 10)


# A GPU of compute capability 7.5, as the launcher asks for it; everything else is the simulator's.
OLDER = """#include <torch/extension.h>
inline cudaError_t of_an_older_gpu(int* value, cudaDeviceAttr attribute, int device) {
    const cudaError_t status = cudaDeviceGetAttribute(value, attribute, device);
    if (attribute == cudaDevAttrComputeCapabilityMajor) *value = 7;
    if (attribute == cudaDevAttrComputeCapabilityMinor) *value = 5;
    return status;
}
#define cudaDeviceGetAttribute of_an_older_gpu
"""


@pytest.mark.parametrize("rung", OF_AMPERE, ids=lambda rung: rung.name)
def test_an_older_gpu_is_refused(rung):
    if not rung.simulated:
        pytest.skip("the simulator does not have its instructions")
    name = kernels.operator(rung.name)
    module = load_inline(
        name=rung.name,
        cuda_sources=OLDER + kernels.source(rung.name),
        functions=[name],
        extra_include_paths=[kernels.INCLUDE],
        extra_cuda_cflags=["-O0"],
        backend="simulator",
        checked=False,
    )
    kernel = Kernel(rung, getattr(module, name))
    x, w = (
        (random(1, 1, 4), random(1, 1, 3)) if name == "conv1d" else (random(1, 1, 4, 4), random(1, 1, 3, 3))
    )
    w = random(1, 1, *rung.taps) if rung.taps else w
    words = "needs a GPU of compute capability 8.0 or newer; this one has 7.5"
    for tensor in (x, x[:0]):  # of an empty batch, too: the answer must not depend on it
        with pytest.raises(RuntimeError, match=words):
            kernel(tensor, w)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_a_rung_needs_the_gpu_that_its_source_asks_for(rung):
    text = kernels.source(rung.name)
    asked = [int(version) for version in re.findall(r"require_sm\((\d+),", text)]
    asked += [90] * text.count("require_wgmma(")
    assert asked == [rung.sm] * (rung.sm > 75)
    if asked:
        launcher = text[text.rindex("torch::Tensor conv") :]
        before, after = launcher.split("require_", 1)
        assert "<<<" not in before and "torch::empty" not in before, "asked before anything is done"


def refusals_1d():
    x, w, b = random(2, 3, 20), random(4, 3, 3), random(4)
    return {
        "float64": ((x.double(), w), "input must be float32"),
        "2-D": ((x[0], w), "input must have 3 dimensions, not 2"),
        "weight 4-D": ((x, w[None]), "weight must have 3 dimensions"),
        "input not contiguous": ((x.mT, random(4, 20, 3)), "input must be contiguous"),
        "weight not contiguous": ((x, random(3, 4, 3).transpose(0, 1)), "weight must be contiguous"),
        "bias not contiguous": ((x, w, random(8)[::2]), "bias must be contiguous"),
        "groups": ((x, w[:, :1].contiguous()), "weight has 1 channels, input"),
        "bias too short": ((x, w, b[:3]), "bias must have"),
        "stride 0": ((x, w, None, 0), "stride and dilation"),
        "dilation negative": ((x, w, None, 1, 0, -1), "stride and dilation"),
        "padding negative": ((x, w, None, 1, -1), "padding"),
        "filter too large": ((x, w, None, 1, 0, 10), "larger than the padded input"),
        "huge stride": ((x, w, None, 2**40), "must be below 536870912|over 2.29"),
        "no channels": ((x[:, :0], w[:, :0]), "only the batch may be empty"),
        "over 2^31": (
            (random(1, 1, 1).expand(1, 1, 2**31), w),
            "input has over 2.31|input must be contiguous",
        ),
    }


@pytest.mark.parametrize("name", refusals_1d())
def test_refusals_of_conv1d(conv1d, name):
    arguments, words = refusals_1d()[name]
    with pytest.raises(RuntimeError, match=words):
        conv1d(**named(arguments))
