"""A forward that loses the gradient without a word: it has to refuse."""

import torch
from torch import nn

from utils.exercise.helpers import device_of, same
from utils.exercise.spec import Exercise, Wrong


def device(cell):
    return device_of(cell["conv2d"])


def layer_and_input(cell, wants=()):
    """A layer and an input on the kernel's device; of input, weight and bias, `wants` require gradients."""
    torch.manual_seed(8)
    layer = cell["FastConv2d"](3, 4, 3, stride=2, padding=1).to(device(cell)).requires_grad_(False)
    x = torch.randn(2, 3, 8, 7, device=device(cell))
    for name in wants:
        (x if name == "input" else getattr(layer, name)).requires_grad_(True)
    return layer, x


def agrees(layer, x):
    right = nn.functional.conv2d(x.cpu(), layer.weight.cpu(), layer.bias.cpu(), 2, 1)
    same(layer(x).detach().cpu(), right.detach(), "the output", 1e-4)


def without_gradients(cell):
    for context in (torch.no_grad, torch.inference_mode):
        layer, x = layer_and_input(cell, ("weight", "bias"))
        for mode in (True, False):
            with context():
                agrees(layer.train(mode), x)


def frozen(cell):
    for mode in (True, False):
        layer, x = layer_and_input(cell)
        agrees(layer.train(mode), x)


def without_bias(cell):
    """bias=False: the layer has no tensor to ask."""
    layer = cell["FastConv2d"](3, 4, 3, stride=2, padding=1, bias=False).to(device(cell))
    x = torch.randn(2, 3, 8, 7, device=device(cell))
    right = nn.functional.conv2d(x.cpu(), layer.weight.detach().cpu(), None, 2, 1)
    with torch.no_grad():
        same(layer(x).cpu(), right, "the output with bias=False", 1e-4)
    same(layer.requires_grad_(False)(x).cpu(), right, "the output with bias=False", 1e-4)


def refuses(*wants):
    """A check that a call is refused in which these three, or some of them, want a gradient."""

    def check(cell):
        for mode in (True, False):
            layer, x = layer_and_input(cell, wants)
            try:
                output = layer.train(mode)(x)
            except RuntimeError as error:
                words = ("backward", "gradient", "train", "no_grad")
                assert any(word in str(error).lower() for word in words), (
                    f"the error says {str(error)!r}: it should tell its reader that there is no backward"
                )
                continue
            method = "train()" if mode else "eval()"
            raise AssertionError(
                f"{' and '.join(wants)} want{'' if len(wants) > 1 else 's'} a gradient, the layer is in"
                f" {method}, and it returned a tensor with requires_grad={output.requires_grad}: nobody will"
                " ever learn that the gradient is lost"
            )

    return check


CONDITION = "torch.is_grad_enabled() and any(tensor.requires_grad for tensor in needed)"
WORDS = '"FastConv2d has no backward: call it under torch.no_grad()"'

exercise = Exercise(
    title="Training that does not train",
    goal="raise a RuntimeError that says why, wherever somebody would lose a gradient; else compute",
    kind="python",
    run_starter=True,
    hints=[
        "A gradient is wanted where autograd is on, torch.is_grad_enabled(), and at least one of the tensors"
        " has requires_grad.",
        "train() and eval() change dropout and batch norm. They do not switch autograd off.",
        "The tensors are x and all of self.parameters(): any(tensor.requires_grad for tensor in ...).",
    ],
    checks=[
        ("computes under no_grad", without_gradients),
        ("computes with frozen parameters", frozen),
        ("refuses to be trained", refuses("weight", "bias")),
        ("refuses for the input's gradient", refuses("input")),
        ("refuses for the bias alone", refuses("bias")),
        ("a layer without a bias", without_bias),
    ],
    starter_fails="refuses to be trained: weight and bias want a gradient, the layer is in train()",
    wrong=[
        Wrong(
            "looks at train() and eval()",
            replace={CONDITION: "self.training"},
            because="computes under no_grad: RuntimeError",
        ),
        Wrong(
            "refuses in train() alone",
            replace={"if torch.is_grad_enabled()": "if self.training and torch.is_grad_enabled()"},
            because="the layer is in eval()",
        ),
        Wrong(
            "refuses always where autograd is on",
            replace={" and any(tensor.requires_grad for tensor in needed)": ""},
            because="computes with frozen parameters: RuntimeError",
        ),
        Wrong(
            "does not look whether autograd is on",
            replace={"torch.is_grad_enabled() and ": ""},
            because="computes under no_grad: RuntimeError",
        ),
        Wrong(
            "forgets the input",
            replace={"[x, *self.parameters()]": "list(self.parameters())"},
            because="input wants a gradient",
        ),
        Wrong(
            "forgets the bias",
            replace={"[x, *self.parameters()]": "[x, self.weight]"},
            because="bias wants a gradient",
        ),
        Wrong(
            "takes a bias for granted",
            replace={"[x, *self.parameters()]": "[x, self.weight, self.bias]"},
            because="a layer without a bias: AttributeError",
        ),
        Wrong(
            "says nothing in its error",
            replace={WORDS: '"oops"'},
            because="the error says 'oops'",
        ),
        Wrong(
            "a warning that scrolls by",
            replace={"raise RuntimeError(": "print("},
            because="and it returned a tensor with requires_grad=False",
        ),
        Wrong(
            "an output that pretends",
            replace={
                f"raise RuntimeError({WORDS})":
                "return conv2d(x, self.weight, self.bias, self.stride[0], 1).requires_grad_()",
            },
            because="and it returned a tensor with requires_grad=True",
        ),
    ],
)  # fmt: skip
