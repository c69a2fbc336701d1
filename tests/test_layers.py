"""kernels.layers: layers that stand in for PyTorch's, and convert, which puts them into a model."""

import copy
import inspect
import io
import pickle
import re

import pytest
import torch
from torch import nn

import kernels
from kernels import Conv1d, Conv2d, convert
from utils.check import exact_float32
from utils.timing import can_measure

PAIRS = [(Conv2d, nn.Conv2d), (Conv1d, nn.Conv1d)]
both = pytest.mark.parametrize(("ours", "torchs"), PAIRS)


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def image(layer, channels=3):
    return random(2, channels, *(17, 15)[: 2 if isinstance(layer, nn.Conv2d) else 1])


def same(module, reference, x, tolerance=1e-5):
    """Results and gradients of both are equal but for rounding: `tolerance` times the largest."""
    found = []
    for each in (module, reference):
        given = x.detach().requires_grad_()
        output = each(given)
        output.square().sum().backward()
        found.append([output.detach(), given.grad, *(p.grad for p in each.parameters())])
        each.zero_grad()
    assert len(found[0]) == len(found[1]) > 2
    for actual, expected in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * float(expected.abs().max()))


# A layer.


OPTIONS = [
    {},
    {"bias": False},
    {"stride": 2, "padding": 1, "dilation": 2},
    {"padding": "same", "dilation": 2},
    {"padding": "valid", "stride": 3},
]


@both
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_same_layer_from_the_same_seed(ours, torchs, options):
    layers = []
    for cls in (ours, torchs):
        torch.manual_seed(7)
        layers.append(cls(3, 5, 3, **options))
    assert repr(layers[0]) == repr(layers[1])
    states = [layer.state_dict() for layer in layers]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    same(*layers, image(layers[0]))
    layers[1].reset_parameters()
    layers[0].load_state_dict(layers[1].state_dict())
    same(*layers, image(layers[0]))
    same(*layers, image(layers[0])[0])
    assert isinstance(layers[0], torchs)


@both
def test_the_same_constructor(ours, torchs):
    assert inspect.signature(ours) == inspect.signature(torchs)
    layer = ours(3, 4, 3, 2, 1, 1, 1, False, "zeros", "meta", torch.float64)
    assert layer.bias is None and layer.weight.is_meta and layer.weight.dtype == torch.float64
    assert layer(
        torch.empty(2, 3, *[9] * (layer.weight.dim() - 2), device="meta", dtype=torch.float64)
    ).is_meta


def test_equal_tuples():
    options = {"stride": (2, 2), "padding": (1, 1), "dilation": (2, 2)}
    torch.manual_seed(0)
    ours = Conv2d(3, 4, (3, 2), **options)
    torch.manual_seed(0)
    same(ours, nn.Conv2d(3, 4, (3, 2), **options), image(ours))


UNSUPPORTED = [
    ({"groups": 2}, "groups = 2"),
    ({"padding_mode": "reflect", "padding": 1}, "padding_mode = 'reflect'"),
    ({"stride": (1, 2)}, r"stride = \(1, 2\)"),
    ({"dilation": (2, 1)}, r"dilation = \(2, 1\)"),
    ({"padding": (0, 1)}, r"padding = \(0, 1\)"),
    ({"kernel_size": 2, "padding": "same"}, "padding = 'same' pads one side more"),
    ({"kernel_size": (3, 5), "padding": "same"}, "padding = 'same' is another one for each direction"),
    ({"dtype": torch.float16}, "its weight is torch.float16"),
    ({"dtype": torch.bfloat16}, "its weight is torch.bfloat16"),
]


@pytest.mark.parametrize(("options", "reason"), UNSUPPORTED, ids=str)
def test_what_no_kernel_does_is_refused_and_left(options, reason):
    options = {"in_channels": 4, "out_channels": 4, "kernel_size": 3, **options}
    with pytest.raises(ValueError, match=reason + ".*: use torch.nn.Conv2d for this layer"):
        Conv2d(**options)
    layer = nn.Conv2d(**options)
    report = convert(layer)
    assert type(layer) is nn.Conv2d and not report.replaced
    assert re.match(reason, report.left[0].why) and report.left[0].name == "(model)"


@both
def test_what_pytorch_refuses_is_refused_as_there(ours, torchs):
    for options in ({"stride": 2, "padding": "same"}, {"padding_mode": "no"}, {"groups": 2}):
        with pytest.raises(ValueError) as theirs:
            torchs(3, 4, 3, **options)
        with pytest.raises(ValueError, match=re.escape(str(theirs.value))):
            ours(3, 4, 3, **options)


@both
def test_types(ours, torchs):
    layer = ours(3, 4, 3)
    x = image(layer)
    with pytest.raises(RuntimeError, match="weight is torch.float64, input is torch.float32"):
        layer.double()(x)
    assert layer(x.double()).dtype == torch.float64
    layer.half()
    for given in (x, x.half()):
        with pytest.raises(RuntimeError, match=r"is torch.float16.* model.float\(\)"):
            layer(given)
    layer.float()(x)
    with torch.autocast("cpu"):
        assert layer(x).dtype == torch.float32


@both
def test_copies_and_files(ours, torchs, tmp_path):
    layer = ours(3, 4, 3, padding=1)
    x, state = image(layer), io.BytesIO()
    torch.save(layer.state_dict(), state)
    torch.save(layer, tmp_path / "layer.pt")
    state.seek(0)
    loaded = ours(3, 4, 3, padding=1, dtype=torch.float64)
    loaded.load_state_dict(torch.load(state, map_location="cpu"))
    copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), loaded.float()
    for each in (*copies, torch.load(tmp_path / "layer.pt", weights_only=False)):
        assert type(each) is ours and each.weight is not layer.weight
        assert torch.equal(each(x), layer(x))


@both
def test_compile_and_export(ours, torchs):
    layer = ours(3, 4, 3, padding="same")
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(image(layer)), layer(image(layer)))
    program = torch.export.export(layer, (image(layer),))
    assert torch.equal(program.module()(image(layer)), layer(image(layer)))


def test_hooks_run_once():
    layer, calls = Conv2d(3, 4, 3), []
    layer.register_forward_hook(lambda *_: calls.append(1))
    layer(image(layer)[0])
    assert calls == [1]


# convert.


def mixed():
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1), nn.Dropout()),
        nn.ConvTranspose2d(4, 3, 2),
    )
    model.shared = model[0]
    return model


def test_convert():
    model, reference = mixed(), mixed()
    hooked = []
    model[0].register_forward_hook(lambda *_: hooked.append(1))
    model.eval(), reference.eval()
    model[2][1].weight.requires_grad_(False)
    before = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    report = convert(model)
    after = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    for old, new in zip(before, after, strict=True):
        assert list(old) == list(new) and all(old[name] is new[name] for name in old)
    assert type(model[0]) is type(model[2][1]) is Conv2d and model.shared is model[0]
    assert not model[2][1].weight.requires_grad and not any(m.training for m in model.modules())
    torch.testing.assert_close(model(random(2, 3, 9, 8)), reference(random(2, 3, 9, 8)))
    assert hooked == [1, 1], "once for each place that it has in the model"
    assert list(report.replaced) == ["0", "2.1"] and [left.name for left in report.left] == ["2.0", "3"]
    assert (
        str(report)
        == repr(report)
        == (
            "0    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))  replaced\n"
            "2.1  Conv2d(8, 4, kernel_size=(1, 1), stride=(1, 1))                  replaced\n"
            "2.0  Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), groups=8)        "
            "left: groups = 8, and the kernels have none\n"
            "3    ConvTranspose2d(4, 3, kernel_size=(2, 2), stride=(1, 1))         left: no kernel does it"
        )
    )
    again = convert(model)
    assert not again.replaced and again.left == report.left


@both
def test_convert_a_layer(ours, torchs):
    layer = torchs(3, 4, 3)
    expected = layer(image(layer))
    assert convert(layer).replaced and type(layer) is ours
    torch.testing.assert_close(layer(image(layer)), expected)
    layer.__class__ = torchs
    assert torch.equal(layer(image(layer)), expected)


def test_no_convolutions():
    assert str(convert(nn.Sequential(nn.ReLU(), Conv2d(1, 1, 1)))) == "no convolutions"


class Own(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) + 1


def with_own_forward():
    layer = nn.Conv2d(3, 4, 3)
    layer.forward = lambda x: nn.Conv2d.forward(layer, x) + 1
    return layer


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Own(3, 4, 3), "a subclass of Conv2d may compute something else"),
        (lambda: nn.LazyConv2d(4, 3), "a subclass of Conv2d"),
        (with_own_forward, "its forward was replaced"),
        (lambda: nn.Conv3d(3, 4, 3), "no kernel does it"),
        (lambda: nn.utils.weight_norm(nn.Conv2d(3, 4, 3)), "its weight is computed"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), "its weight is computed"),
        (lambda: nn.utils.parametrizations.orthogonal(Conv2d(3, 4, 3)), None),
    ],
)
def test_left_alone(make, reason):
    layer = make()
    cls = type(layer)
    report = convert(nn.ModuleDict({"it": layer}))
    assert type(layer) is cls and not report.replaced
    assert [left.name for left in report.left] == ([] if reason is None else ["it"])
    assert reason is None or report.left[0].why.startswith(reason)


def test_an_optimizer_goes_on():
    """Converted in the middle of training, a model goes on as the other one does."""
    losses = []
    for swap in (False, True):
        torch.manual_seed(5)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        x, y = random(8, 1, 8, 8), torch.arange(8) % 3
        losses.append([])
        for step in range(6):
            if swap and step == 2:
                assert convert(model).replaced
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and losses[0][-1] < losses[0][0]


# The models that the course grew from.


class Reference(nn.Module):
    """AlexNet's first layer, and the dilated strided conv1d."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, kernel_size=11, stride=4, padding=2)
        self.conv1d = nn.Conv1d(64, 128, 3, stride=3, dilation=4, bias=False)

    def forward(self, image, signal):
        return self.conv1(image), self.conv1d(signal)


class New(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = Conv2d(3, 96, kernel_size=11, stride=4, padding=2)
        self.conv1d = Conv1d(64, 128, 3, stride=3, dilation=4, bias=False)

    forward = Reference.forward


def test_the_models_that_the_course_grew_from():
    torch.manual_seed(1)
    reference, new = Reference(), New()
    new.load_state_dict(reference.state_dict())
    inputs = random(1, 3, 224, 224), random(2, 64, 500)
    for actual, expected in zip(new(*inputs), reference(*inputs), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
    assert new(*inputs)[0].shape == (1, 96, 55, 55), "not 56 x 56"


def alexnet_features(width=1.0):
    """The features of AlexNet, as torchvision has them; `width` scales the channels."""
    channels = [3, *(int(width * c) for c in (64, 192, 384, 256, 256))]
    sizes = [(11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    layers = []
    for i, (taps, stride, padding) in enumerate(sizes):
        layers += [nn.Conv2d(*channels[i : i + 2], taps, stride, padding), nn.ReLU()]
        if i in (0, 1, 4):
            layers.append(nn.MaxPool2d(3, 2))
    return nn.Sequential(*layers)


def test_alexnets_features():
    torch.manual_seed(2)
    reference = alexnet_features()
    model = copy.deepcopy(reference)
    convert(model)
    x = random(1, 3, 224, 224)
    with torch.no_grad():
        features, expected = model(x), reference(x)
    assert features.shape == (1, 256, 6, 6)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_training_alexnets_features():
    torch.manual_seed(2)
    reference = alexnet_features(width=1 / 4)
    model = copy.deepcopy(reference)
    assert len(convert(model).replaced) == 5 and not convert(model).left
    same(model, reference, random(1, 3, 95, 79))
    assert kernels.Conv2d is type(model[0])


@pytest.mark.gpu
@pytest.mark.skipif(not can_measure(), reason="needs a GPU and nvcc")
def test_on_a_gpu():
    reference = alexnet_features(width=1 / 4).cuda()
    model = copy.deepcopy(reference)
    assert len(convert(model).replaced) == 5
    x = random(2, 3, 95, 79).cuda()
    with exact_float32():
        same(model, reference, x, tolerance=1e-4)  # Winograd's algorithm is among its kernels
        same(torch.compile(copy.deepcopy(model), fullgraph=True), reference, x, tolerance=1e-4)
    state = io.BytesIO()
    torch.save(model.state_dict(), state)
    state.seek(0)
    on_the_cpu = alexnet_features(width=1 / 4)
    on_the_cpu.load_state_dict(torch.load(state, map_location="cpu"))
    convert(on_the_cpu)
    torch.testing.assert_close(on_the_cpu(x.cpu()), model(x).cpu(), rtol=1e-3, atol=1e-4)
    with torch.autocast("cuda", torch.bfloat16):
        assert model(x).dtype == torch.float32
    assert model.double()(x.double()).dtype == torch.float64
