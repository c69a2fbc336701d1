"""Parameters that come into being in a second call: too late for optimizers, .to() and load_state_dict."""

import math

import torch
from torch import nn

from utils.exercise.helpers import device_of, same
from utils.exercise.spec import Exercise, Wrong


def parameters(cell):
    layer = cell["FastConv1d"](3, 5, 4, stride=3, dilation=2)
    found = [f"{name} {tuple(tensor.shape)}" for name, tensor in layer.named_parameters()]
    assert sorted(found) == ["bias (5,)", "weight (5, 3, 4)"], (
        "FastConv1d(3, 5, 4) should have the parameters weight (5, 3, 4) and bias (5,) as soon as it is made;"
        f" it has {', '.join(found) or 'none, and an optimizer would have nothing to train'}"
    )


def moves(cell):
    """.to(dtype) goes the same way as .to("cuda"), which not every machine has."""
    layer = cell["FastConv1d"](3, 5, 4).to(torch.float64)
    for name in ("weight", "bias"):
        dtype = getattr(layer, name).dtype
        assert dtype == torch.float64, (
            f"after layer.to(torch.float64), {name} is {dtype}: .to() did not reach it, and neither would"
            ' .to("cuda")'
        )


def loads(cell):
    trained = nn.Conv1d(3, 5, 4)
    layer = cell["FastConv1d"](3, 5, 4)
    layer.load_state_dict(trained.state_dict())
    same(layer.weight.detach(), trained.weight.detach(), "weight after load_state_dict", 0)


def equal(cell):
    device = device_of(cell["conv2d"])
    for options in ({}, {"stride": 3}, {"dilation": 4}, {"stride": 3, "dilation": 4}):
        trained = nn.Conv1d(3, 5, 4, **options)
        layer = cell["FastConv1d"](3, 5, 4, **options)
        layer.load_state_dict(trained.state_dict())
        x = torch.randn(2, 3, 40)
        with torch.no_grad():
            actual = layer.to(device)(x.to(device)).cpu()
            same(actual, trained(x), f"the output with {options or 'stride 1'}", 1e-4)


def first_values(cell):
    layer, bound = cell["FastConv1d"](16, 64, 3), 1 / math.sqrt(16 * 3)
    other = cell["FastConv1d"](16, 64, 3)
    for name, tensor in layer.named_parameters():
        spread, largest = float(tensor.detach().std()), float(tensor.detach().abs().max())
        assert largest <= bound and abs(spread - bound / math.sqrt(3)) < 0.3 * bound / math.sqrt(3), (
            f"{name} starts with a standard deviation of {spread:.3f}; nn.Conv1d(16, 64, 3) starts with"
            f" {bound / math.sqrt(3):.3f}, and nothing beyond {bound:.3f}"
        )
    assert not torch.equal(layer.weight, other.weight), "two layers start with the same numbers"


TAKEN = "self.weight, self.bias = layer.weight, layer.bias"

exercise = Exercise(
    title="Parameters that come too late",
    goal="a module that is complete when its constructor returns",
    kind="python",
    run_starter=True,
    hints=[
        "What does list(FastConv1d(3, 5, 4).parameters()) give before anybody calls init_weights?",
        "The constructor has all sizes. Make an nn.Conv1d there and take over its weight and bias.",
        "stride and dilation are no parameters, but forward needs them: keep them in the constructor as well."
        " Then init_weights can go.",
    ],
    checks=[
        ("parameters from the start", parameters),
        (".to() reaches them", moves),
        ("loads what nn.Conv1d saved", loads),
        ("equal to nn.Conv1d", equal),
        ("starts as nn.Conv1d starts", first_values),
    ],
    starter_fails="it has none, and an optimizer would have nothing to train",
    wrong=[
        Wrong(
            "made in the first forward",
            replace={
                TAKEN: "self.layer = [layer]",
                "return conv1d(": "self.weight = self.layer[0].weight\n        return conv1d(",
            },
            because="it has none, and an optimizer",
        ),
        Wrong(
            "plain tensors",
            replace={"= layer.weight, layer.bias": "= layer.weight.detach(), layer.bias.detach()"},
            because="it has none",
        ),
        Wrong(
            "buffers, which .to() reaches and no optimizer",
            replace={
                TAKEN: 'self.register_buffer("weight", layer.weight.detach())\n'
                '        self.register_buffer("bias", layer.bias.detach())',
            },
            because="it has none",
        ),
        Wrong(
            "only the weight",
            replace={TAKEN: "self.weight, self.bias = layer.weight, None"},
            because="it has weight (5, 3, 4)",
        ),
        Wrong(
            "a copy beside the parameters, for forward",
            replace={
                TAKEN: TAKEN + "\n        self.copy = self.weight.detach().clone()",
                "conv1d(x, self.weight,": "conv1d(x, self.copy,",
            },
            because="equal to nn.Conv1d: the output with stride 1",
        ),
        Wrong(
            "the stride of init_weights lost",
            replace={"= stride, dilation": "= 1, dilation"},
            because="the output with {'stride': 3} has shape",
        ),
        Wrong(
            "standard normal numbers",
            replace={"layer.weight, layer.bias": "nn.Parameter(torch.randn(layer.weight.shape)), layer.bias"},
            because="starts as nn.Conv1d starts: weight starts with",
        ),
    ],
)  # fmt: skip
