"""A module that should replace nn.Conv2d: names, first values, bias."""

import math

import torch
from torch import nn

from utils.exercise.helpers import device_of, same
from utils.exercise.spec import Exercise, Wrong

SHAPES = {"weight": (5, 3, 3, 3), "bias": (5,)}


def shown(tensors):
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors) or "none"


def names(cell):
    parameters = list(cell["FastConv2d"](3, 5, 3).named_parameters())
    assert {name: tuple(tensor.shape) for name, tensor in parameters} == SHAPES, (
        f"nn.Conv2d(3, 5, 3) has the parameters {shown(SHAPES_OF_CONV2D)}; FastConv2d has {shown(parameters)}"
    )


SHAPES_OF_CONV2D = list(nn.Conv2d(3, 5, 3).named_parameters())


def loads(cell):
    trained = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    layer = cell["FastConv2d"](3, 5, 3, stride=2, padding=1)
    layer.load_state_dict(trained.state_dict())
    for name, tensor in trained.state_dict().items():
        same(layer.state_dict()[name], tensor, f"{name} after load_state_dict", 0)


def without_bias(cell):
    trained, layer = nn.Conv2d(3, 5, 3, bias=False), cell["FastConv2d"](3, 5, 3, bias=False)
    mine, right = list(layer.state_dict()), list(trained.state_dict())
    assert mine == right, f"with bias=False nn.Conv2d has {right} in its state_dict; FastConv2d has {mine}"
    layer.load_state_dict(trained.state_dict())
    compare(cell, layer, trained, "without a bias")


def compare(cell, layer, trained, what):
    """Both on the same images; the compiled kernel decides where."""
    device = device_of(cell["conv2d"])
    torch.manual_seed(8)
    x = torch.randn(2, 3, 12, 9)
    with torch.no_grad():
        same(layer.to(device)(x.to(device)).cpu(), trained(x), f"the output {what}", 1e-4)


def equal(cell):
    for options in ({}, {"stride": 2}, {"padding": 2}, {"stride": 3, "padding": 1}):
        trained, layer = nn.Conv2d(3, 5, 3, **options), cell["FastConv2d"](3, 5, 3, **options)
        layer.load_state_dict(trained.state_dict())
        compare(cell, layer, trained, f"with {options or 'stride 1'}")


def first_values(cell):
    """Conv2d draws weight and bias evenly from -b to b, b = 1 / sqrt(C R S)."""
    layer = cell["FastConv2d"](16, 64, 3)
    bound = 1 / math.sqrt(16 * 9)
    for name, tensor in layer.named_parameters():
        spread, largest = float(tensor.detach().std()), float(tensor.detach().abs().max())
        assert largest <= bound and abs(spread - bound / math.sqrt(3)) < 0.3 * bound / math.sqrt(3), (
            f"{name} starts with a standard deviation of {spread:.3f}; nn.Conv2d(16, 64, 3) starts with"
            f" {bound / math.sqrt(3):.3f}, and nothing beyond {bound:.3f}"
        )


exercise = Exercise(
    title="A drop-in that does not fit",
    goal="a module with nn.Conv2d's parameters, first values and results",
    kind="python",
    run_starter=True,
    hints=[
        "A state_dict goes by names. Print list(nn.Conv2d(3, 5, 3).state_dict()).",
        "nn.Conv2d knows its shapes and first values. Make one inside __init__ and take its parameters over:"
        " assigning a parameter to self.NAME registers it under that name.",
        "nn.Conv2d(..., bias=False).bias is None, and the launcher takes None. So nothing special is needed"
        " for layers without a bias, if forward passes self.bias on.",
    ],
    checks=[
        ("the parameters' names and shapes", names),
        ("loads what nn.Conv2d saved", loads),
        ("equal to nn.Conv2d", equal),
        ("bias=False", without_bias),
        ("starts as nn.Conv2d starts", first_values),
    ],
    starter_fails="FastConv2d has stem_w (5, 3, 3, 3), stem_b (5,)",
    wrong=[
        Wrong(
            "the layer as a part of the module",
            replace={
                "        layer = nn": "        self.layer = nn",
                "        self.weight = layer.weight\n        self.bias = layer.bias\n": "",
                "self.weight, self.bias, self.s": "self.layer.weight, self.layer.bias, self.s",
            },
            because="FastConv2d has layer.weight (5, 3, 3, 3), layer.bias (5,)",
        ),
        Wrong(
            "values without parameters",
            replace={"= layer.weight\n": "= layer.weight.detach()\n", "= layer.bias\n": "= None\n"},
            because="FastConv2d has none",
        ),
        Wrong(
            "the bias registered and never added",
            replace={"self.weight, self.bias, self.s": "self.weight, None, self.s"},
            because="equal to nn.Conv2d: the output with stride 1",
        ),
        Wrong(
            "always with a bias",
            replace={"kernel_size, bias=bias)": "kernel_size)"},
            because="bias=False: with bias=False nn.Conv2d has ['weight']",
        ),
        Wrong(
            "never with a bias",
            replace={"kernel_size, bias=bias)": "kernel_size, bias=False)"},
            because="FastConv2d has weight (5, 3, 3, 3)",
        ),
        Wrong(
            "the right names with random numbers",
            replace={"= layer.weight\n": "= nn.Parameter(torch.randn_like(layer.weight))\n"},
            because="starts as nn.Conv2d starts: weight starts with a standard deviation of",
        ),
        Wrong(
            "stride and padding exchanged",
            replace={"self.bias, self.stride, self.padding)": "self.bias, self.padding, self.stride)"},
            because="equal to nn.Conv2d",
        ),
    ],
)  # fmt: skip
