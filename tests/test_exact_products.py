"""Every product of every kernel counts, once, in every precision and with every tile.

On whole numbers all products and sums are exact, in TF32 and bfloat16 too, so that the result has to be
PyTorch's to the last bit (after one rounding, to the output's type): no tolerance in which a product could
hide. Winograd's algorithm divides; its results are within 1/4 of the whole numbers, where a product is at
least 1.
"""

import pytest
import torch
from rungs import ON_TENSOR_CORES, RUNGS, Kernel, arguments, compiled, convolve, find, integers, random

import kernels
from utils.check import Case, poisoned
from utils.inline import load_inline
from utils.precision import find_precision

# fmt: off
CASES = [
    #             N   C   size       K   taps
    Case("1 channel, 1 filter",
                  1,  1, (9, 70),    1, (3, 3), padding=1),
    Case("1 pixel of output",
                  1, 20, (5, 4),     3, (5, 4), bias=True),
    Case("1 pixel of input, 1 channel, 1 filter",
                  3,  1, (1, 1),     1, (3, 3), padding=1, bias=True),
    Case("more filters and pixels than any tile",
                  2,  5, (12, 13), 130, (2, 2), bias=True),
    Case("many channels",
                  1, 70, (4, 5),     9, (3, 3), padding=1),
    Case("channels of no power of two",
                  2, 12, (6, 7),    17, (3, 2), stride=2, padding=1),
    Case("8 channels more than a piece",
                  1, 24, (5, 6),     8, (3, 3), padding=1, bias=True),
    Case("a wide row",
                  1,  3, (10, 131),  5, (3, 3), padding=1),
    Case("a wide row, aligned",
                  1,  2, (9, 128),   3, (3, 3), padding=1, bias=True),
    Case("many taps",
                  1,  2, (17, 30),   3, (15, 15), padding=2),
    Case("a filter larger than a tile",
                  1,  1, (41, 75),   2, (40, 70)),
    Case("stride greater than the filter",
                  2,  4, (23, 31),   6, (2, 3), stride=7, padding=3),
    Case("AlexNet's first layer",
                  1,  3, (27, 31),  97, (11, 11), stride=4, padding=2),
    Case("ResNet's first layer",
                  2,  3, (17, 24),  66, (7, 7), stride=2, padding=3, bias=True),
    Case("dilation",
                  1,  3, (20, 21),   4, (3, 3), padding=4, dilation=3),
    Case("stride and dilation",
                  2,  6, (13, 14),   3, (3, 3), stride=2, padding=1, dilation=2, bias=True),
    Case("an even padding",
                  1,  9, (11, 12),   5, (4, 5), stride=2, padding=2),
    Case("1x1, four pixels at a time",
                  2, 37, (6, 14),   66, (1, 1), bias=True),
    Case("1x1, padded and strided",
                  2, 17, (7, 9),     5, (1, 1), stride=2, padding=1),
    Case("down the image, 3x3",
                  2,  1, (37, 136),  2, (3, 3), padding=1),
    Case("down the image, 5x5",
                  1,  1, (37, 132),  2, (5, 5), padding=2, bias=True),
    Case("down the image, 7x7",
                  1,  1, (70, 132),  1, (7, 7), padding=3),
    Case("down the image, 5x2",
                  1,  2, (37, 20),   3, (5, 2), padding=1),
    Case("more tiles of 4x4 than a block's",
                  3, 17, (18, 21),  66, (3, 3), padding=1),
]
CASES_1D = [
    Case("1 channel, 1 filter",            1,  1, (70,),   1, (3,), padding=1),
    Case("1 output",                       1, 20, (5,),    3, (5,), bias=True),
    Case("1 element of input",             3,  1, (1,),    1, (3,), padding=1, bias=True),
    Case("more filters than any tile",     2,  5, (403,), 130, (2,), bias=True),
    Case("many channels",                  1, 70, (41,),   9, (3,), padding=1),
    Case("weights beyond shared memory",   1, 60, (30,),   9, (8,), padding=1),
    Case("more tiles than blocks",       140,  3, (7,),    2, (3,), padding=1, bias=True),
    Case("many taps",                      1,  2, (300,),  3, (90,), padding=2),
    Case("stride greater than the filter", 2,  4, (3000,), 6, (3,), stride=7, padding=3),
    Case("dilation",                       1,  3, (420,),  4, (3,), padding=4, dilation=3),
    Case("stride 3, dilation 4, aligned",  1, 10, (2400,), 4, (3,), stride=3, dilation=4, bias=True),
    Case("an even stride",                 1,  9, (900,),  5, (5,), stride=2, padding=2),
]
CASES_DEPTHWISE = [
    Case("one channel",   3,  1, (37, 132),  1, (3, 3), padding=1, bias=True),
    Case("many channels", 2, 70, (9, 10),   70, (3, 3), padding=1),
    Case("a wide plane",  1,  3, (18, 261),  3, (3, 3), padding=1, bias=True),
]
# fmt: on


@pytest.fixture(scope="module", params=RUNGS, ids=lambda rung: rung.name)
def kernel(request):
    return Kernel(request.param, compiled(request.param))


@pytest.fixture(scope="module", params=ON_TENSOR_CORES, ids=lambda rung: rung.name)
def tensor_kernel(request):
    return Kernel(request.param, compiled(request.param))


def cases(rung):
    if "groups" in rung.supports:
        return CASES_DEPTHWISE
    return CASES_1D if kernels.operator(rung.name) == "conv1d" else CASES


def assert_exact(kernel, actual, expected, what):
    """The same numbers, to the last bit; a rung that divides may be a quarter off."""
    expected = expected.to(actual.dtype)
    assert actual.shape == expected.shape, what
    if kernel.name == "conv2d_winograd":
        assert bool(((actual - expected).abs() < 0.25).all()), what
    else:
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, msg=lambda text: f"{what}\n{text}")


DOWN_THE_IMAGE = ("conv2d_rows", "conv2d_vector")  # the others would take long over so many pixels


def test_every_product_counts(kernel):
    tried = 0
    for case in map(kernel.takes, cases(kernel.rung)):
        if case is None or ("down the image" in case.group and kernel.name not in DOWN_THE_IMAGE):
            continue
        tensors = arguments(case, depthwise="groups" in kernel.rung.supports)
        options = {name: value for name, value in case.options.items() if name in kernel.rung.supports}
        expected = convolve(*tensors, **options)
        every = list(kernel.variants())
        if len(every) > 4:  # a third of many tiles, the others in the next cases
            every = every[tried % 3 :: 3]
        for precision, tile in every:
            with poisoned():
                actual = kernel(*tensors, precision=precision, tile=tile, **options)
            assert actual.dtype == find_precision(precision).dtype
            assert_exact(kernel, actual, expected, f"{case.group} ({case}), {precision}, tile {tile}")
        tried += 1
    assert tried >= 3


def at_an_offset(tensor, offset, layout):
    """The same numbers, `offset` elements into a larger tensor; each copy or vector must start elsewhere."""
    last = layout == "channels_last" and tensor.dim() == 4
    flat = tensor.permute(0, 2, 3, 1).flatten() if last else tensor.flatten()
    storage = torch.cat([torch.full((offset,), torch.nan), flat, torch.full((8,), torch.nan)])
    inside = storage.to(tensor.dtype)[offset : offset + flat.numel()]
    if last:
        N, C, H, W = tensor.shape
        return inside.view(N, H, W, C).permute(0, 3, 1, 2)
    return inside.view(tensor.shape)


@pytest.mark.parametrize("offset", [1, 2, 4])
def test_slices_of_a_larger_tensor(kernel, offset):
    """Their data begin at any element, not at a multiple of 16 bytes."""
    depthwise = "groups" in kernel.rung.supports
    size = (8,) if kernel.rung.name.startswith("conv1d") else (6, 8)
    case = kernel.takes(Case("slices", 2, 16, size, 16, (3, 3)[-len(size) :], padding=1, bias=True))
    tensors = arguments(case, depthwise)
    options = {"padding": 1}
    expected = convolve(*tensors, **options)
    for precision, tile in kernel.variants():
        dtype = find_precision(precision).dtype
        slices = [at_an_offset(t.to(dtype), offset, kernel.rung.layout) for t in tensors]
        assert all(t.data_ptr() % 16 == offset * t.element_size() % 16 for t in slices)
        actual = kernel(*slices, precision=precision, tile=tile, **options)
        assert_exact(kernel, actual, expected, f"offset {offset}, {precision}, tile {tile}")


def spreads(kernel, precision, taps):
    """Whether an infinite input reaches outputs whose window it is not in: the header says so, and why."""
    if kernel.name == "conv2d_rows":
        return taps != (3, 3)
    return kernel.name in ("conv2d_winograd", "conv2d_vector") or (
        kernel.name == "conv2d_mma_window" and precision == "bf16"
    )


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2}], ids=str)
@pytest.mark.parametrize("taps", [(3, 3), (2, 2)], ids=str)
def test_inf_and_nan_stay_where_pytorch_has_them(kernel, taps, options):
    if not options.keys() <= kernel.rung.supports:
        pytest.skip("not an option of this kernel")
    one = kernel.name.startswith("conv1d")
    depthwise = "groups" in kernel.rung.supports
    C, taps = 5, kernel.rung.taps or ((3, 3) if depthwise else taps)
    x = integers(2, C, *((40,) if one else (12, 19)))
    w, b = integers(C, 1 if depthwise else C, *(taps[:1] if one else taps)), integers(C)
    x[1, 3][(17,) if one else (5, 8)] = torch.inf
    x[1, 2][(30,) if one else (9, 15)] = -torch.inf
    x[0, 4][(9,) if one else (2, 3)] = torch.nan
    expected = convolve(x, w, b, **options)
    for precision, tile in kernel.variants():
        actual = kernel(x, w, b, precision=precision, tile=tile, **options)
        if spreads(kernel, precision, taps):
            assert "infinite input" in header(kernel.name)
            assert not (actual.isfinite() & ~expected.isfinite()).any()
            assert actual[1, :, :, :3].isfinite().all(), "not far away"
            continue
        actual, wanted = actual.nan_to_num(7e7, 8e8, 9e9), expected.float().nan_to_num(7e7, 8e8, 9e9)
        assert_exact(kernel, actual, wanted, f"{precision}, tile {tile}")


def header(name):
    """The comments that a kernel's file begins with, and those before its kernels, in one line."""
    comments = [line[2:].strip() for line in kernels.source(name).split("\n") if line.startswith("//")]
    return " ".join(comments)


def to_tf32(x):
    """Rounded to 10 bits of fraction, to nearest, ties away from zero: cvt.rna.tf32.f32."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def test_tf32_rounds_both_factors_to_nearest(tensor_kernel):
    """1x1 filters of one channel: an output is one product, so that each rounding is seen by itself."""
    if tensor_kernel.name == "conv2d_wgmma":
        pytest.skip("it cuts off the input, and makes up for it in the weight, as its header says")
    one = tensor_kernel.name.startswith("conv1d")
    ties = 1 + torch.arange(-8, 8) * 2.0**-11  # half of them lie between two numbers of TF32
    x = torch.cat([random(200), ties, -ties, torch.tensor([3.4e38, 1e-38, 0.0])]).view(1, 1, *[1, -1][one:])
    ones = torch.ones(1, 1, *[1, 1][one:])
    w = x.reshape(-1, *ones.shape[1:])
    # Four channels, of which one counts: where they fill 16 bytes, nothing is packed before.
    four, fourth = x.repeat(1, 4, *[1, 1][one:]), torch.tensor([0.0, 0, 0, 1]).view(1, 4, *[1, 1][one:])
    for _, tile in (v for v in tensor_kernel.variants() if v[0] == "tf32"):
        assert torch.equal(tensor_kernel(x, ones, tile=tile), to_tf32(x))
        assert torch.equal(tensor_kernel(four, fourth, tile=tile), to_tf32(x))
        assert torch.equal(tensor_kernel(ones, w, tile=tile).flatten(), to_tf32(w).flatten())


def test_sums_and_bias_are_kept_in_float(tensor_kernel):
    """Sums of more bits than TF32 and bfloat16 have; at the end bfloat16 is rounded to, once, to even."""
    one = tensor_kernel.name.startswith("conv1d")
    for precision, tile in tensor_kernel.variants():
        bits = 10 if precision == "tf32" else 7
        shape = (2, 40, 30) if one else (2, 40, 5, 6)
        x = integers(*shape, least=2**bits, most=2 ** (bits + 1) - 1)
        taps = tensor_kernel.rung.taps or (3, 3)
        w = integers(6, 40, *taps[one:], least=1, most=2 ** (bits - 3))
        b = integers(6, least=2**bits, most=2 ** (bits + 1) - 1)
        exact = convolve(x, w, b, padding=1)
        assert 2 ** (bits + 7) < exact.abs().max() < 2**23
        actual = tensor_kernel(x, w, b, precision=precision, tile=tile, padding=1)
        assert torch.equal(actual, exact.to(actual.dtype)), (precision, tile)


def test_bfloat16_rounds_the_output_to_nearest_even(tensor_kernel):
    if "bf16" not in tensor_kernel.rung.precisions:
        pytest.skip("float32 alone")
    x = torch.tensor([[256.0, 1], [256, 3], [-256, -1], [512, 3], [512, 2], [512, 6]])
    x = x.T.reshape(1, 2, 2, 3).contiguous()
    for _, tile in (v for v in tensor_kernel.variants() if v[0] == "bf16"):
        actual = tensor_kernel(x, torch.ones(1, 2, 1, 1), precision="bf16", tile=tile)
        assert actual.flatten().tolist() == [256, 260, -256, 516, 512, 520]


def test_winograd_takes_images_in_several_launches():
    (rung,) = find("conv2d_winograd")
    text, most = kernels.source(rung.name), "SCRATCH = int64_t(1) << 30"
    assert most in text
    module = load_inline(
        name=rung.name,
        cuda_sources=text.replace(most, "SCRATCH = 200000"),
        functions=["conv2d"],
        extra_include_paths=[kernels.INCLUDE],
        backend="simulator",
    )
    x, w, b = integers(5, 3, 7, 9), integers(4, 3, 3, 3), integers(4)
    actual = module.conv2d(x, w, b, padding=1)
    assert_exact(Kernel(rung, module.conv2d), actual, convolve(x, w, b, padding=1), "5 images")
