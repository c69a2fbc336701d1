"""setup_context and backward of a convolution with ReLU: right gradients, none that nobody asks for."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from utils.exercise.helpers import same
from utils.exercise.spec import Exercise, Wrong

OPTIONS = ((1, 0, 1), (2, 1, 1), (3, 2, 2))  # stride, padding, dilation
NAMES = ("input", "weight", "bias")
COUNTED = ("conv1d_dgrad", "conv1d_wgrad", "bgrad")  # in the order of NAMES


def tensors(dtype=torch.float32, wanted=NAMES, bias=True):
    """input 2 x 3 x 14, weight 4 x 3 x 3, bias 4, with requires_grad for the wanted ones."""
    torch.manual_seed(1)
    made = [torch.randn(shape, dtype=dtype) for shape in ((2, 3, 14), (4, 3, 3), (4,))]
    for name, tensor in zip(NAMES, made, strict=True):
        tensor.requires_grad_(name in wanted)
    return (*made[:2], made[2] if bias else None)


def gradients(cell, wanted=NAMES, options=OPTIONS[0], bias=True):
    given = tensors(wanted=wanted, bias=bias)
    asked = [tensor for tensor in given if tensor is not None and tensor.requires_grad]
    real = torch.nn.functional.conv1d(*given, *options).relu()
    factor = torch.randn(real.shape)
    expected = torch.autograd.grad(real, asked, factor)
    got = torch.autograd.grad(cell["conv1d_relu"](*given, *options), asked, factor, allow_unused=True)
    return asked, given, got, expected


def right(cell):
    for options in OPTIONS:
        _, _, got, expected = gradients(cell, options=options)
        for name, ours, theirs in zip(NAMES, got, expected, strict=True):
            what = f"the gradient of {name} with stride, padding, dilation = {', '.join(map(str, options))}"
            assert ours is not None, f"{what} is None"
            same(ours, theirs, what, 1e-4)


class Calls(TorchDispatchMode):
    """Writes down which operators are called inside, by whatever name the cell calls them."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func._schema.name.partition("::")[2])
        return func(*args, **(kwargs or {}))


def called(cell, wanted, bias=True):
    """Which of dgrad, wgrad and bgrad are called where gradients of the `wanted` tensors alone are asked."""
    with Calls() as calls:
        asked, given, got, expected = gradients(cell, wanted, bias=bias)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours is not None, (
            f"asked for {' and '.join(wanted)} alone, backward returns None for one of them"
        )
        same(ours, theirs, f"a gradient, asked for {' and '.join(wanted)} alone", 1e-4)
    return calls.names.intersection(COUNTED)


def no_more_than_asked(cell):
    for wanted in (("weight", "bias"), ("input",), ("bias",), ("input", "weight")):
        calls = called(cell, wanted)
        for name, operator in zip(NAMES, COUNTED, strict=True):
            assert name in wanted or operator not in calls, (
                f"asked for {' and '.join(wanted)} alone, {operator} is called, for nobody"
            )


def without_bias(cell):
    calls = called(cell, ("input", "weight"), bias=False)
    assert "bgrad" not in calls, "bgrad is called where there is no bias"


def numerically(cell):
    for options in OPTIONS[1:]:
        given = tensors(torch.float64)
        torch.autograd.gradcheck(lambda *t, o=options: cell["conv1d_relu"](*t, *o), given)


def opcheck(cell):
    for options in OPTIONS[1:]:
        torch.library.opcheck(cell["conv1d_relu"], (*tensors(), *options))


exercise = Exercise(
    title="The backward of an op",
    goal="register the gradients of a conv1d with ReLU, made of operators; compute only what is asked for",
    kind="python",
    hints=[
        "ReLU comes last, so it is first on the way back. Where it gave zero, a small change changes nothing:"
        " there the gradient is zero. Elsewhere it goes through as it is. Who knows where that was?",
        "With dy for what came through: the gradient of the input needs dy and the weight, that of the weight"
        " dy and the input, the bias's dy alone.",
        "Tensors are kept by ctx.save_for_backward(...), the op's output too, and come back as"
        " ctx.saved_tensors. Numbers can be attributes: ctx.options = ...",
        "ctx.needs_input_grad has one True or False for each argument, in their order.",
        "ops.conv1d_dgrad wants the input's length as a list, [input.shape[2]], wgrad the number of taps:"
        " [weight.shape[2]]. Return six values: for stride, padding and dilation None.",
    ],
    checks=[
        ("gradients of input, weight and bias", right),
        ("none that nobody asks for", no_more_than_asked),
        ("without a bias", without_bias),
        ("gradcheck, in float64", numerically),
        ("opcheck", opcheck),
    ],
    starter_fails="gradients of input, weight and bias: the gradient of input",
    wrong=[
        Wrong(
            "ReLU forgotten",
            replace={"grad_output * (output > 0)": "grad_output"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "ReLU by the gradient's sign",
            replace={"grad_output * (output > 0)": "grad_output.relu()"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "the output as a factor",
            replace={"grad_output * (output > 0)": "grad_output * output"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "ReLU forgotten for the bias",
            replace={"ops.bgrad(dy)": "ops.bgrad(grad_output)"},
            because="gradients of input, weight and bias: the gradient of bias",
        ),
        Wrong(
            "three gradients for six arguments",
            replace={"grad_bias, None, None, None": "grad_bias"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "in another order",
            replace={"return grad_input, grad_weight": "return grad_weight, grad_input"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "the options forgotten",
            replace={"[weight.shape[2]], *ctx.options": "[weight.shape[2]], 1, 0, 1"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "options in another order",
            replace={"ctx.options = stride, padding, dilation": "ctx.options = stride, dilation, padding"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "the length of the output",
            replace={"[input.shape[2]]": "[grad_output.shape[2]]"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "always all of them",
            replace={"if for_input:": "if True:", "if for_weight:": "if True:"},
            because="asked for weight and bias alone, conv1d_dgrad is called, for nobody",
        ),
        Wrong(
            "asked in another order",
            replace={"for_input, for_weight, for_bias, *_": "for_weight, for_input, for_bias, *_"},
            because="none that nobody asks for: ",
        ),
        Wrong(
            "the bias always",
            replace={"ops.bgrad(dy) if for_bias else None": "ops.bgrad(dy)"},
            because="none that nobody asks for: ",
        ),
        Wrong(
            "the bias never",
            replace={"ops.bgrad(dy) if for_bias else None": "None"},
            because="the gradient of bias with stride, padding, dilation = 1, 0, 1 is None",
        ),
        Wrong(
            "summed over the images alone",
            replace={"ops.bgrad(dy) if": "dy.sum(0) if"},
            because="gradients of input, weight and bias: ",
        ),
        Wrong(
            "a launcher in place of an operator",
            replace={
                "ops = torch.ops.conv_course": "ops = torch.ops.conv_course\ndgrad_kernel = kernels.load("
                '"conv1d_dgrad_naive", backend="simulator", checked=False)',
                "ops.conv1d_dgrad(dy, weight, [input.shape[2]], *ctx.options)": "dgrad_kernel("
                "dy.contiguous(), weight, input.shape[2], *ctx.options)",
            },
            because="opcheck: ",
        ),
    ],
)
