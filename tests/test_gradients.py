"""Gradients: every kernel is right, and what is wrong is rejected in words that lead to the mistake."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn import grad

import kernels
from kernels import FORWARD, GRADIENTS, WORKLOADS
from utils import check_gradients
from utils.check import Case, CheckError
from utils.check_gradients import (
    check_bgrad,
    check_conv1d_dgrad,
    check_conv1d_wgrad,
    check_conv2d_dgrad,
    check_conv2d_wgrad,
    conv1d_gradient_cases,
    conv2d_gradient_cases,
)
from utils.errors import KernelError
from utils.inline import load_inline
from utils.ladder import check_rung
from utils.timing import can_measure, lacking

RUNGS = [rung for ladder in GRADIENTS.values() for rung in ladder]
CHECKS = {name: getattr(check_gradients, f"check_{name}") for name in GRADIENTS}


@pytest.mark.parametrize("rung", [*RUNGS, *FORWARD], ids=lambda rung: rung.name)
def test_right(rung, capsys):
    check_rung(rung, kernels.load(rung.name, backend="simulator"))
    out = capsys.readouterr().out
    assert out.count("against PyTorch in float64") == len(rung.precisions)
    assert "empty batch" in out and "refuses what it cannot do" in out
    if rung in RUNGS:
        assert "several blocks" in out and ("the same to the last bit" in out) == rung.deterministic


@pytest.mark.gpu
@pytest.mark.skipif(not can_measure(), reason="needs a GPU and nvcc")
@pytest.mark.parametrize("rung", [*RUNGS, *FORWARD], ids=lambda rung: rung.name)
def test_right_on_a_gpu(rung, capsys):
    if reason := lacking(rung):
        pytest.skip(reason)
    check_rung(rung, kernels.load(rung.name, backend="cuda"))


def test_ladders():
    assert list(GRADIENTS) == ["conv2d_dgrad", "conv2d_wgrad", "conv1d_dgrad", "conv1d_wgrad", "bgrad"]
    for launcher, ladder in GRADIENTS.items():
        assert ladder[0].name == f"{launcher}_naive" and "fp64" in ladder[0].precisions
        assert all(kernels.rung(rung.name) is rung for rung in ladder)
        assert all(kernels.operator(rung.name) == launcher for rung in ladder)
    dgrad, bgrad = kernels.rung("conv1d_dgrad_naive"), kernels.rung("bgrad_naive")
    assert dgrad.handles(WORKLOADS["conv1d_dilated"]) and not dgrad.handles(WORKLOADS["alexnet_conv1"])
    assert bgrad.handles(WORKLOADS["conv1d_dilated"]) and bgrad.handles(WORKLOADS["alexnet_conv1"])
    assert not kernels.rung("conv2d_wgrad_naive").handles(WORKLOADS["depthwise"])


# PyTorch's own gradients, in the order of our launchers' parameters.
def conv2d_dgrad(grad_output, weight, height, width, stride=1, padding=0, dilation=1):
    shape = (grad_output.shape[0], weight.shape[1], height, width)
    return grad.conv2d_input(shape, weight, grad_output, stride, padding, dilation)


def conv2d_wgrad(grad_output, input, R, S, stride=1, padding=0, dilation=1):
    shape = (grad_output.shape[1], input.shape[1], R, S)
    return grad.conv2d_weight(input, shape, grad_output, stride, padding, dilation)


def conv1d_dgrad(grad_output, weight, length, stride=1, padding=0, dilation=1):
    shape = (grad_output.shape[0], weight.shape[1], length)
    return grad.conv1d_input(shape, weight, grad_output, stride, padding, dilation)


def conv1d_wgrad(grad_output, input, S, stride=1, padding=0, dilation=1):
    shape = (grad_output.shape[1], input.shape[1], S)
    return grad.conv1d_weight(input, shape, grad_output, stride, padding, dilation)


def bgrad(grad_output):
    return grad_output.sum([0, *range(2, grad_output.dim())])


TORCH = {fn.__name__: fn for fn in (conv2d_dgrad, conv2d_wgrad, conv1d_dgrad, conv1d_wgrad, bgrad)}


@pytest.mark.parametrize("name", TORCH)
def test_pytorch_itself_is_right_and_the_output_is_deterministic(name, capsys):
    CHECKS[name](TORCH[name])
    first = capsys.readouterr().out
    CHECKS[name](TORCH[name])
    assert capsys.readouterr().out == first
    assert first.startswith(f"{name} against PyTorch in float64\n")


def broken(name, *changes):
    """A naive kernel's launcher in the simulator, with pieces of its text replaced."""
    source = kernels.source(name)
    for old, new in changes:
        assert source.count(old) == 1, (name, old)
        source = source.replace(old, new)
    launcher = kernels.operator(name)
    module = load_inline(
        f"broken_{name}",
        cuda_sources=source,
        functions=[launcher],
        extra_include_paths=[kernels.INCLUDE],
        backend="simulator",
    )
    return getattr(module, launcher)


# Of the naive kernels: what is replaced by what, and words of the message.
BROKEN = {
    "dgrad without padding": (
        "conv2d_dgrad_naive",
        [("h + padding - r", "h - r"), ("w + padding - s", "w - s")],
        "grad_input\\[n=\\d, c=\\d, h=\\d, w=\\d\\] is (.|\n)*padding is not added",
    ),
    "dgrad without stride": (
        "conv2d_dgrad_naive",
        [
            ("p % stride != 0 || p / stride >= P", "p >= P"),
            ("q % stride != 0 || q / stride >= Q", "q >= Q"),
            ("+ p / stride) * Q + q / stride]", "+ p) * Q + q]"),
        ],
        "result for stride 1: stride is not used",
    ),
    "dgrad from between the windows": (
        "conv2d_dgrad_naive",
        [("p % stride != 0 || ", ""), ("q % stride != 0 || ", "")],
        "places where no window begins are taken for the window before them",
    ),
    "dgrad without dilation": (
        "conv2d_dgrad_naive",
        [("- r * dilation;", "- r;"), ("- s * dilation;", "- s;")],
        "result for dilation 1",
    ),
    "dgrad with one tap too few": (
        "conv2d_dgrad_naive",
        [("r < R", "r < R - 1")],
        "row 2 of the filter is left out",
    ),
    "dgrad with the first filter alone": (
        "conv2d_dgrad_naive",
        [("k < K", "k < 1")],
        "only the first output channel is in the sum",
    ),
    "dgrad with a filter back to front": (
        "conv2d_dgrad_naive",
        [("+ r) * S + s]", "+ R - 1 - r) * S + S - 1 - s]")],
        "back to front",
    ),
    "dgrad that stops where it should skip": (
        "conv2d_dgrad_naive",
        [("p / stride >= P) continue;", "p / stride >= P) break;")],
        "Does a loop end where it should only leave out one tap",
    ),
    "dgrad that leaves pixels without a window alone": (
        "conv2d_dgrad_naive",
        [("    grad_input[pixel] = sum;", "    if (sum != T(0)) grad_input[pixel] = sum;")],
        "no output's window touches the elements that are wrong",
    ),
    "dgrad with a grid too short": (
        "conv2d_dgrad_naive",
        [("grid_of(ceil_div(grad_input.numel(), 256), 1, 1)", "grid_of(1, 1, 1)")],
        "no thread wrote them",
    ),
    "wgrad without padding": (
        "conv2d_wgrad_naive",
        [("p * stride - padding + r", "p * stride + r"), ("q * stride - padding + s", "q * stride + s")],
        "grad_weight\\[k=\\d, c=\\d, r=\\d, s=\\d\\] is (.|\n)*padding is not subtracted",
    ),
    "wgrad without stride": (
        "conv2d_wgrad_naive",
        [("p * stride", "p"), ("q * stride", "q")],
        "result for stride 1",
    ),
    "wgrad of one image": (
        "conv2d_wgrad_naive",
        [("n < N", "n < 1")],
        "only the first image is in the sum: the loop over n",
    ),
    "wgrad that forgets what it had": (
        "conv2d_wgrad_naive",
        [("n < N; ++n", "n < N; ++n, sum = n < N ? T(0) : sum")],
        "only the last image is in the sum",
    ),
    "wgrad with a column too few": (
        "conv2d_wgrad_naive",
        [("q < Q", "q < Q - 1")],
        "column \\d of grad_output is left out",
    ),
    "wgrad that divides by N": (
        "conv2d_wgrad_naive",
        [("grad_weight[place] = sum;", "grad_weight[place] = sum / N;")],
        "mean over the images; the gradient is the sum",
    ),
    "wgrad outside of the image": (
        "conv2d_wgrad_naive",
        [("if (h < 0 || h >= H) continue;", "")],
        "reads input\\[-32\\], 32 before the first of(.|\n)*case: input 2x2x8x32",
    ),
    "dgrad in 1-D without padding": (
        "conv1d_dgrad_naive",
        [("l + padding", "l")],
        "grad_input\\[n=\\d, c=\\d, l=\\d\\] is (.|\n)*lies at l \\+ padding",
    ),
    "dgrad in 1-D with a tap too few": (
        "conv1d_dgrad_naive",
        [("s < S", "s < S - 1")],
        "tap 2 of the filter is left out",
    ),
    "wgrad in 1-D of one image": (
        "conv1d_wgrad_naive",
        [("n < N", "n < 1")],
        "only the first image is in the sum",
    ),
    "wgrad in 1-D without dilation": (
        "conv1d_wgrad_naive",
        [("s * dilation", "s")],
        "result for dilation 1",
    ),
    "bgrad of one image": (
        "bgrad_naive",
        [("n < N", "n < 1")],
        "grad_bias\\[k=0\\] is (.|\n)*only the first image is in the sum",
    ),
    "bgrad with a pixel too few": (
        "bgrad_naive",
        [("i < pixels", "i < pixels - 1")],
        "output 30 of grad_output is left out",
    ),
    "bgrad that looks at no sizes": (
        "bgrad_naive",
        [("const Channels size = bgrad_sizes(grad_output, dtype);",
          "const Channels size{int(grad_output.size(0)), int(grad_output.size(1)),"
          " int(grad_output.numel() / std::max<int64_t>(1, grad_output.size(0) * grad_output.size(1)))};")],
        "accepted a tensor grad_output that is not contiguous",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_kernels_are_rejected_with_the_reason(what):
    name, changes, words = BROKEN[what]
    fn = broken(name, *changes)
    with pytest.raises((CheckError, KernelError), match=words):
        CHECKS[kernels.operator(name)](fn)


# A weight's gradient that all threads of a block add to: right with atomicAdd, but in any order.
BLOCK_PER_WEIGHT = """
#include "gradients.h"

__global__ void add_up(const float* grad_output, const float* input, float* grad_weight, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int s = blockIdx.x % S, c = blockIdx.x / S % C, k = blockIdx.x / S / C;
    for (int n = 0; n < N; ++n)
        for (int q = threadIdx.x; q < Q; q += blockDim.x) {
            const int l = q * stride - padding + s * dilation;
            if (l >= 0 && l < L)
                atomicAdd(&grad_weight[blockIdx.x],
                          grad_output[(n * K + k) * Q + q] * input[(n * C + c) * L + l]);
        }
}

torch::Tensor conv1d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t S, int64_t stride = 1,
                           int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_wgrad_sizes(grad_output, input, S, stride, padding, dilation);
    auto grad_weight = torch::zeros({size.K, size.C, size.S}, grad_output.options());
    add_up<<<size.K * size.C * size.S, 32>>>(grad_output.data_ptr<float>(), input.data_ptr<float>(),
                                             grad_weight.data_ptr<float>(), size);
    return grad_weight;
}
"""


def add_up(*change):
    module = load_inline(
        "wgrad_add_up",
        cuda_sources=BLOCK_PER_WEIGHT.replace(*change) if change else BLOCK_PER_WEIGHT,
        functions=["conv1d_wgrad"],
        extra_include_paths=[kernels.INCLUDE],
        backend="simulator",
    )
    return module.conv1d_wgrad


def test_atomics_are_told_by_their_last_bits(capsys):
    fn = add_up()
    with pytest.raises(
        CheckError, match=r"another result when it is called again: grad_weight\[k=\d, c=\d, s"
    ):
        check_conv1d_wgrad(fn)
    check_conv1d_wgrad(fn, deterministic=False)
    assert "last bit" not in capsys.readouterr().out.rpartition("against")[2]


def test_atomics_replaced_by_plus_are_a_race():
    fn = add_up("atomicAdd(&grad_weight[blockIdx.x],", "grad_weight[blockIdx.x] += (")
    with pytest.raises(KernelError, match="(?s)grad_weight.*This happened in the check's case") as caught:
        check_conv1d_wgrad(fn)
    assert caught.value.kind == "race"


def test_fresh_memory_that_is_added_to_is_told():
    with pytest.raises(KernelError, match="uninitialized-read(.|\n)*This happened in the check's case"):
        check_conv1d_wgrad(add_up("torch::zeros", "torch::empty"))


def test_a_result_of_the_wrong_shape_is_told_with_the_reason():
    def least(grad_output, weight, height, width, **options):
        return F.conv_transpose2d(grad_output, weight, **options)

    def exchanged(*arguments, **options):
        return conv2d_wgrad(*arguments, **options).transpose(0, 1)

    with pytest.raises(CheckError, match=r"expected \(N, C, H, W\) = (.|\n)*smallest input that gives"):
        check_conv2d_dgrad(least)
    with pytest.raises(CheckError, match=r"expected \(K, C, R, S\) = (.|\n)*K and C are exchanged"):
        check_conv2d_wgrad(exchanged)
    with pytest.raises(CheckError, match="here of the bias"):
        check_bgrad(lambda grad_output: bgrad(grad_output)[:, None])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda y: y.double(), "returned torch.float64, not torch.float32"),
        (lambda y: None, "returned NoneType, not a tensor"),
        (lambda y: torch.full_like(y, float("nan")), "never written"),
        (lambda y: 3 * y, "added up 3 times"),
        (lambda y: y * (1 + 2**-12), "rounding to fewer bits"),
        (lambda y: torch.cat([y[:1], 0.5 * y[1:]]), "only the first output channel is right"),
        (lambda y: y.flip(2, 3), "back to front"),
        (lambda y: y.mT.reshape(y.shape), "rows and columns are exchanged"),
        (lambda y: y / 1000, "is wrong in"),
    ],
)
def test_wrong_results_are_told(change, words):
    with pytest.raises(CheckError, match=words):
        check_conv2d_wgrad(lambda *given, **options: change(conv2d_wgrad(*given, **options)))


def test_what_should_be_refused():
    def any_size(grad_output, weight, length, **options):
        padded = F.pad(grad_output, (0, length))[..., : conv1d_size(weight, length, **options)]
        return conv1d_dgrad(padded, weight, length, **options)

    def conv1d_size(weight, length, stride=1, padding=0, dilation=1):
        return (length + 2 * padding - dilation * (weight.shape[2] - 1) - 1) // stride + 1

    def any_batch(grad_output, input, S, **options):
        return conv1d_wgrad(grad_output, input[: grad_output.shape[0]], S, **options)

    def any_channels(grad_output, weight, length, **options):
        return conv1d_dgrad(grad_output, weight[: grad_output.shape[1]], length, **options)

    def any_strides(grad_output):
        return bgrad(grad_output.as_strided(grad_output.shape, torch.empty(grad_output.shape).stride()))

    def crashes(grad_output, weight, length, **options):
        if not weight.is_contiguous():
            raise KernelError("out of bounds in line 3", kind="out-of-bounds")
        return conv1d_dgrad(grad_output, weight, length, **options)

    too_many = r"accepted a grad_output with one place too many: .*grad_output.size\(2\) == Q"
    with pytest.raises(CheckError, match=too_many):
        check_conv1d_dgrad(any_size)
    with pytest.raises(CheckError, match="accepted a grad_output of 2 images with an input of 3"):
        check_conv1d_wgrad(any_batch)
    with pytest.raises(CheckError, match="accepted a grad_output of 4 channels with 5 filters"):
        check_conv1d_dgrad(any_channels)
    with pytest.raises(CheckError, match="accepted a tensor grad_output that is not contiguous and gave"):
        check_bgrad(any_strides)
    with pytest.raises(CheckError, match="a tensor weight that is not contiguous, and then: out of bounds"):
        check_conv1d_dgrad(crashes)
    check_conv1d_dgrad(any_size, refusals=False)


def test_a_gradient_that_changes_what_it_is_given():
    def fn(grad_output):
        result = bgrad(grad_output)
        grad_output.zero_()
        return result

    with pytest.raises(CheckError, match="changed its grad_output, which it should only read"):
        check_bgrad(fn)


def test_flags(capsys):
    def plain(grad_output, weight, length):
        return conv1d_dgrad(grad_output, weight, length)

    check_conv1d_dgrad(plain, stride=False, padding=False, dilation=False)
    out = capsys.readouterr().out
    assert "block edges" in out and "padding" not in out and "between windows" not in out
    for check, flag in ((check_conv1d_wgrad, "bias"), (check_bgrad, "stride")):
        with pytest.raises(TypeError, match=f"{check.__name__} has no flag '{flag}'"):
            check(bgrad, **{flag: False})
    with pytest.raises(ValueError, match="precision must be one of"):
        check_bgrad(bgrad, precision="fp8")
    check_conv1d_dgrad(
        conv1d_dgrad,
        [Case("mine", 1, 2, (9,), 3, (2,))],
        refusals=False,
        empty_batch=False,
        deterministic=False,
    )
    assert capsys.readouterr().out.splitlines()[1].split() == ["mine", "1", "case", "right"]


def test_a_launcher_with_other_parameters_is_told_what_is_wanted():
    source = """
    #include <torch/extension.h>
    torch::Tensor conv1d_dgrad(torch::Tensor weight, torch::Tensor grad_output) { return weight; }
    """
    module = load_inline("strange", cuda_sources=source, functions=["conv1d_dgrad"], backend="simulator")
    words = "parameters are grad_output, weight, length and any of stride, padding, dilation; yours is"
    with pytest.raises(TypeError, match=words):
        check_conv1d_dgrad(module.conv1d_dgrad)


def test_float64_is_held_to_float64():
    def single(*tensors, **options):
        return conv2d_dgrad(tensors[0].float(), tensors[1].float(), *tensors[2:], **options).double()

    check_conv2d_dgrad(conv2d_dgrad, precision="fp64")
    with pytest.raises(CheckError, match="is wrong in"):
        check_conv2d_dgrad(single, precision="fp64")


def test_cases_cover_what_they_promise():
    for cases in (conv2d_gradient_cases(), conv1d_gradient_cases()):
        assert not any(case.bias for case in cases) and all(case.has_outputs for case in cases)
        assert any(case.padding > max(case.taps) for case in cases)
        assert any(case.stride > max(case.taps) and case.N > 1 for case in cases)
        beyond = [case for case in cases if case.group == "pixels after the last window"]
        for case in beyond:
            last = (case.outputs[-1] - 1) * case.stride + (case.taps[-1] - 1) * case.dilation
            assert last < case.size[-1] + case.padding - 1
        work = sum(torch.Size((case.N, case.K, case.C, *case.outputs, *case.taps)).numel() for case in cases)
        assert work < 5_000_000, "the simulator does about ten million products a second"
