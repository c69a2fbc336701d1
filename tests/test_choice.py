"""kernels.conv2d: which kernel it takes for which layer, that its results are right, and what it refuses."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

import kernels
from kernels import WORKLOADS, choose, conv2d
from utils.check import error_bound
from utils.precision import find_precision


def random(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)


def shapes_of(workload):
    """Tensors of a workload's shapes that take no memory."""
    return (torch.empty(shape, device="meta") for shape in (workload.input_shape, workload.weight_shape))


WANTED = {
    "alexnet_conv1": ("conv2d_window", "conv2d_mma_window"),
    "resnet_conv1": ("conv2d_window", "conv2d_mma_window"),
    "vgg_conv2": ("conv2d_winograd", "conv2d_mma"),
    "resnet_3x3_7": ("conv2d_winograd", "conv2d_mma"),
    "pointwise": ("conv2d_pointwise", "conv2d_mma_pointwise"),
    "blur": ("conv2d_rows", "conv2d_rows"),
}


@pytest.mark.parametrize("name", WANTED)
def test_the_layers_of_the_course(name):
    workload = WORKLOADS[name]
    x, w = shapes_of(workload)
    options = {key: getattr(workload, key) for key in ("stride", "padding", "dilation")}
    for precision, wanted in zip(("fp32", "tf32"), WANTED[name], strict=True):
        choice = choose(x, w, **options, precision=precision)
        assert choice.kernel == wanted and choice.kernel in str(choice) and choice.why in str(choice)
        assert kernels.rung(choice.kernel).handles(workload)
        assert {precision, "fp32"} & set(kernels.rung(choice.kernel).precisions), (
            "exact where TF32 is allowed"
        )


def test_depthwise_and_the_rest():
    workload = WORKLOADS["depthwise"]
    assert choose(*shapes_of(workload), padding=1, groups=256).kernel == "conv2d_depthwise"
    x, w = torch.empty(1, 64, 9, 9), torch.empty(8, 64, 3, 3)
    assert choose(x, w, stride=2).kernel == "conv2d_gemm_async"
    assert choose(x.bfloat16(), w.bfloat16()).layout == "channels_last"
    assert choose(x, w).kernel != choose(x, w, precision="tf32").kernel, "TF32 is never taken unasked"


GPUS = {75: (7, 5), 80: (8, 0), 90: (9, 0), 120: (12, 0)}


def on_a_gpu(monkeypatch, sm):
    """Tensors without memory that say that they are on such a GPU."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: GPUS[sm])

    class OnGpu(torch.Tensor):
        is_cuda = True

    return lambda shape, dtype=torch.float32: torch.empty(shape, device="meta", dtype=dtype).as_subclass(
        OnGpu
    )


SHAPES = [
    ((2, 64, 9, 9), (8, 64, 3, 3), {"stride": 2}),
    ((2, 64, 9, 9), (64, 64, 3, 3), {"padding": 1}),
    ((2, 64, 9, 9), (8, 64, 1, 1), {}),
    ((2, 3, 40, 40), (8, 3, 7, 7), {"stride": 2}),
    ((2, 3, 400, 400), (8, 3, 3, 3), {"stride": 70}),
    ((2, 3, 400, 400), (8, 3, 40, 70), {}),
    ((2, 64, 40, 40), (8, 64, 16, 3), {}),
    ((70_000, 1, 9, 9), (1, 1, 3, 3), {}),
    ((1, 1, 9, 9), (1, 1, 3, 3), {"padding": 1}),
]


@pytest.mark.parametrize("sm", GPUS)
@pytest.mark.parametrize("input, weight, options", SHAPES, ids=str)
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_every_gpu_gets_a_kernel_that_it_can_run(monkeypatch, sm, input, weight, options, precision):
    empty = on_a_gpu(monkeypatch, sm)
    dtype = find_precision(precision).dtype
    if precision == "bf16" and sm < 80:
        with pytest.raises(
            ValueError, match=f"no kernel .* in bf16 on a GPU of compute capability {sm / 10}"
        ):
            choose(empty(input, dtype), empty(weight, dtype), **options)
        return
    choice = choose(empty(input, dtype), empty(weight, dtype), **options, precision=precision)
    rung = kernels.rung(choice.kernel)
    assert rung.sm <= sm and (rung.sm < 90 or sm == 90)
    assert precision in rung.precisions or (precision == "tf32" and rung.precisions == ("fp32",))
    assert rung.taps in (None, weight[2:])
    if sm < 80:
        assert choice.kernel in ("conv2d_gemm_double", "conv2d_rows")


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((2, 3, 11, 9), (5, 3, 5, 5)), {"stride": 2, "padding": 2}),
        (((1, 32, 7, 9), (33, 32, 3, 3)), {"padding": 1}),
        (((2, 6, 5, 4), (9, 6, 1, 1)), {}),
        (((1, 1, 12, 17), (1, 1, 7, 7)), {"padding": 3}),
        (((1, 7, 9, 8), (3, 7, 3, 2)), {"stride": 2, "dilation": 2}),
        (((2, 5, 6, 7), (5, 1, 3, 3)), {"padding": 1, "groups": 5}),
        (((0, 5, 6, 7), (2, 5, 3, 3)), {}),
        (((1, 2, 150, 160), (3, 2, 3, 3)), {"stride": 70, "padding": 1}),
        (((1, 2, 41, 71), (3, 2, 40, 70)), {}),
    ],
)
def test_right_in_the_simulator_and_in_either_layout(shapes, options, capsys):
    x, w = (random(*shape) for shape in shapes)
    bias = random(w.shape[0])
    torch_fn = partial(F.conv2d, groups=options.get("groups", 1))
    rounding = kernels.rung(choose(x, w, **options).kernel).rounding
    plain = {name: value for name, value in options.items() if name != "groups"}
    allowed = error_bound(torch_fn, x, w, bias, rounding=rounding, **plain)
    expected = torch_fn(x.double(), w.double(), bias.double(), **plain)
    for layout in (torch.contiguous_format, torch.channels_last):
        actual = conv2d(x.contiguous(memory_format=layout), w, bias, **options, explain=True)
        assert actual.shape == expected.shape and bool(((actual - expected).abs() <= allowed).all())
    assert capsys.readouterr().out.startswith(choose(x, w, **options).kernel)


def test_tensor_cores_in_the_simulator():
    x, w = random(1, 8, 6, 7), random(4, 8, 3, 3)
    tf32 = conv2d(x, w, padding=1, precision="tf32")
    torch.testing.assert_close(tf32, F.conv2d(x, w, padding=1), rtol=0, atol=2e-2)
    assert not torch.equal(tf32, conv2d(x, w, padding=1))
    half = conv2d(x.bfloat16(), w.bfloat16(), padding=1)
    assert half.dtype == torch.bfloat16
    exact = F.conv2d(x.bfloat16().double(), w.bfloat16().double(), padding=1)
    torch.testing.assert_close(half.double(), exact, rtol=2**-8, atol=1e-3)


TOO_MUCH = {"input": (1, 3, 20, 20), "weight": (4, 3, 16, 16)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": random(2, 3, 8)}, "takes an input N x C x H x W"),
        ({"input": random(1, 3, 8, 8, dtype=torch.float64)}, "float32 or bfloat16 tensors of one type"),
        ({"weight": random(4, 3, 3, 3, dtype=torch.bfloat16)}, "of one type, not torch.float32 and torch.bf"),
        ({"precision": "bf16"}, "computed in fp32 or tf32, not in 'bf16'"),
        ({"precision": "fp16"}, "not in 'fp16'"),
        (
            {name: random(*shape, dtype=torch.bfloat16) for name, shape in TOO_MUCH.items()} | {"stride": 70},
            "no kernel of the course does a filter of 16x16 with stride 70 and dilation 1 in bf16 on",
        ),
        ({"groups": 3}, "groups = 3: the course's kernels do 1, or one filter a channel"),
    ],
)
def test_what_no_kernel_does_is_refused(change, message):
    arguments = {"input": random(1, 3, 8, 8), "weight": random(4, 3, 3, 3), **change}
    with pytest.raises(ValueError, match=message):
        conv2d(arguments.pop("input"), arguments.pop("weight"), **arguments)


def test_a_launchers_refusal_passes_through():
    with pytest.raises(RuntimeError, match="weight has 4 channels, input has 3"):
        conv2d(random(1, 3, 8, 8), random(4, 4, 3, 3))
    with pytest.raises(RuntimeError, match="the filter is larger than the padded input"):
        conv2d(random(1, 8, 2, 2), random(8, 8, 3, 3))
