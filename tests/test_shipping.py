"""The package of the lesson *ship it*: what it builds, what it asks PyTorch for, what its pictures say."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
import torch

import kernels
from utils import shipping
from utils.errors import CompileError
from utils.exercise import spec
from utils.inline.nvcc import find_nvcc
from utils.shipping import pictures
from utils.timing import can_measure

# In a process of its own: what an installed package does, without the course.
USE = """
import sys
sys.path.insert(0, sys.argv[1])
import torch, fastconv
torch.manual_seed(0)
for shape, taps, options in (((2, 3, 11, 13), (3, 2), (2, 1, 1)), ((1, 4, 9, 20), (2, 4), (1, 3, 2)),
                             ((0, 4, 9, 20), (2, 4), (1, 0, 1))):
    made = (torch.randn(shape), torch.randn(5, shape[1], *taps), torch.randn(5))
    x, w, b = (tensor.requires_grad_() for tensor in made)
    ours, real = fastconv.conv2d(x, w, b, *options), torch.nn.functional.conv2d(x, w, b, *options)
    torch.testing.assert_close(ours, real)
    factor = torch.randn(real.shape)
    pair = [torch.autograd.grad(result, (x, w, b), factor) for result in (ours, real)]
    for one, other in zip(*pair):
        torch.testing.assert_close(one, other)
    if len(x):
        torch.library.opcheck(fastconv.conv2d.default, (x, w, b, *options))
x, w = torch.randn(1, 4, 9, 20), torch.randn(5, 4, 2, 4, requires_grad=True)
fastconv.conv2d(x, w).sum().backward()  # without a bias
ours, w.grad = w.grad, None
torch.nn.functional.conv2d(x, w).sum().backward()
torch.testing.assert_close(ours, w.grad)
y = torch.randn(9, 20, 1, 4).permute(2, 3, 0, 1)  # channels_last, and a bias and weights with gaps
w, b = torch.randn(5, 4, 2, 8)[..., ::2], torch.randn(10)[::2]
torch.testing.assert_close(fastconv.conv2d(y, w, b), torch.nn.functional.conv2d(y, w, b))
for wrong in ((x[0], w), (x.double(), w.double()), (x, w[:, :1]), (x, w, b[:2]), (x, w, None, 0)):
    try:
        fastconv.conv2d(*wrong)
    except RuntimeError:
        continue
    raise SystemExit("not refused")
print("all right")
"""

# The same on a GPU: another kernel by the same name, on the caller's stream, with a gradient and autocast.
USE_GPU = """
import sys
sys.path.insert(0, sys.argv[1])
import torch, fastconv
torch.manual_seed(0)
for shape, K, taps, options in (
    ((2, 3, 67, 70), 96, (11, 11), (4, 2, 1)),
    ((2, 5, 9, 40), 7, (3, 3), (1, 1, 1)),
    ((1, 4, 9, 20), 5, (2, 4), (1, 3, 2)),
    ((0, 4, 9, 20), 5, (2, 4), (1, 0, 1)),
):
    x, w, b = torch.randn(shape), torch.randn(K, shape[1], *taps), torch.randn(K)
    exact = torch.nn.functional.conv2d(x.double(), w.double(), b.double(), *options).float()
    on_gpu = x.cuda(), w.cuda().requires_grad_(), b.cuda()
    with torch.cuda.stream(torch.cuda.Stream()):
        ours = fastconv.conv2d(*on_gpu, *options)
        torch.cuda.current_stream().synchronize()
    torch.testing.assert_close(ours.cpu(), exact, atol=1e-4, rtol=1e-5)
    if len(x):
        torch.library.opcheck(fastconv.conv2d.default, (*on_gpu, *options))
y = torch.randn(9, 20, 1, 4).permute(2, 3, 0, 1)  # channels_last, and a bias and weights with gaps
w, b = torch.randn(5, 4, 2, 8), torch.randn(10)
ours = fastconv.conv2d(y.cuda(), w.cuda()[..., ::2], b.cuda()[::2])
exact = torch.nn.functional.conv2d(y.double(), w[..., ::2].double(), b[::2].double()).float()
torch.testing.assert_close(ours.cpu(), exact, atol=1e-4, rtol=1e-5)
with torch.autocast("cuda"):
    assert fastconv.conv2d(x.cuda().half(), w.cuda().half()).dtype == torch.float32
for wrong in ((x.cuda(), w), (x.cuda().double(), w.cuda().double()), (x.cuda()[0], w.cuda())):
    try:
        fastconv.conv2d(*wrong)
    except RuntimeError:
        continue
    raise SystemExit("not refused")
print("all right")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return shipping.write_package(tmp_path_factory.mktemp("sources") / "fastconv")


@pytest.fixture(scope="module")
def wheel(package):
    return shipping.build_wheel(package)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return shipping.install_wheel(wheel, tmp_path_factory.mktemp("site"))


def test_the_package_ships_the_course_s_kernel_unchanged(package):
    for name in ("conv2d_window.cu", "conv.h", "ptx.h"):
        source = (kernels.FOLDER if name.endswith(".cu") else kernels.INCLUDE) / name
        assert (package / "csrc" / name).read_text() == source.read_text()
        assert not (shipping.TEMPLATE / "csrc" / name).exists(), "a second copy"
    assert not list(package.rglob("__pycache__"))


def test_a_folder_in_use_is_not_written_into(package):
    with pytest.raises(FileExistsError, match="not empty"):
        shipping.write_package(package)


def test_the_wheel_is_for_every_python_from_3_10_on(wheel):
    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, version, python, abi) == ("fastconv", "0.1.0", "cp310", "abi3")
    assert platform.startswith("linux_")
    listed = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(listed) == ["fastconv/_C.abi3.so", "fastconv/__init__.py"]


def test_the_installed_package_is_right_and_refuses_the_rest(installed):
    done = subprocess.run([sys.executable, "-I", "-c", USE, str(installed)], capture_output=True, text=True)
    assert done.stdout == "all right\n", done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(
    not can_measure() or torch.cuda.get_device_capability() < (8, 0),
    reason="needs a GPU from 8.0 on",
)
def test_the_installed_package_is_right_on_a_gpu(installed):
    done = subprocess.run(
        [sys.executable, "-I", "-c", USE_GPU, str(installed)], capture_output=True, text=True
    )
    assert done.stdout == "all right\n", done.stderr


def test_the_library_asks_pytorch_for_c_functions_alone(installed):
    names = shipping.names_of(installed / "fastconv" / "_C.abi3.so")
    assert names.cpp == ()
    assert "torch_call_dispatcher" in names.c


def test_an_ordinary_object_asks_for_cpp():
    text = "#include <ATen/core/TensorBase.h>\nlong f(const at::TensorBase& t) { return t.size(0); }\n"
    names = shipping.names_of(shipping.compile_object(text))
    assert any("c10::" in name for name in names.cpp)
    linked = shipping.linker_names(shipping.compile_object(text))
    assert len(linked) == len(names.cpp) and all(name.startswith("_ZN") for name in linked)
    with pytest.raises(CompileError):
        shipping.compile_object("long f( {")


@pytest.mark.nvcc
@pytest.mark.skipif(find_nvcc() is None, reason="needs nvcc")
def test_the_cuda_source_compiles_for_a_gpu_that_is_not_here(package):
    names = shipping.names_of(shipping.compile_kernel(package, "9.0+PTX"))
    assert names.cpp == ()
    assert "aoti_torch_get_current_cuda_stream" in names.c


def test_what_an_arch_list_becomes(monkeypatch):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "7.5")
    wanted = ["arch=compute_80,code=sm_80", "arch=compute_90,code=compute_90", "arch=compute_90,code=sm_90"]
    assert shipping.arch_flags("8.0;9.0+PTX") == [f"-gencode={flag}" for flag in wanted]
    assert shipping.arch_flags("7.5") == ["-gencode=arch=compute_75,code=sm_75"]


def test_a_build_that_fails_says_why(tmp_path):
    (tmp_path / "setup.py").write_text("raise SystemExit('no compiler today')\n")
    with pytest.raises(shipping.BuildError, match="no compiler today"):
        shipping.build_wheel(tmp_path)


def test_the_layers_that_a_call_passes():
    passed = pictures.layers_passed()
    assert passed["in autocast"] == ["autocast", "autograd", "CPU kernel"]
    assert passed["x without data"] == ["autograd", "fake kernel"]
    assert passed == pictures.layers_passed()  # it can be asked again
    picture = pictures.layer_map(passed, "Layers")
    assert "in autocast: autocast, then autograd, then CPU kernel" in picture.alt
    assert picture.data == pictures.layer_map(passed, "Layers").data


def test_the_scoreboard_says_what_works():
    rows = {"launcher": {"call": True, "gradient": False}, "op": {"call": True, "gradient": True}}
    picture = pictures.scoreboard(rows, "Uses")
    assert picture.alt == "Uses. What works: launcher: call; op: call, gradient."


def test_the_exercise_says_of_every_layer_what_convert_does():
    nn = torch.nn

    class Quantized(nn.Conv2d):
        def forward(self, input):
            return nn.functional.conv2d(input, self.weight.round(), self.bias)

    model = nn.ModuleDict(
        {
            "a": nn.Conv2d(3, 96, 11, stride=4, padding=2),
            "b": nn.Conv2d(96, 256, 5, padding=2, groups=2),
            "c": nn.Conv2d(64, 64, (1, 7)),
            "d": nn.Conv2d(64, 64, (3, 5), padding=(1, 2)),
            "e": nn.Conv2d(64, 64, 3, padding="same", dilation=2),
            "f": nn.Conv2d(64, 64, 4, padding="same"),
            "g": nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
            "h": nn.Conv1d(64, 128, 3, stride=3, dilation=4).double(),
            "i": nn.Conv2d(64, 64, 3, padding=1).bfloat16(),
            "j": nn.ConvTranspose2d(64, 3, 2, stride=2),
            "k": nn.utils.parametrizations.weight_norm(nn.Conv2d(64, 64, 3)),
            "m": Quantized(64, 64, 3),
        }
    )
    report = kernels.convert(model)
    answers = {answer.name: answer.value for answer in spec.load("which_stay").answers}
    left = {row.name for row in report.left}
    assert answers == {name: "left" if name in left else "replaced" for name in model}
