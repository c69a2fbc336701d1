"""An op whose fake kernel is wrong: samples that let opcheck find it, and the mending."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from utils.exercise.spec import Exercise, Wrong

CHECKED = ("test_schema", "test_faketensor")


def length(L, S, stride, padding, dilation):
    return (L + 2 * padding - dilation * (S - 1) - 1) // stride + 1


# name -> the shape that a wrong fake kernel says, from N, K, L, S, stride, padding, dilation
FAULTS = {
    "nothing wrong": lambda N, K, L, S, s, p, d: (N, K, length(L, S, s, p, d)),
    "dilation forgotten": lambda N, K, L, S, s, p, d: (N, K, length(L, S, s, p, 1)),
    "stride forgotten": lambda N, K, L, S, s, p, d: (N, K, length(L, S, 1, p, d)),
    "padding on one side": lambda N, K, L, S, s, p, d: (N, K, (L + p - d * (S - 1) - 1) // s + 1),
    "a last window that does not fit": lambda N, K, L, S, s, p, d: (N, K, length(L + s - 1, S, s, p, d)),
    "stride and dilation exchanged": lambda N, K, L, S, s, p, d: (N, K, length(L, S, d, p, s)),
    "N and K exchanged": lambda N, K, L, S, s, p, d: (K, N, length(L, S, s, p, d)),
    "float32 whatever the input": lambda N, K, L, S, s, p, d: (N, K, length(L, S, s, p, d)),
}


def op_with(name, shape):
    """A custom op that computes the convolution rightly and has this fake kernel."""

    def compute(
        input: Tensor, weight: Tensor, scale: float, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Tensor:
        return scale * torch.nn.functional.conv1d(input, weight, None, stride, padding, dilation)

    op = torch.library.custom_op(f"faulty::{name.replace(' ', '_')}", compute, mutates_args=())

    @op.register_fake
    def _(input, weight, scale, stride=1, padding=0, dilation=1):
        (N, _, L), (K, _, S) = input.shape, weight.shape
        sizes = shape(N, K, L, S, stride, padding, dilation)
        return input.new_empty(sizes, dtype=torch.float32 if "float32" in name else input.dtype)

    return op


def found(op, samples):
    for sample in samples:
        try:
            torch.library.opcheck(op, sample, test_utils=CHECKED)
        except Exception:  # opcheck wraps what it finds in errors of several kinds
            return True
    return False


def right_shape(cell):
    op, cases = cell["scaled_conv1d"], [(9, 3, 1, 0, 1), (17, 4, 1, 0, 1), (17, 3, 1, 2, 2), (18, 4, 3, 1, 4)]
    for L, S, *options in [*cases, (20, 3, 3, 0, 1), (5, 1, 2, 0, 3), (30, 2, 4, 3, 5)]:
        for dtype in (torch.float32, torch.float64):
            with FakeTensorMode():
                said = op(torch.empty(2, 3, L, dtype=dtype), torch.empty(4, 3, S, dtype=dtype), 1.0, *options)
            real = (2, 4, length(L, S, *options))
            call = f"length {L}, {S} taps, stride, padding, dilation = {', '.join(map(str, options))}"
            assert tuple(said.shape) == real, f"the fake kernel says {tuple(said.shape)}, not {real}: {call}"
            assert said.dtype == dtype, f"the fake kernel says {said.dtype}, the input is {dtype}"


def symbols(cell):
    """Exported for sounds of any length: the fake kernel sees a symbol in the length's place."""

    class Model(torch.nn.Module):
        def forward(self, x):
            return cell["scaled_conv1d"](x, torch.ones(4, 3, 3), 1.0, 2, 1, 3)

    lengths = {"x": {2: torch.export.Dim("L", min=20)}}
    try:
        program = torch.export.export(Model(), (torch.randn(2, 3, 30),), dynamic_shapes=lengths)
    except Exception as error:
        first = str(error).strip().splitlines()[0].partition(" For more")[0]
        raise AssertionError(
            f"export refuses it. Keep to +, -, * and // with L: no int(L), no if. PyTorch says: {first[:90]}"
        ) from None
    given = tuple(program.module()(torch.randn(2, 3, 41)).shape)
    assert given == (2, 4, length(41, 3, 2, 1, 3)), f"exported, it gives {given} for 41 places"


def samples_of(cell):
    samples = cell["SAMPLES"]
    assert isinstance(samples, (list, tuple)) and samples, "SAMPLES must be a list of arguments"
    for sample in samples:
        assert isinstance(sample, (list, tuple)), f"a sample is a tuple of arguments, not {sample!r:.50}"
        assert 3 <= len(sample) <= 6, f"a sample has 3 to 6 values, from input to dilation, not {len(sample)}"
    return samples


def finds(*names):
    def check(cell):
        samples = samples_of(cell)
        for name in names:
            assert found(op_with(name, FAULTS[name]), samples), (
                f"with your samples opcheck is content with a fake kernel that has {name}"
            )

    return check


def content(cell):
    name = "nothing wrong"
    assert not found(op_with(name, FAULTS[name]), samples_of(cell)), "a right op does not pass your samples"


LENGTHS = ("dilation forgotten", "stride forgotten", "padding on one side", "a last window that does not fit")
OTHERS = ("stride and dilation exchanged", "N and K exchanged", "float32 whatever the input")

exercise = Exercise(
    title="Let opcheck find it",
    goal="choose samples with which opcheck finds wrong fake kernels, and mend the one that it finds here",
    kind="python",
    hints=[
        "With a dilation of 1, stride 1 and no padding, many wrong formulas give the right number. A sample"
        " finds a mistake only where the right and the wrong formula differ.",
        "Take numbers that differ: N and K, stride and dilation. A length where windows leave something over."
        " And one sample in another type: float64.",
        "A window of S taps covers dilation * (S - 1) + 1 places. The first one is free; each further one"
        " needs stride more.",
        "The length: what is left of L + 2 * padding behind the first window, divided by stride, plus 1.",
    ],
    checks=[
        ("a right op passes", content),
        ("mistakes in the length are found", finds(*LENGTHS)),
        ("other mistakes are found", finds(*OTHERS)),
        ("the fake kernel is right", right_shape),
        ("with a symbol for the length", symbols),
    ],
    starter_fails="mistakes in the length are found: with your samples opcheck is content with a fake kernel"
    " that has dilation forgotten",
    wrong=[
        Wrong(
            "good samples, the mistake still there",
            replace={"dilation * (S - 1) - 1) // stride": "dilation * S) // stride"},
            because="runs: OpCheckError",
        ),
        Wrong(
            "dilation forgotten",
            replace={"dilation * (S - 1) - 1) // stride": "S) // stride"},
            because="runs: OpCheckError",
        ),
        Wrong(
            "float32 whatever the input",
            replace={"input.new_empty(N, K, (L": "torch.empty(N, K, (L"},
            because="runs: OpCheckError",
        ),
        Wrong(
            "no sample with dilation",
            replace={"2.0, 1, 2, 2)": "2.0, 1, 2, 1)", "0.5, 3, 1, 4)": "0.5, 3, 1, 1)"},
            because="a fake kernel that has dilation forgotten",
        ),
        Wrong(
            "one sample for all, N as K",
            replace={
                "    (torch.randn(2, 3, 17), torch.randn(4, 3, 3), 2.0, 1, 0, 1),\n": "",
                "    (torch.randn(2, 3, 17), torch.randn(4, 3, 3), 2.0, 1, 2, 2),\n": "",
                "torch.randn(4, 3, 4), 0.5, 3, 1, 4": "torch.randn(2, 3, 3), 0.5, 3, 2, 4",
                "    (torch.randn(1, 2, 9).double(), torch.randn(3, 2, 2).double(), 0.5, 2, 1, 1),\n": "",
            },
            because="a fake kernel that has N and K exchanged",
        ),
        Wrong(
            "no other type",
            replace={"torch.randn(1, 2, 9).double(), torch.randn(3, 2, 2).double()": "torch.randn(1, 2, 9),"
                     " torch.randn(3, 2, 2)"},
            because="a fake kernel that has float32 whatever the input",
        ),
        Wrong(
            "samples that no op can take",
            replace={"torch.randn(4, 3, 4)": "torch.randn(4, 2, 4)"},
            because="runs: ",
        ),
        Wrong(
            "mended for these samples alone",
            replace={"(L + 2 * padding - dilation * (S - 1) - 1) // stride + 1)":
                     "{(17, 1): 15, (17, 2): 17, (18, 4): 3, (9, 1): 5}.get((int(L), dilation), 1))"},
            because="the fake kernel",
        ),
        Wrong(
            "the length made a number",
            replace={"(L + 2 * padding": "(int(L) + 2 * padding"},
            because="with a symbol for the length: ",
        ),
    ],
)  # fmt: skip
