"""Every kernel of the course on every backend at hand: right, and refusing what it cannot do."""

import shutil
import subprocess

import all_kernels
import pytest
import torch
import torch.nn.functional as F

import kernels
from kernels import LADDERS, WORKLOADS
from utils.facade import INCLUDE
from utils.inline import find_nvcc
from utils.ladder import check_rung
from utils.simulator import profile


@pytest.fixture(scope="module", params=LADDERS["conv2d"], ids=lambda rung: rung.name)
def rung(request):
    return request.param


@pytest.fixture(scope="module")
def conv2d(rung):
    """The rung's launcher; contiguous tensors are put into its layout, others stay as they are."""
    launcher = kernels.load(rung.name, backend="simulator")
    if rung.layout == "NCHW":
        return launcher

    def laid_out(*arguments, **options):
        options = {name: in_channels_last(value) for name, value in options.items()}
        return launcher(*(in_channels_last(argument) for argument in arguments), **options)

    return laid_out


def in_channels_last(argument):
    is_image = isinstance(argument, torch.Tensor) and argument.dim() == 4 and argument.is_contiguous()
    return argument.contiguous(memory_format=torch.channels_last) if is_image else argument


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def test_ladders_name_files_and_every_file_is_a_kernel():
    rungs = {rung.name for ladder in LADDERS.values() for rung in ladder}
    assert rungs <= set(kernels.names())
    assert set(kernels.names()) - rungs == {"moving_average"}
    for name in kernels.names():
        text = kernels.source(name)
        assert f" {kernels.operator(name)}(" in text and text.startswith("//")
    with pytest.raises(ValueError, match="no kernel is called 'conv3d'; there are conv1d_naive"):
        kernels.source("conv3d")


def test_right(rung, capsys):
    check_rung(rung, kernels.load(rung.name, backend="simulator"))
    out = capsys.readouterr().out
    assert ("everything together" in out) == (rung.supports >= {"stride", "padding", "dilation"})


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"padding": 2}, {"dilation": 2}])
@pytest.mark.parametrize("shapes", [((1, 1, 7, 5), (1, 1, 3, 2)), ((2, 3, 6, 40), (2, 3, 2, 2))])
def test_defaults_and_keywords(rung, conv2d, shapes, options):
    if not options.keys() <= rung.supports:
        pytest.skip("not an option of this kernel")
    x, w = (random(*shape) for shape in shapes)
    torch.testing.assert_close(conv2d(x, w, **options), F.conv2d(x, w, **options))
    b = random(w.shape[0])
    torch.testing.assert_close(conv2d(x, w, b, **options), F.conv2d(x, w, b, **options))


@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_uncovered_extremes(rung, conv2d, option):
    if option not in rung.supports:
        pytest.skip("not an option of this kernel")
    x, w, options = random(1, 1, 3, 4), random(1, 1, 1, 1), {option: 2**28}
    if option == "stride" and is_tiled(rung):  # the tile has a row for every row between two windows
        with pytest.raises(RuntimeError, match="needs 8589934\\d\\d\\d bytes of shared memory; a block of"):
            conv2d(x, w, **options)
    else:
        torch.testing.assert_close(conv2d(x, w, **options), F.conv2d(x, w, **options))


def test_empty_batch(conv2d):
    assert conv2d(random(0, 1, 3, 4), random(1, 1, 1, 1)).shape == (0, 1, 3, 4)


def is_tiled(rung):
    return "shared_bytes(" in kernels.source(rung.name)


def test_a_tile_over_48_kb_is_asked_for(rung, conv2d):
    if not is_tiled(rung):
        pytest.skip("no tile")
    options = {"stride": 9} if "stride" in rung.supports else {}
    x, w = random(1, 2, 110, 303), random(3, 2, *((3, 3) if options else (90, 80)))
    expected = F.conv2d(x.double(), w.double(), **options).float()
    torch.testing.assert_close(conv2d(x, w, **options), expected, atol=1e-3, rtol=1e-4)


def test_a_tile_that_fits_no_block_is_refused_with_the_numbers(rung, conv2d):
    if not is_tiled(rung):
        pytest.skip("no tile")
    options = {"stride": 40} if "stride" in rung.supports else {}
    x, w = random(1, 1, 300, 300), random(1, 1, *((3, 3) if options else (200, 200)))
    with pytest.raises(
        RuntimeError, match=r"tile.* needs \d{6,7} bytes of shared memory; a block of .* has \d+"
    ):
        conv2d(x, w, **options)


def test_constant_memory_takes_filters_in_portions_and_refuses_one_that_does_not_fit():
    conv2d = kernels.load("conv2d_constant", backend="simulator")
    x, w = random(2, 40, 11, 12), random(7, 40, 10, 10)  # 4,000 weights a filter: four fit
    torch.testing.assert_close(conv2d(x, w), F.conv2d(x, w), atol=1e-3, rtol=1e-3)
    with pytest.raises(RuntimeError, match="a filter of 20000 weights does not fit constant memory"):
        conv2d(random(1, 200, 10, 10), random(1, 200, 10, 10))


def test_vector_loads_at_any_address_and_width():
    conv2d = kernels.load("conv2d_vector", backend="simulator")
    storage = random(4 * 70 * 9 + 3)
    for first in range(4):
        for width in (68, 69, 70):
            x = storage[first : first + 2 * 9 * width].view(1, 2, 9, width)
            w = random(2, 2, 3, 3)
            torch.testing.assert_close(conv2d(x, w, padding=1), F.conv2d(x, w, padding=1))


def refusals():
    x, w, b = random(2, 3, 5, 6), random(4, 3, 3, 3), random(4)
    huge = 2**40
    return {
        "float64": ((x.double(), w), "input must be float32"),
        "weight float16": ((x, w.half()), "weight must be float32"),
        "bias int": ((x, w, b.int()), "bias must be float32"),
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
        "grid too deep": (
            (random(1, 1, 1, 1).expand(70000, 1, 1, 1).contiguous(), random(1, 1, 1, 1)),
            "65,535",
        ),
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


@pytest.mark.parametrize("name", refusals())
def test_refusals_say_why(rung, conv2d, name):
    arguments, words = refusals()[name]
    options = dict(zip(NAMES, arguments, strict=False))
    defaults = {"bias": None, "stride": 1, "padding": 0, "dilation": 1}
    options = {name: value for name, value in options.items() if value is not defaults.get(name, ...)}
    if not options.keys() - {"input", "weight"} <= rung.supports:
        pytest.skip("not an option of this kernel")
    with pytest.raises(RuntimeError, match=words):
        conv2d(**options)


def test_over_2_to_the_31_elements(conv2d):
    huge = random(1, 1, 1, 1).expand(1, 2, 2**15, 2**15)  # without its 8 GB
    with pytest.raises(RuntimeError, match="input has over 2.31 - 1 elements|input must be contiguous"):
        conv2d(huge, random(1, 2, 3, 3))


@pytest.fixture(scope="module", params=LADDERS["conv1d"], ids=lambda rung: rung.name)
def conv1d(request):
    return kernels.load(request.param.name, backend="simulator")


def refusals_1d():
    x, w, b = random(2, 3, 20), random(4, 3, 3), random(4)
    return {
        "float64": ((x.double(), w), "input must be float32"),
        "2-D": ((x[0], w), "input must have 3 dimensions, not 2"),
        "weight 4-D": ((x, w[None]), "weight must have 3 dimensions"),
        "input not contiguous": ((x.mT, random(4, 20, 3)), "input must be contiguous"),
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
        conv1d(*arguments)


@pytest.mark.parametrize("name", ["conv1d_tiled", "conv1d_registers"])
def test_conv1d_with_a_tile_of_any_size(name):
    conv1d = kernels.load(name, backend="simulator")
    x, w = random(1, 2, 30_000), random(3, 2, 2)
    torch.testing.assert_close(conv1d(x, w, dilation=20_000), F.conv1d(x, w, dilation=20_000))
    with pytest.raises(
        RuntimeError, match="tile.* needs \\d+ bytes of shared memory; a block of .* has \\d+"
    ):
        conv1d(random(1, 1, 200_000), random(1, 1, 2), dilation=100_000)


@pytest.mark.parametrize(
    "name, loads, stores",
    [
        ("conv2d_naive", (291_840, 778_240), (2_048, 8_192)),
        ("conv2d_uncoalesced", (291_840, 4_766_720), (2_048, 65_536)),
    ],
)
def test_counters_are_those_of_nsight_compute(name, loads, stores):
    """Measured on an H200 with Nsight Compute, 2026-11-20."""
    (launch,) = profile(kernels.load(name), random(2, 8, 64, 64), random(8, 8, 3, 3), padding=1)
    assert (launch.global_load.requests, launch.global_load.sectors) == loads
    assert (launch.global_store.requests, launch.global_store.sectors) == stores


def test_moving_average():
    fn = kernels.load("moving_average", backend="simulator")
    for size in (3, 4, 257, 258, 259, 1000):
        x = random(size)
        torch.testing.assert_close(fn(x), x.unfold(0, 3, 1).mean(1))
    for wrong, words in (
        (random(2), "3 to 2"),
        (random(4, 4), "one dimension"),
        (random(9).double(), "float32"),
    ):
        with pytest.raises(RuntimeError, match=words):
            fn(wrong)


def test_workloads():
    alexnet = WORKLOADS["alexnet_conv1"]
    assert (alexnet.P, alexnet.Q) == (55, 55)
    assert alexnet.flops == 2 * 256 * 96 * 55 * 55 * 3 * 11 * 11
    assert alexnet.min_bytes == 4 * (256 * 3 * 224 * 224 + 96 * 3 * 11 * 11 + 256 * 96 * 55 * 55)
    assert WORKLOADS["conv1d_dilated"].output_shape == (64, 128, (524_280 - 4 * 2 - 1) // 3 + 1)
    for workload in WORKLOADS.values():
        fn = getattr(F, workload.operator)
        x, w = (torch.empty(shape, device="meta") for shape in (workload.input_shape, workload.weight_shape))
        options = {name: getattr(workload, name) for name in ("stride", "padding", "dilation", "groups")}
        assert tuple(fn(x, w, **options).shape) == workload.output_shape, workload.name
        assert all(torch.Size(s).numel() < 2**31 for s in (workload.input_shape, workload.output_shape))
    naive = kernels.rung("conv2d_naive")
    assert naive.handles(alexnet)
    assert not naive.handles(WORKLOADS["depthwise"]) and not naive.handles(WORKLOADS["conv1d_dilated"])
    assert kernels.rung("conv2d_depthwise").handles(WORKLOADS["depthwise"])
    assert not kernels.rung("conv2d_depthwise").handles(WORKLOADS["resnet_3x3_56"])


@pytest.mark.nvcc
@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90"])
def test_nvcc_compiles_every_kernel(arch, tmp_path):
    toolkit = find_nvcc()
    if toolkit is None:
        pytest.skip("no nvcc here")
    everything = all_kernels.write(tmp_path, kernels.names())
    command = [
        toolkit.nvcc,
        f"-arch={arch}",
        "-c",
        "-std=c++17",
        "-I",
        str(INCLUDE),
        "-I",
        str(kernels.INCLUDE),
    ]
    command += ["-Werror", "all-warnings"]
    done = subprocess.run([*command, everything, "-o", "all.o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("clang-format") is None, reason="no clang-format here")
def test_clang_format():
    files = [str(path) for path in kernels.FOLDER.glob("*.cu")]
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
