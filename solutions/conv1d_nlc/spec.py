"""The lesson's channels_last kernel in one dimension."""

import itertools
import re

import torch
from torch.nn.functional import conv1d as torch_conv1d

from utils.check import check_conv1d, conv1d_cases
from utils.errors import KernelError
from utils.exercise.helpers import call, full_warps, quietly, sectors_of_lines
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

MOST = 4.6  # sectors a request


def in_ncl(launcher):
    """The launcher as a function of PyTorch's shapes N x C x L and K x C x S, which the check hands over."""

    def conv1d(input, weight, bias=None, **options):
        last = input.permute(0, 2, 1).contiguous(), weight.permute(2, 1, 0).contiguous()
        return launcher(*last, bias, **options).permute(0, 2, 1)

    conv1d.backend, conv1d.checked = launcher.backend, launcher.checked
    return conv1d


def cases(*groups, **flags):
    chosen = [case for case in conv1d_cases() if case.group in groups]

    def check(cell):
        try:
            quietly(check_conv1d, in_ncl(cell.conv1d), chosen, **flags)
        except (AssertionError, KernelError) as error:
            mistaken = None if isinstance(error, KernelError) else mistaken_layout(cell.conv1d)
            text = as_handed_over(str(error))
            error.args = (f"{text.partition('Hint:')[0].rstrip()}\nHint: {mistaken}" if mistaken else text,)
            raise

    return check


def as_handed_over(text):
    """The check's words about PyTorch's tensors, said of the transposed ones that the kernel has."""
    text = re.sub(
        r"(\bcase: input \d+)x(\d+)x(\d+), weight (\d+)x(\d+)x(\d+)", r"\1x\3x\2, weight \6x\5x\4", text
    )
    return re.sub(r"output\[(n=\d+), (k=\d+), (q=\d+)\]", r"output[\1, \3, \2]", text)


def mistaken_layout(launcher):
    """What the kernel takes the memory for, if its result is that of tensors in some other layout."""
    N, C, L, K, S = 2, 3, 7, 5, 2
    Q = L - S + 1
    generator = torch.Generator().manual_seed(1)
    input, weight = (torch.randn(shape, generator=generator) for shape in ((N, L, C), (S, C, K)))
    try:
        actual = call(launcher, input, weight).flatten()
    except Exception:  # it has a mistake of another kind, which the check told already
        return None
    inputs = {"": input.permute(0, 2, 1), "the input as N x C x L": input.view(N, C, L)}
    sizes = {"S": S, "C": C, "K": K}
    weights = {}
    for order in itertools.permutations("SCK"):
        viewed = weight.view(*map(sizes.get, order))
        name = "" if "".join(order) == "SCK" else f"the weight as {' x '.join(order)}"
        weights[name] = viewed.permute(*map(order.index, "KCS"))
    for (x_is, x), (w_is, w), y_is in itertools.product(
        inputs.items(), weights.items(), ("", "the output as N x K x Q")
    ):
        named = [name for name in (x_is, w_is, y_is) if name]
        result = torch_conv1d(x.contiguous(), w.contiguous())
        result = (result if y_is else result.permute(0, 2, 1)).flatten()
        if named and result.numel() == N * K * Q and torch.allclose(actual, result, atol=1e-4):
            return (
                f"the kernel takes {' and '.join(named)}. In memory here: input N x L x C, weight S x C x K,"
                " output N x Q x K."
            )
    return None


def measured(cell):
    """One launch: 64 channels, two whole warps, for each of 64 places."""
    return profile(cell.conv1d, torch.zeros(2, 64, 8), torch.zeros(3, 8, 64), torch.zeros(64), padding=1)[-1]


def whole_warps(cell):
    full_warps(measured(cell))


def sectors(cell):
    sectors_of_lines(measured(cell), MOST, "load", "store")


exercise = Exercise(
    title="conv1d with the channels last",
    goal=(
        "output[n, q, k] = bias[k] + the sum over s and c of"
        " input[n, q stride - padding + s dilation, c] weight[s, c, k]; at most 4.6 sectors a request"
    ),
    hints=[
        "Which index runs fastest in the output N x Q x K, and in the weight S x C x K? The lanes of a warp"
        " should differ in that one.",
        "block is 32 wide along x and 8 high along y. Take k from x and q from y; n is blockIdx.z. The grid"
        " has to cover K along x and Q along y.",
        "Element (n, l, c) of N x L x C is number (n * L + l) * C + c. Write the other two the same way.",
        "If c is the inner loop, a tap whose l is outside of 0 to L - 1 can be left out before that loop"
        " begins, once for all channels. Left out means continue: a later tap may be inside again.",
    ],
    checks=[
        ("one output, few outputs", cases("one output", "plain")),
        ("batch and channels", cases("batch and channels")),
        ("lengths around the size of a block", cases("block edges")),
        ("stride", cases("stride")),
        ("padding", cases("padding")),
        ("dilation", cases("dilation")),
        ("bias", cases("bias")),
        ("everything together, no images", cases("everything together", empty_batch=True)),
        ("at most 4.6 sectors a request", sectors),
        ("nearly all lanes take part", whole_warps),
    ],
    starter_fails="one output, few outputs: conv1d is wrong in",
    wrong=[
        Wrong(
            "lanes along q",
            replace={
                "k = blockIdx.x * blockDim.x + threadIdx.x": "q = blockIdx.x * blockDim.x + threadIdx.x",
                "q = blockIdx.y * blockDim.y + threadIdx.y": "k = blockIdx.y * blockDim.y + threadIdx.y",
                "ceil_div(K, block.x), ceil_div(Q, block.y)": "ceil_div(Q, block.x), ceil_div(K, block.y)",
            },
            because="at most 4.6 sectors a request: the load in line",
        ),
        Wrong(
            "the weight as K x C x S",
            replace={"weight[(s * C + c) * K + k]": "weight[(k * C + c) * S + s]"},
            because="takes the weight as K x C x S. In",
        ),
        Wrong(
            "the input as N x C x L",
            replace={"input[(n * L + l) * C + c]": "input[(n * C + c) * L + l]"},
            because="takes the input as N x C x L. In",
        ),
        Wrong(
            "the output as N x K x Q",
            replace={"output[(n * Q + q) * K + k]": "output[(n * K + k) * Q + q]"},
            because="takes the output as N x K x Q. In",
        ),
        Wrong(
            "the weight as C x S x K",
            replace={"weight[(s * C + c) * K + k]": "weight[(c * S + s) * K + k]"},
            because="takes the weight as C x S x K. In",
        ),
        Wrong("break for continue", replace={"continue;": "break;"}, because="written as zero"),
        Wrong("padding forgotten", replace={"stride - padding": "stride"}, because="padding: conv1d"),
        Wrong("blocks of one lane", replace={"block(32, 8)": "block(1, 1)"}, because="1.0 of 32 lanes"),
        Wrong("no bound on k", replace={"if (k >= K || q >= Q)": "if (q >= Q)"}, because="out-of-bounds"),
        Wrong("no bound on q", replace={"if (k >= K || q >= Q)": "if (k >= K)"}, because="out-of-bounds"),
        Wrong(
            "no bound on l",
            replace={"if (l < 0 || l >= L) continue;": ""},
            because="out-of-bounds: thread (0, 0, 0) of block (0, 0, 0) reads input[-2]",
        ),
        Wrong(
            "n and q swapped",
            replace={
                "q = blockIdx.y * blockDim.y + threadIdx.y": "n = blockIdx.y * blockDim.y + threadIdx.y",
                "n = blockIdx.z": "q = blockIdx.z",
            },
            because="out-of-bounds",
        ),
        Wrong(
            "bias once per channel",
            replace={
                "bias ? bias[k] : 0.0f": "0.0f",
                "sum += input": "sum += (s == 0 && bias ? bias[k] : 0.0f) + input",
            },
            because="bias: conv1d is wrong in",
        ),
        Wrong("stride forgotten", replace={"q * stride - padding": "q - padding"}, because="stride: conv1d"),
        Wrong("dilation forgotten", replace={"+ s * dilation": "+ s"}, because="dilation: conv1d"),
        Wrong(
            "blocks for the channels alone",
            replace={"ceil_div(Q, block.y), N)": "1, N)"},
            because="conv1d is wrong in",
        ),
    ],
)  # fmt: skip
