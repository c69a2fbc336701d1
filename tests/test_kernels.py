"""Every kernel of the course: right on what a learner would call it with, and on what is extreme.

What kernels refuse is in test_kernel_refusals.py, every product, tile and rounding in test_exact_products.py.
"""

import shutil
import subprocess

import all_kernels
import pytest
import torch
import torch.nn.functional as F
from rungs import RUNGS, Kernel, compiled, convolve, integers, random

import kernels
from kernels import GRADIENTS, LADDERS, WORKLOADS
from utils.check import error_bound
from utils.facade import INCLUDE
from utils.inline import find_nvcc
from utils.ladder import check_rung
from utils.precision import find_precision
from utils.simulator import profile
from utils.timing import can_measure


@pytest.fixture(scope="module", params=LADDERS["conv2d"], ids=lambda rung: rung.name)
def conv2d(request):
    return Kernel(request.param, compiled(request.param))


@pytest.fixture(scope="module", params=LADDERS["conv1d"], ids=lambda rung: rung.name)
def conv1d(request):
    return Kernel(request.param, compiled(request.param))


def assert_right(kernel, x, w, b=None, precision=None, tile=None, **options):
    """The result is as near to the exact one as the kernel's precision and its way of summing allow."""
    numbers = find_precision(precision or kernel.rung.precisions[0])
    actual = kernel(x, w, b, precision=precision, tile=tile, **options)
    tensors = [None if t is None else t.to(numbers.dtype).float() for t in (x, w, b)]
    fn = F.conv1d if x.dim() == 3 else F.conv2d
    expected = convolve(*tensors, **options)
    allowed = error_bound(fn, *tensors, precision=numbers, rounding=kernel.rung.rounding, **options)
    assert actual.dtype == numbers.dtype and actual.shape == expected.shape
    assert bool(((actual.double() - expected).abs() <= allowed).all())


def test_ladders_name_files_and_every_file_is_a_kernel():
    assert set(kernels.names()) - {rung.name for rung in kernels.rungs()} == {"moving_average"}
    for launcher, ladder in GRADIENTS.items():
        assert {kernels.operator(rung.name) for rung in ladder} == {launcher}
    for name in kernels.names():
        text = kernels.source(name)
        assert f" {kernels.operator(name)}(" in text and text.startswith("//")
    with pytest.raises(ValueError, match=r"no kernel is called 'conv3d'; there are bgrad_\w+, "):
        kernels.source("conv3d")


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_right(rung, capsys):
    check_rung(rung, compiled(rung))
    out = capsys.readouterr().out
    assert ("everything together" in out) == (rung.supports >= {"stride", "padding", "dilation"})


@pytest.mark.gpu
@pytest.mark.skipif(not can_measure(), reason="needs a GPU and nvcc")
@pytest.mark.parametrize("rung", [rung for rung in RUNGS if rung.simulated], ids=lambda rung: rung.name)
def test_right_on_a_gpu(rung, capsys):
    major, minor = torch.cuda.get_device_capability()
    if 10 * major + minor < rung.sm:
        pytest.skip(f"needs compute capability {rung.sm / 10}")
    check_rung(rung, kernels.load(rung.name, backend="cuda"))


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"padding": 2}, {"dilation": 2}])
@pytest.mark.parametrize("shapes", [((1, 1, 7, 5), (1, 1, 3, 2)), ((2, 3, 6, 40), (2, 3, 2, 2))])
def test_defaults_and_keywords(conv2d, shapes, options):
    if not options.keys() <= conv2d.rung.supports:
        pytest.skip("not an option of this kernel")
    x, w = (random(*shape) for shape in shapes)
    if conv2d.rung.taps:
        w = random(*w.shape[:2], *conv2d.rung.taps)
    b = random(w.shape[0])
    for precision in conv2d.rung.precisions:
        assert_right(conv2d, x, w, precision=precision, **options)
        assert_right(conv2d, x, w, b, precision=precision, **options)


@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_uncovered_extremes(conv2d, option):
    if option not in conv2d.rung.supports:
        pytest.skip("not an option of this kernel")
    x, w, options = random(1, 1, 3, 4), random(1, 1, 1, 1), {option: 2**28}
    if option == "stride" and has_a_window(conv2d):  # with a row for every row between two outputs
        with pytest.raises(RuntimeError, match="needs \\d{10,} bytes of shared memory; a block of"):
            conv2d(x, w, **options)
    else:
        assert_right(conv2d, x, w, **options)


@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_uncovered_extremes_of_conv1d(conv1d, option):
    x, w, options = random(1, 1, 4), random(1, 1, 1), {option: 2**28}
    if option == "stride" and "shared_bytes(" in kernels.source(conv1d.name):
        with pytest.raises(RuntimeError, match="needs \\d{10,} bytes of shared memory; a block of"):
            conv1d(x, w, **options)
    else:
        assert_right(conv1d, x, w, **options)


def test_empty_batch(conv2d):
    w = random(4, 1, *(conv2d.rung.taps or (1, 1)))
    for precision, tile in conv2d.variants():
        empty = conv2d(random(0, 1, 3, 4), w, precision=precision, tile=tile)
        assert empty.shape == F.conv2d(random(0, 1, 3, 4), w).shape
        assert empty.dtype == find_precision(precision).dtype


def test_empty_batch_of_conv1d(conv1d):
    assert conv1d(random(0, 1, 4), random(5, 1, 2)).shape == (0, 5, 3)


def test_many_images(conv2d):
    """More than a grid has blocks along z: refused with the number, or right."""
    taps = conv2d.rung.taps or (1, 1)
    if taps == (3, 3):
        pytest.skip("a minute in the simulator; the images lie along x, as test_exact_products has them")
    x, w = integers(2).repeat(35_000).view(-1, 1, 1, 1), integers(1, 1, *taps)
    try:
        actual = conv2d(x, w)
    except RuntimeError as error:
        assert "70000" in str(error) and "a grid has at most 65,535" in str(error)
        assert conv2d.name in OVER_IMAGES
    else:
        assert torch.equal(actual.double(), convolve(x, w)) and conv2d.name not in OVER_IMAGES


# Kernels that have a grid's third dimension for the images.
OVER_IMAGES = {
    f"conv2d_{name}"
    for name in (
        *("uncoalesced", "naive", "nhwc", "tiled", "constant", "weights", "padded", "swizzled", "vector"),
        *("channels", "registers", "window", "rows", "mma_window"),
    )
}


OF_FIXED_SIZE = ("conv2d_mma", "conv2d_mma_pointwise", "conv2d_wgmma")


def has_a_window(kernel):
    """Whether its shared memory grows with the window of the input."""
    return "shared_bytes(" in kernels.source(kernel.name) and kernel.name not in OF_FIXED_SIZE


def test_a_tile_over_48_kb_is_asked_for(conv2d):
    if not has_a_window(conv2d):
        pytest.skip("no tile that grows")
    options = {"stride": 9} if "stride" in conv2d.rung.supports else {}
    x, w = random(1, 2, 110, 303), random(3, 2, *((3, 3) if options else (90, 80)))
    for precision in conv2d.rung.precisions:
        assert_right(conv2d, x, w, precision=precision, **options)


def test_a_tile_that_fits_no_block_is_refused_with_the_numbers(conv2d):
    if not has_a_window(conv2d):
        pytest.skip("no tile that grows")
    options = {"stride": 40} if "stride" in conv2d.rung.supports else {}
    x, w = random(1, 1, 300, 300), random(1, 1, *((3, 3) if options else (200, 200)))
    if conv2d.name.startswith(("conv2d_window", "conv2d_mma_window")):
        options = {"stride": 70}
    with pytest.raises(
        RuntimeError, match=r"(tile|window).* needs \d{6,7} bytes of shared memory; a block of .* has \d+"
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


def test_conv1d_with_a_tile_of_any_size(conv1d):
    if "shared_bytes(" not in kernels.source(conv1d.name):
        pytest.skip("no tile")
    # A kernel that stages 8 channels, twice, has room for less.
    most = 20_000 if conv1d.name in ("conv1d_tiled", "conv1d_registers") else 2_500
    x, w = random(1, 2, 30_000), random(3, 2, 2)
    assert_right(conv1d, x, w, dilation=most)
    with pytest.raises(
        RuntimeError, match="(tile|window).* needs \\d+ bytes of shared memory; a block of .* has \\d+"
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
@pytest.mark.parametrize("arch", ["sm_75", "sm_90", "sm_90a"])  # sm_80 takes the branches of sm_90
def test_nvcc_compiles_every_kernel(arch, tmp_path):
    """For a GPU that is too old, too: there a kernel's functions stop it, and its launcher has refused."""
    toolkit = find_nvcc()
    if toolkit is None:
        pytest.skip("no nvcc here")
    # wgmma is in sm_90a alone; for the others that is sm_90.
    names = [name for name in kernels.names() if arch != "sm_90a" or kernels.rung(name).sm == 90]
    everything = all_kernels.write(tmp_path, names)
    folders = [f"-I{folder}" for folder in (INCLUDE, kernels.INCLUDE)]
    command = [toolkit.nvcc, f"-arch={arch}", "-c", "-std=c++17", *folders, "-Werror", "all-warnings"]
    command += ["-Xcicc", "-O0", "-Xptxas", "-O1"]  # refuses the same, in less time; `make compat` optimises
    done = subprocess.run([*command, everything, "-o", "all.o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if arch == "sm_90a":
        assert b"wgmma" in (tmp_path / "all.o").read_bytes()


@pytest.mark.skipif(shutil.which("clang-format") is None, reason="no clang-format here")
def test_clang_format():
    files = [str(path) for path in kernels.FOLDER.glob("*.cu")]
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
