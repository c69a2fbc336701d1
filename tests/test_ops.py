"""kernels.ops: right results and gradients, what PyTorch asks of an operator, and what is refused."""

import importlib
import itertools
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from rungs import integers
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad
from torch.autograd.gradcheck import GradcheckError
from torch.testing._internal.optests import OpCheckError

import kernels
from kernels import GRADIENTS, choice, ops, shapes
from utils.errors import TorchCheckError
from utils.timing import can_measure

SHAPES = {1: ((2, 3, 11), (4, 3, 3)), 2: ((2, 3, 8, 7), (4, 3, 3, 2))}
OPS, TORCH = {1: ops.conv1d, 2: ops.conv2d}, {1: F.conv1d, 2: F.conv2d}
GRID = [
    {"stride": stride, "padding": padding, "dilation": dilation}
    for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1, 4), (1, 2))
]
both = pytest.mark.parametrize("dims", [1, 2])


def tensors(dims, bias=True, dtype=torch.float32, grad=True):
    """Input, weight and bias of whole numbers, for which sums are exact."""
    shapes = [*SHAPES[dims], (4,)][: 3 if bias else 2]
    return [integers(*shape).to(dtype).requires_grad_(grad) for shape in shapes]


def gradients(function, inputs, grad_output=None, **keywords):
    output = function(*inputs)
    return torch.autograd.grad(output, inputs, integers(*output.shape).to(output) if grad_output is None
                               else grad_output, **keywords)  # fmt: skip


def equal(actual, expected):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=0, atol=0)


FLOAT, DOUBLE = torch.float32, torch.float64


@both
@pytest.mark.parametrize(("dtype", "bias"), [(FLOAT, True), (FLOAT, False), (DOUBLE, True)])
def test_results_and_gradients_are_pytorchs(dims, bias, dtype):
    for options in GRID:
        arguments = tensors(dims, bias, dtype)
        ours, torchs = OPS[dims](*arguments, **options), TORCH[dims](*arguments, **options)
        equal([ours], [torchs])
        grad_output = integers(*ours.shape).to(dtype)
        equal(*(torch.autograd.grad(output, arguments, grad_output) for output in (ours, torchs)))


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@both
@pytest.mark.parametrize("options", GRID, ids=str)
def test_gradcheck(dims, options):
    arguments = [random(*shape).requires_grad_() for shape in (*SHAPES[dims], (4,))]

    def function(*arguments):
        return OPS[dims](*arguments, **options)

    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)
    assert torch.autograd.gradcheck(function, arguments[:2], fast_mode=True)
    if options in GRID[::4]:
        assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


def few(dims):
    shapes = ((1, 2, 4, 5)[: dims + 2], (2, 2, 2, 2)[: dims + 2], (2,))
    return [random(*shape).requires_grad_() for shape in shapes]


@both
def test_gradcheck_of_every_element(dims):
    arguments = few(dims)
    assert torch.autograd.gradcheck(lambda *a: OPS[dims](*a, stride=2, padding=1), arguments)
    assert torch.autograd.gradgradcheck(lambda *a: OPS[dims](*a, stride=2, padding=1), arguments)


def registered(dims, options):
    """Each operator with arguments for it."""
    x, w, b = tensors(dims)
    grad_output = OPS[dims](x, w, **options).detach().requires_grad_()
    options, all_ops = tuple(options.values()), torch.ops.conv_course
    yield getattr(all_ops, f"conv{dims}d"), (x, w, b, *options)
    yield getattr(all_ops, f"conv{dims}d"), (x.detach(), w, None, *options)
    yield getattr(all_ops, f"conv{dims}d_dgrad"), (grad_output, w, x.shape[2:], *options)
    yield getattr(all_ops, f"conv{dims}d_wgrad"), (grad_output, x, w.shape[2:], *options)
    yield all_ops.bgrad, (grad_output,)


@both
@pytest.mark.parametrize("options", [GRID[0], GRID[-1]], ids=str)
def test_opcheck(dims, options):
    for op, arguments in registered(dims, options):
        done = torch.library.opcheck(op.default, arguments)
        assert len(done) == 4 and set(done.values()) == {"SUCCESS"}, op


# What is wrong is found, by the same checks.


def corrupt(monkeypatch, operator, change):
    """One of the kernels goes wrong."""
    run = ops._run

    def wrong(candidates, *arguments, **options):
        result = run(candidates, *arguments, **options)
        return change(result) if candidates[0].startswith(operator) else result

    monkeypatch.setattr(ops, "_run", wrong)


@both
@pytest.mark.parametrize(
    ("operator", "change"),
    [
        ("conv{}d_dgrad", lambda grad: grad.flip(-1)),
        ("conv{}d_wgrad", lambda grad: grad * 1.01),
        ("conv{}d_wgrad", lambda grad: grad.flip(1)),
        ("bgrad", lambda grad: grad / 2),
    ],
)
def test_a_wrong_gradient_is_found(monkeypatch, dims, operator, change):
    corrupt(monkeypatch, operator.format(dims), change)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(OPS[dims], few(dims))


def test_a_wrong_shape_without_data_is_found(monkeypatch):
    monkeypatch.setattr(shapes, "output_size", lambda size, taps, stride, padding, dilation: size // stride)
    with pytest.raises(OpCheckError, match="Shapes"):
        torch.library.opcheck(torch.ops.conv_course.conv2d.default, tuple(tensors(2)))


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13), reason="opcheck did not compare strides yet"
)
def test_a_result_in_another_memory_format_is_found(monkeypatch):
    corrupt(monkeypatch, "conv2d", lambda y: y.contiguous(memory_format=torch.channels_last))
    with pytest.raises(OpCheckError, match="[Ss]tride"):
        torch.library.opcheck(torch.ops.conv_course.conv2d.default, tuple(tensors(2)))


# Only what is needed.


@pytest.fixture
def kernels_run(monkeypatch):
    run, names = ops._run, []

    def recorded(candidates, *arguments, **options):
        names.append(kernels.operator(candidates[0]))
        return run(candidates, *arguments, **options)

    monkeypatch.setattr(ops, "_run", recorded)
    return names


@pytest.mark.parametrize(
    ("needs", "wanted"),
    [
        ((True, True, True), ["conv2d_dgrad", "conv2d_wgrad", "bgrad"]),
        ((False, True, True), ["conv2d_wgrad", "bgrad"]),
        ((True, False, False), ["conv2d_dgrad"]),
        ((False, False, True), ["bgrad"]),
        ((False, False, False), []),
    ],
)
def test_nothing_is_computed_or_kept_for_what_needs_no_gradient(kernels_run, needs, wanted):
    arguments = [t.requires_grad_(need) for t, need in zip(tensors(2, grad=False), needs, strict=True)]
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        output = ops.conv2d(*arguments)
    if any(needs):
        kernels_run.clear()
        output.sum().backward()
        assert kernels_run == wanted
    assert [t.shape for t in kept] == [arguments[k].shape for k in (0, 1) if needs[1 - k]]
    assert [t.grad is not None for t in arguments] == list(needs)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@both
def test_without_gradients(dims, mode):
    with mode():
        output = OPS[dims](*tensors(dims))
    assert not output.requires_grad
    equal([output], [TORCH[dims](*tensors(dims, grad=False))])


# However tensors lie in memory, and however many there are.


def test_any_layout():
    x, w, b = tensors(2, grad=False)
    strange = [
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(2, 3).contiguous().transpose(2, 3),
        x.repeat(1, 1, 1, 2)[..., ::2],
        x[:1, :1].expand(x.shape),
    ]
    for image in strange:
        for weight in (w, w.contiguous(memory_format=torch.channels_last)):
            arguments = [t.detach().requires_grad_() for t in (image, weight, b)]
            output = ops.conv2d(*arguments)
            assert output.is_contiguous()
            equal([output], [F.conv2d(image, weight, b)])
            equal(gradients(ops.conv2d, arguments), gradients(F.conv2d, arguments))
    leaf = strange[0].requires_grad_()
    ops.conv2d(leaf, w).sum().backward()
    assert leaf.grad.is_contiguous(memory_format=torch.channels_last), "as PyTorch lays out a leaf's"


@both
def test_any_layout_of_the_gradient(dims):
    arguments = tensors(dims)
    output = OPS[dims](*arguments)
    grad = integers(*output.shape)
    for grad_output in (
        grad.transpose(0, -1).contiguous().transpose(0, -1),
        grad[:1, :1].expand(grad.shape),
        torch.ones(()).expand(grad.shape),
    ):
        assert not grad_output.is_contiguous()
        both_ways = (gradients(op[dims], arguments, grad_output) for op in (OPS, TORCH))
        equal(*both_ways)


@both
def test_empty_batch(dims):
    x, w, b = tensors(dims)
    x = x.detach()[:0].requires_grad_()
    output = OPS[dims](x, w, b, stride=2)
    assert output.shape == TORCH[dims](x, w, b, stride=2).shape and output.shape[0] == 0
    output.sum().backward()
    assert x.grad.shape == x.shape
    equal([w.grad, b.grad], [torch.zeros_like(w), torch.zeros_like(b)])


def test_gradients_of_gradients():
    """A gradient penalty, as some losses have one: its gradient is PyTorch's."""
    results = []
    for function in (ops.conv2d, F.conv2d):
        x, w, b = tensors(2, dtype=torch.float64)
        (grad,) = torch.autograd.grad(function(x, w, b, 2, 1).square().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(grad.square().sum(), (x, w, b)))
    equal(*results)


# What is refused, with data and without.

X, W, B = tensors(2, grad=False)
BAD = [
    ({"input": X[0]}, "input must have 4 dimensions, not 3"),
    ({"weight": W[0]}, "weight must have 4 dimensions, not 3"),
    ({"weight": W[:, :1]}, "weight has 1 channels, input has 3 .groups are not supported."),
    ({"weight": W.double()}, "weight is torch.float64, input is torch.float32: they must be of one type"),
    ({"bias": B.double()}, "bias is torch.float64, input is"),
    ({"bias": B[:3]}, "bias must have 4 elements, one per output channel"),
    ({"bias": B[None]}, "bias must have 1 dimension, not 2"),
    ({"input": X.half(), "weight": W.half()}, r"input is torch.float16, .*pass input.float\(\).*autocast"),
    ({"input": X.bfloat16(), "weight": W.bfloat16()}, "input is torch.bfloat16, and the kernels compute in"),
    ({"input": X.long(), "weight": W.long()}, "input is torch.int64"),
    ({"input": X[:, :, :0]}, "only the batch may be empty"),
    ({"input": X[:, :0], "weight": W[:, :0]}, "only the batch may be empty"),
    ({"weight": W[:0], "bias": None}, "only the batch may be empty"),
    ({"stride": 0}, "stride must be at least 1"),
    ({"padding": -1}, "padding must be at least 0"),
    ({"dilation": 0}, "dilation must be at least 1"),
    ({"stride": 1 << 29}, "stride must be at least 1 and below 536870912"),
    ({"dilation": 4}, "the filter is larger than the padded input"),
]


def without_data(value):
    return value.to("meta") if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_refusals(change, message):
    arguments = {"input": X, "weight": W, "bias": B, **change}
    with pytest.raises(RuntimeError, match=message):
        ops.conv2d(**arguments)
    with pytest.raises(RuntimeError, match=message):
        ops.conv2d(**{name: without_data(value) for name, value in arguments.items()})


@pytest.mark.parametrize(
    ("operator", "arguments", "message"),
    [
        (
            "conv2d_dgrad",
            (torch.ones(2, 4, 6, 6), W, [8, 8]),
            "grad_output is 2 x 4 x 6 x 6, the conv.* 6 x 7",
        ),
        (
            "conv2d_dgrad",
            (torch.ones(2, 3, 6, 6), W, [8, 7]),
            "grad_output is 2 x 3 x 6 x 6, .* 2 x 4 x 6 x 6",
        ),
        ("conv2d_dgrad", (torch.ones(2, 4, 6, 6), W, [8]), "size must have 2 numbers, not 1"),
        ("conv2d_dgrad", (torch.ones(2, 4, 6), W, [8, 7]), "grad_output must have 4 dimensions"),
        (
            "conv2d_wgrad",
            (torch.ones(3, 4, 6, 6), X, [3, 2]),
            "grad_output is 3 x 4 x 6 x 6, .* 2 x 4 x 6 x 6",
        ),
        ("conv2d_wgrad", (torch.ones(2, 4, 6, 6), X, [9, 2]), "the filter is larger"),
        ("conv2d_wgrad", (torch.ones(2, 4, 6, 6), X, [0, 2]), "only the batch may be empty"),
        ("conv2d_wgrad", (torch.ones(2, 4, 6, 6), X.half(), [3, 2]), "input is torch.float16"),
        ("bgrad", (torch.ones(2, 4),), "grad_output must have 3 or 4 dimensions, not 2"),
        ("bgrad", (torch.ones(2, 4, 0),), "only the batch may be empty"),
        ("bgrad", (torch.ones(2, 4, 6).half(),), "grad_output is torch.float16"),
    ],
)
def test_refusals_of_gradients(operator, arguments, message):
    op = getattr(torch.ops.conv_course, operator)
    for values in (arguments, map(without_data, arguments)):
        with pytest.raises(RuntimeError, match=message):
            op(*values)


def test_tensors_of_two_devices_are_refused():
    with pytest.raises(RuntimeError, match="weight is on meta, input on cpu: they must be on one device"):
        ops.conv2d(X, W.to("meta"))


@both
def test_shapes_without_data(dims):
    for options in GRID:
        x, w, b = (t.to("meta").requires_grad_() for t in tensors(dims, grad=False))
        output = OPS[dims](x, w, b, **options)
        assert output.device.type == "meta" and output.shape == TORCH[dims](x, w, b, **options).shape
        output.sum().backward()
        assert [t.grad.shape for t in (x, w, b)] == [t.shape for t in (x, w, b)]


# torch.compile, torch.export, autocast, vmap.


def block(x, w, b):
    return torch.relu(ops.conv2d(x, w, b, 2, 1)).mean((2, 3)) + ops.conv2d(x, w, b, dilation=2).sum()


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(dynamic):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(block, fullgraph=True, dynamic=dynamic, backend=counter)
    for sizes in ((11, 9, 8), (5, 12, 7), (6, 10, 10)):
        N, H, W_ = sizes
        arguments = [integers(N, 3, H, W_).requires_grad_(), *tensors(2)[1:]]
        torch.testing.assert_close(compiled(*arguments), block(*arguments))
        torch.testing.assert_close(gradients(compiled, arguments), gradients(block, arguments))
    assert counter.frame_count == 1 or not dynamic
    with pytest.raises(Exception, match=r"weight has \w+ channels, input has \w+"):
        compiled(torch.ones(2, 5, 8, 7), *tensors(2)[1:])


def test_compile_with_inductor():
    torch._dynamo.reset()
    compiled = torch.compile(ops.conv2d, fullgraph=True, dynamic=True)
    for stride in (2, 3):
        equal([compiled(*tensors(2), stride)], [F.conv2d(*tensors(2), stride)])
    equal(gradients(compiled, tensors(2)), gradients(F.conv2d, tensors(2)))


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = (torch.nn.Parameter(t) for t in tensors(2, grad=False)[1:])

    def forward(self, x):
        return torch.relu(ops.conv2d(x, self.weight, self.bias, padding=1))


def test_export(tmp_path):
    Dim = torch.export.Dim
    sizes = {0: Dim("images"), 2: Dim("height", min=3)}
    program = torch.export.export(Block(), (X,), dynamic_shapes={"x": sizes})
    torch.export.save(program, tmp_path / "block.pt2")
    loaded = torch.export.load(tmp_path / "block.pt2").module()
    for images, height in ((2, 8), (5, 13), (0, 4)):
        x = integers(images, 3, height, 7)
        equal([loaded(x)], [Block()(x)])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@both
def test_autocast_casts_to_float32(dims, dtype):
    arguments = [t.to(dtype).requires_grad_() for t in tensors(dims, grad=False)]
    expected = TORCH[dims](*tensors(dims))
    for given in (tensors(dims), arguments, [arguments[0], *tensors(dims)[1:]]):
        with torch.autocast("cpu", dtype):
            output = OPS[dims](*given)
        equal([output], [expected])
        grads = torch.autograd.grad(output.sum(), given)
        assert [grad.dtype for grad in grads] == [t.dtype for t in given]
    with torch.autocast("cpu", dtype):
        assert OPS[dims](*tensors(dims, dtype=torch.float64)).dtype == torch.float64

    def step(*arguments):
        with torch.autocast("cpu", dtype):
            return OPS[dims](*arguments)

    torch._dynamo.reset()
    equal([torch.compile(step, fullgraph=True, backend="aot_eager")(*arguments)], [expected])


@both
def test_vmap(kernels_run, dims):
    op, (x, w, b) = OPS[dims], tensors(dims, grad=False)
    images = torch.stack([x, 2 * x, -x], dim=1)
    each = torch.stack([op(image, w, b, 2, 1) for image in images.unbind(1)])
    kernels_run.clear()
    equal([torch.vmap(lambda x: op(x, w, b, 2, 1), in_dims=1)(images)], [each])
    assert len(kernels_run) == 1, "more images for one launch"
    weights = torch.stack([w, 2 * w, -w])
    each = torch.stack([op(x, weight, b) for weight in weights])
    equal([torch.vmap(lambda w: op(x, w, b))(weights)], [each])
    each = [op(image, weight, b) for image, weight in zip(images.unbind(1), weights, strict=True)]
    equal([torch.vmap(lambda x, w: op(x, w, b), in_dims=(1, 0))(images, weights)], [torch.stack(each)])


@both
def test_many_gradients_at_once(dims):
    arguments = tensors(dims)
    grad_outputs = integers(3, *OPS[dims](*arguments).shape)
    equal(*(gradients(op[dims], arguments, grad_outputs, is_grads_batched=True) for op in (OPS, TORCH)))
    _, _, *others = registered(dims, GRID[0])
    for op, (_, *rest) in others:
        each = torch.stack([op(grad, *rest) for grad in grad_outputs])
        equal([torch.vmap(lambda grad, op=op, rest=rest: op(grad, *rest))(grad_outputs)], [each])


@both
def test_forward_mode_is_refused_and_not_taken_for_zero(dims):
    x, w, b = tensors(dims, grad=False)
    with pytest.raises(RuntimeError, match="no forward-mode derivatives"):
        torch.func.jvp(lambda x: OPS[dims](x, w, b), (x,), (x,))
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="no forward-mode derivatives"):
        OPS[dims](x, forward_ad.make_dual(w, w))
    with forward_ad.dual_level():
        equal([OPS[dims](x, w, b)], [TORCH[dims](x, w, b)])
    with pytest.raises(RuntimeError, match="setup_context"):  # PyTorch's, of every operator like ours
        torch.func.grad(lambda w: OPS[dims](x, w).sum())(w)


# The module.


def test_importing_it_again():
    old = ops.conv2d
    for _ in range(2):
        again = importlib.reload(ops)
        for function in (old, again.conv2d):
            equal(gradients(function, tensors(2)), gradients(F.conv2d, tensors(2)))


def test_it_is_imported_on_first_use():
    code = """
import sys, kernels
assert not {"kernels.ops", "kernels.layers", "torch._dynamo"} & set(sys.modules)
assert set(kernels.__all__) <= set(dir(kernels))
kernels.ops.conv2d, kernels.Conv2d
assert {"kernels.ops", "kernels.layers"} <= set(sys.modules)
assert "torch._dynamo" not in sys.modules, "it takes seconds"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'conv3d'"):
        _ = kernels.conv3d


# On a GPU.


def on_a_gpu(shape, sm, monkeypatch, dtype=torch.float32):
    """A tensor without memory that says that it is on such a GPU."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: divmod(sm, 10))
    cls = type("OnGpu", (torch.Tensor,), {"is_cuda": True})
    return torch.empty(shape, device="meta", dtype=dtype).as_subclass(cls)


@pytest.mark.parametrize(
    ("sm", "input", "options", "wanted"),
    [
        (90, (64, 64, 524280), {"stride": 3, "dilation": 4}, "conv1d_window"),
        (75, (64, 64, 524280), {"stride": 3, "dilation": 4}, "conv1d_registers"),
        (80, (64, 64, 524280), {"stride": 300}, "conv1d_gemm"),
        (75, (64, 64, 524280), {"stride": 300}, "conv1d_gemm"),
        (90, (70_000, 64, 52), {}, "conv1d_gemm"),
    ],
)
def test_the_kernel_of_conv1d(monkeypatch, sm, input, options, wanted):
    x, w = (on_a_gpu(shape, sm, monkeypatch) for shape in (input, (128, 64, 3)))
    found = choice.choose_conv1d(x, w, **options)
    assert found.kernel == wanted and found.why
    assert choice.kernels_of("conv1d", x, w, **options) == (wanted, "conv1d_direct")
    assert choice.kernels_of("conv1d", x.double(), w.double()) == ("conv1d_direct",)


@pytest.mark.parametrize(
    "stride, taps, dilation", [*itertools.product((1, 7, 40, 107), (1, 3, 44), (1, 5, 200))]
)
def test_what_the_rules_give_a_conv1d_fits(stride, taps, dilation):
    """The kernel of the rules for these sizes refuses nothing, and its result is right."""
    x, w = integers(1, 2, dilation * (taps - 1) + 2 * stride + 1), integers(3, 2, taps)
    name = choice.choose_conv1d(x, w, stride=stride, dilation=dilation).kernel
    launcher = kernels.load(name, backend="simulator", checked=False)
    equal([launcher(x, w, stride=stride, dilation=dilation)], [F.conv1d(x, w, None, stride, 0, dilation)])


@pytest.mark.parametrize("operator", GRADIENTS)
def test_the_kernels_of_gradients(monkeypatch, operator):
    ladder = [rung for rung in reversed(GRADIENTS[operator]) if rung.deterministic]
    for sm in (75, 90):
        y = on_a_gpu((2, 4, 6, 6), sm, monkeypatch)
        wanted = tuple(rung.name for rung in ladder if rung.sm <= sm)
        assert choice.kernels_of(operator, y) == wanted and wanted[-1] == f"{operator}_naive"
        assert choice.kernels_of(operator, y.double()) == (f"{operator}_naive",)


def test_what_one_kernel_refuses_is_for_the_next():
    x, w = integers(2, 3, 6, 6), integers(4, 3, 3, 3)
    candidates = ["conv2d_pointwise", "conv2d_registers", "conv2d_naive"]
    equal([ops._run(candidates, x, w, None, padding=1)], [F.conv2d(x, w, padding=1)])
    with pytest.raises(TorchCheckError, match="the filter is larger"):
        ops._run(candidates, x[:, :, :2], w)


@pytest.mark.gpu
@pytest.mark.skipif(not can_measure(), reason="needs a GPU and nvcc")
@both
def test_on_a_gpu(dims):
    for options in GRID:
        for dtype in (torch.float32, torch.float64):
            arguments = [t.cuda().requires_grad_() for t in tensors(dims, dtype=dtype, grad=False)]
            exact = [t.detach().double().cpu().requires_grad_() for t in arguments]
            ours, torchs = OPS[dims](*arguments, **options), TORCH[dims](*exact, **options)
            torch.testing.assert_close(ours.cpu().double(), torchs, rtol=1e-5, atol=1e-4)
            grad_output = integers(*ours.shape).double()
            ours = torch.autograd.grad(ours, arguments, grad_output.to(arguments[0]))
            torchs = torch.autograd.grad(torchs, exact, grad_output)
            for actual, expected in zip(ours, torchs, strict=True):
                torch.testing.assert_close(actual.cpu().double(), expected, rtol=1e-5, atol=1e-4)
