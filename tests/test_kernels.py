"""Every kernel of the course on every backend at hand: right, and refusing what it cannot do."""

import shutil
import subprocess

import pytest
import torch
import torch.nn.functional as F

import kernels
from kernels import LADDERS, WORKLOADS
from utils.check import check_conv2d
from utils.facade import INCLUDE
from utils.inline import find_nvcc
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
    with pytest.raises(ValueError, match="no kernel is called 'conv3d'; there are conv2d_naive"):
        kernels.source("conv3d")


def test_right(rung, capsys):
    launcher = kernels.load(rung.name, backend="simulator")
    check_conv2d(launcher, **({"channels_last": True} if rung.layout == "channels_last" else {}))
    assert "everything together" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"padding": 2}, {"dilation": 2}])
@pytest.mark.parametrize("shapes", [((1, 1, 7, 5), (1, 1, 3, 2)), ((2, 3, 6, 40), (2, 3, 2, 2))])
def test_defaults_and_keywords(conv2d, shapes, options):
    x, w = (random(*shape) for shape in shapes)
    torch.testing.assert_close(conv2d(x, w, **options), F.conv2d(x, w, **options))
    b = random(w.shape[0])
    torch.testing.assert_close(conv2d(x, w, b, **options), F.conv2d(x, w, b, **options))


def test_uncovered_extremes(conv2d):
    x = random(1, 1, 3, 4)
    w = random(1, 1, 1, 1)
    torch.testing.assert_close(conv2d(x, w, stride=2**28), F.conv2d(x, w, stride=2**28))
    torch.testing.assert_close(conv2d(x, w, dilation=2**28), F.conv2d(x, w, dilation=2**28))
    assert conv2d(x[:0], w).shape == (0, 1, 3, 4)


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
            "65,535 blocks along y",
        ),
    }


@pytest.mark.parametrize("name", refusals())
def test_refusals_say_why(conv2d, name):
    arguments, words = refusals()[name]
    with pytest.raises(RuntimeError, match=words):
        conv2d(*arguments)


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
    naive = LADDERS["conv2d"][-1]
    assert naive.handles(alexnet)
    assert not naive.handles(WORKLOADS["depthwise"]) and not naive.handles(WORKLOADS["conv1d_dilated"])


@pytest.mark.nvcc
@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90"])
def test_nvcc_compiles_every_kernel(arch, tmp_path):
    toolkit = find_nvcc()
    if toolkit is None:
        pytest.skip("no nvcc here")
    # One file for all of them, each in a namespace of its own: nvcc reads the headers only once.
    headers = "#include <c10/cuda/CUDAGuard.h>\n#include <torch/extension.h>\n#include <climits>\n"
    text = headers + "".join(
        f'namespace file_{name} {{\n#include "{kernels.FOLDER / name}.cu"\n}}\n' for name in kernels.names()
    )
    (tmp_path / "all.cu").write_text(text)
    command = [toolkit.nvcc, f"-arch={arch}", "-c", "-std=c++17", "-I", str(INCLUDE)]
    command += ["-Werror", "all-warnings"]
    done = subprocess.run([*command, "all.cu", "-o", "all.o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("clang-format") is None, reason="no clang-format here")
def test_clang_format():
    files = [str(path) for path in kernels.FOLDER.glob("*.cu")]
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
