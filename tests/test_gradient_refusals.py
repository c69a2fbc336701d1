"""What a gradient's launcher refuses, with the reason; what is extreme is refused with numbers, or right."""

import re

import pytest
import torch
from rungs import integers, random

import kernels
from kernels import GRADIENTS
from utils.check import Case
from utils.check_gradients import Outputs
from utils.timing_gradients import torch_gradient

RUNGS = [rung for ladder in GRADIENTS.values() for rung in ladder]
OPTIONS = {"stride": 1, "padding": 0, "dilation": 1}


def given(rung):
    """The arguments of a plain call, by name: N 2, C 3, K 4, H 5, W 6, R 3, S 2, so P 3 and Q 5."""
    one = rung.name.startswith("conv1d")
    sizes, taps, outputs = ((6,), (2,), (5,)) if one else ((5, 6), (3, 2), (3, 5))
    grad_output = random(2, 4, *outputs)
    which = kernels.operator(rung.name).split("_")[-1]
    if which == "bgrad":
        return {"grad_output": grad_output}
    names = {"dgrad": ("height", "width", "length"), "wgrad": ("R", "S", "S")}[which]
    told = dict(zip(names[2:] if one else names[:2], sizes if which == "dgrad" else taps, strict=True))
    other = {"weight": random(4, 3, *taps)} if which == "dgrad" else {"input": random(2, 3, *sizes)}
    return {"grad_output": grad_output, **other, **told, **OPTIONS}


def refusals(rung):
    """Changes of that call and words of the reason."""
    plain = given(rung)
    grad_output = plain["grad_output"]
    last = grad_output.dim() - 1
    both = "" if "fp64" not in rung.precisions else " or float64"
    found = {
        "float16": ({"grad_output": grad_output.half()}, f"grad_output must be float32{both}"),
        "int": ({"grad_output": grad_output.int()}, f"grad_output must be float32{both}"),
        "not contiguous": ({"grad_output": grad_output.mT}, "grad_output must be contiguous: pass"),
        "no channels": ({"grad_output": grad_output[:, :0]}, "only the batch may be empty|has 0 channels"),
        "no outputs": ({"grad_output": grad_output[..., :0]}, "only the batch may be empty|another size"),
        "2-D": ({"grad_output": grad_output.flatten(1)}, "grad_output must have [34].* dimensions, not 2"),
        "over 2^31": (
            {
                "grad_output": random(1, 1)
                .view(1, 1, *[1] * (last - 1))
                .expand(2**16, 2**16, *[1] * (last - 1))
            },
            "grad_output has over 2.31 - 1 elements",
        ),
    }
    if len(plain) == 1:
        return found
    other = next(name for name in ("weight", "input") if name in plain)
    tensor = plain[other]
    huge = {name: ({name: 2**40}, "must be below 536870912") for name in OPTIONS}
    for name in [name for name in plain if name not in ("grad_output", other, *OPTIONS)]:
        found |= {
            f"{name} 0": ({name: 0}, "must be positive"),
            f"{name} negative": ({name: -1}, "must be positive"),
            f"another {name}": (
                {name: 5 if other == "input" else plain[name] + 1},
                "another size|larger than",
            ),
            f"{name} huge": ({name: 2**40}, "must be below|another size|larger than the padded input"),
        }
    found |= {f"huge {name}": value for name, value in huge.items()} | {
        "stride 0": ({"stride": 0}, "stride and dilation must be positive"),
        "stride negative": ({"stride": -1}, "stride and dilation must be positive"),
        "dilation 0": ({"dilation": 0}, "stride and dilation must be positive"),
        "padding negative": ({"padding": -1}, "padding must not be negative"),
        "another stride": ({"stride": 2}, "another size"),
        "another padding": ({"padding": 1}, "another size"),
        "filter too large": ({"dilation": 9}, "larger than the padded input"),
        "other float16": ({other: tensor.half()}, f"{other} must be float32"),
        "other float64": ({other: tensor.double()}, f"{other} must be float32"),
        "other not contiguous": ({other: tensor.mT}, f"{other} must be contiguous"),
        "other of fewer dimensions": ({other: tensor[0]}, f"{other} must have {last + 1} dimensions"),
        "nothing in the other": ({other: tensor[:, :0]}, "only the batch may be empty"),
        "too few of the other": (
            {other: tensor[:1]},
            "grad_output has (4 channels, not 1|2 images, not 1)",
        ),
    }
    return found


CALLS = [(rung, what) for rung in RUNGS for what in refusals(rung)]


@pytest.mark.parametrize("rung, what", CALLS, ids=[f"{rung.name}-{what}" for rung, what in CALLS])
def test_refusals_say_why(rung, what):
    change, words = refusals(rung)[what]
    launcher = kernels.load(rung.name, backend="simulator")
    with pytest.raises(RuntimeError, match=words):
        launcher(**{**given(rung), **change})


def assert_right_or(words, rung, case):
    """Whole numbers, so that every sum is exact; a refusal has these words."""
    which = kernels.operator(rung.name).split("_")[-1]
    grad_output = integers(case.N, case.K, *(case.outputs if isinstance(case, Case) else case.size))
    if which == "bgrad":
        arguments = [grad_output]
    elif which == "dgrad":
        arguments = [grad_output, integers(case.K, case.C, *case.taps), *case.size, *case.options.values()]
    else:
        arguments = [grad_output, integers(case.N, case.C, *case.size), *case.taps, *case.options.values()]
    try:
        actual = kernels.load(rung.name, backend="simulator", checked=False)(*arguments)
    except RuntimeError as error:
        assert re.search(words, str(error)), error
        return
    exact = [value.double() if isinstance(value, torch.Tensor) else value for value in arguments]
    assert torch.equal(actual.double(), torch_gradient(kernels.operator(rung.name))(*exact))


CONVOLVED = [rung for rung in RUNGS if kernels.operator(rung.name) != "bgrad"]


@pytest.mark.parametrize("option", [{"stride": 2**28}, {"dilation": 2**28}, {"stride": 101}, {"padding": 70}])
@pytest.mark.parametrize("rung", CONVOLVED, ids=lambda rung: rung.name)
def test_extreme_options(rung, option):
    dims = 1 if rung.name.startswith("conv1d") else 2
    taps = (1,) if "dilation" in option else (2,)
    case = Case("extreme", 1, 2, (5, 4)[-dims:], 3, taps * dims, **option)
    assert_right_or(r"\d{4,}|int offsets|2\^3[01]", rung, case)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_many_images(rung):
    """More than a grid has blocks along y and z."""
    dims = 1 if rung.name.startswith("conv1d") else 2
    if kernels.operator(rung.name) == "bgrad":
        return assert_right_or("70000", rung, Outputs("", 70_000, 1, (1,)))
    assert_right_or("70000(.|\n)*65,535", rung, Case("", 70_000, 1, (1,) * dims, 1, (1,) * dims))


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_many_channels(rung):
    dims = 1 if rung.name.startswith("conv1d") else 2
    if kernels.operator(rung.name) == "bgrad":
        return assert_right_or("70000", rung, Outputs("", 1, 70_000, (1,)))
    for C, K in ((70_000, 1), (1, 70_000)):
        assert_right_or("65,535", rung, Case("", 1, C, (1,) * dims, K, (1,) * dims))
