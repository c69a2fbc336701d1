"""`kernels.conv2d`: one function for every layer. It takes the course's best kernel, and says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from kernels import ladders
from kernels.gradients import GRADIENTS

MANY_CHANNELS = 16  # from here on Winograd's traffic is worth its fewer multiplications (times in lesson 12)
POINTWISE_CHANNELS = 128  # with more, few warps' pixels fit beside the weights
MOST_TAPS = 15  # of a filter's row or column, for the kernels that keep a bit for each
SHARED_FLOATS = 24_000  # that a block may have on every GPU with cp.async
SMALL_SHARED_FLOATS = 16_000  # and on every GPU
FEW_CHANNELS = 4  # of the input: a product over them alone leaves most of a matrix tile empty


@dataclass(frozen=True)
class Choice:
    """Which kernel a call takes.

    Attributes:
        kernel: its name in kernels/.
        layout: "NCHW" or "channels_last"; tensors in the other one are copied into it first.
        why: the rule that chose it, in words.
    """

    kernel: str
    layout: str
    why: str

    def __str__(self) -> str:
        return f"{self.kernel} ({self.layout}): {self.why}"


@dataclass(frozen=True)
class Layer:
    """What the rules look at."""

    N: int
    C: int
    K: int
    R: int
    S: int
    stride: int
    padding: int
    dilation: int
    groups: int
    precision: str
    sm: int

    @property
    def plain(self) -> bool:
        return self.stride == self.dilation == 1

    @property
    def few_images(self) -> bool:
        """Whether a grid's third dimension has room for every image and filter."""
        return self.N * self.K <= 65_535

    def window(self, filters: int = 0) -> bool:
        """Whether the input's window of 4 x 56 outputs, and of a channel so many filters, fit on an SM."""
        h = 3 * self.stride + self._reach(self.R)
        w = 55 * self.stride + self._reach(self.S) + 8
        return self.few_images and h * w + filters * self.R * self.S <= SHARED_FLOATS

    def row(self, outputs: int) -> int:
        """Inputs below so many outputs of a row."""
        return (outputs - 1) * self.stride + self._reach(self.S)

    def _reach(self, taps: int) -> int:
        return self.dilation * (taps - 1) + 1


# The first rule that fits decides, of those whose kernel this GPU has the instructions for and that compute
# in the precision that is asked for; where TF32 is, float32 will do. What is fast for which layers was
# measured: kernels/results/.
RULES: tuple[tuple[str, Callable[[Layer], bool], str], ...] = (
    (
        "conv2d_depthwise",
        lambda x: x.groups > 1,
        "a filter a channel: memory is the limit, so every input is read once",
    ),
    (
        "conv2d_rows",
        lambda x: x.plain and x.R == x.S and x.S in (3, 5, 7) and x.C * x.K <= FEW_CHANNELS and x.few_images,
        "hardly any channels: a thread slides down the image, in float32",
    ),
    (
        "conv2d_mma_pointwise",
        lambda x: x.R == x.S == x.stride == 1 and x.padding == 0 and FEW_CHANNELS < x.C <= POINTWISE_CHANNELS,
        "1x1 on tensor cores is a stream of pixels: the weights stay in shared memory",
    ),
    (
        "conv2d_wgmma",
        lambda x: x.C > FEW_CHANNELS and max(x.R, x.S) <= MOST_TAPS,
        "many channels: Hopper's tensor cores, fed from shared memory",
    ),
    (
        "conv2d_mma",
        lambda x: max(x.R, x.S) <= MOST_TAPS and (x.C > FEW_CHANNELS or not x.window()),
        "many channels: tensor cores, fed with 16 bytes of channels at a time",
    ),
    (
        "conv2d_mma_window",
        lambda x: x.window(),
        "few channels: tensor cores, fed from the window of the input in shared memory",
    ),
    (
        "conv2d_wmma",
        lambda x: True,
        "the implicit GEMM on tensor cores, for any shape",
    ),
    (
        "conv2d_pointwise",
        lambda x: x.R == x.S == x.stride == 1 and x.padding == 0,
        "1x1 is a product of two matrices that lie in memory as they are",
    ),
    (
        "conv2d_winograd",
        lambda x: x.plain and x.R == x.S == 3 and min(x.C, x.K) >= MANY_CHANNELS,
        "3x3, stride 1: Winograd's algorithm takes a quarter of the multiplications",
    ),
    (
        "conv2d_window",
        lambda x: x.C <= FEW_CHANNELS and x.window(filters=64),
        "few channels: register tiles, fed from the window of the input in shared memory",
    ),
    (
        "conv2d_gemm_async",
        lambda x: True,
        "the implicit GEMM, for any shape, pipelined by cp.async",
    ),
    (
        "conv2d_gemm_double",
        lambda x: True,
        "the implicit GEMM, for any shape, on a GPU without cp.async",
    ),
)

# The same for one dimension.
RULES_1D: tuple[tuple[str, Callable[[Layer], bool], str], ...] = (
    (
        "conv1d_window",
        lambda x: x.N <= 65_535 and 2 * (x.row(112) + 6 + 128 * x.S) <= SHARED_FLOATS,
        "register tiles, fed from two windows of the input in shared memory",
    ),
    (
        "conv1d_registers",
        lambda x: x.N <= 65_535 and 1.04 * x.row(256) + 68 * x.S <= SMALL_SHARED_FLOATS,
        "register tiles, on a GPU without cp.async",
    ),
    (
        "conv1d_gemm",
        lambda x: True,
        "the implicit GEMM, for any shape",
    ),
)

# The fastest in the simulator for small layers, as far as it is another one than on a GPU: there, threads and
# launches cost more than memory.
IN_THE_SIMULATOR = {
    "conv2d": "conv2d_gemm_double",
    "conv1d": "conv1d_gemm",
    "conv2d_wgrad": "conv2d_wgrad_naive",
    "conv1d_wgrad": "conv1d_wgrad_naive",
    "bgrad": "bgrad_naive",
}


def choose(
    input: torch.Tensor,
    weight: torch.Tensor,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    precision: str | None = None,
) -> Choice:
    """The kernel that `conv2d` would take for these arguments; see there for them and for what is refused."""
    layer = _layer(input, weight, stride, padding, dilation, groups, precision)
    found = _first_that_fits(RULES, layer)
    if found is None:
        raise ValueError(
            f"no kernel of the course does a filter of {layer.R}x{layer.S} with stride {stride} and dilation"
            f" {dilation} in {layer.precision} on a GPU of compute capability {layer.sm / 10}"
        )
    return found


def choose_conv1d(
    input: torch.Tensor, weight: torch.Tensor, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Choice:
    """The fastest kernel for a float32 input N x C x L and a weight K x C x S, of one or more elements."""
    (N, C, _), (K, _, S) = input.shape, weight.shape
    layer = Layer(N, C, K, 1, S, stride, padding, dilation, 1, "fp32", _sm(input))
    return _first_that_fits(RULES_1D, layer)


def kernels_of(
    operator: str, first: torch.Tensor, second: torch.Tensor | None = None, **options: int
) -> tuple[str, ...]:
    """The kernels that compute an operator of `kernels.ops` in float32 or float64, the fastest first.

    What a kernel takes its launcher knows best: a shape that it refuses is for the next. The last is the
    one with one thread per result, which takes all, and float64 too. Kernels that add up in no fixed order,
    by atomicAdd, are left out.

    Args:
        operator: as in the names of kernels: "conv2d", "conv1d_dgrad".
        first, second: the launcher's tensors. Of a convolution, `options` are stride, padding and dilation.
    """
    if first.dtype == torch.float64:
        fast = []
    elif not first.is_cuda and operator in IN_THE_SIMULATOR:
        fast = [IN_THE_SIMULATOR[operator]]
    elif operator in GRADIENTS:
        ladder = [rung for rung in GRADIENTS[operator] if rung.deterministic and rung.runs_on(_sm(first))]
        fast = [rung.name for rung in reversed(ladder)]
    else:
        fast = [(choose if operator == "conv2d" else choose_conv1d)(first, second, **options).kernel]
    simple = f"{operator}_naive" if operator in GRADIENTS else f"{operator}_direct"
    return tuple(dict.fromkeys([*fast, simple]))


def _first_that_fits(rules: tuple, layer: Layer) -> Choice | None:
    for name, fits, why in rules:
        rung = ladders.rung(name)
        exact_enough = layer.precision == "tf32" and "fp32" in rung.precisions
        if rung.runs_on(layer.sm) and (layer.precision in rung.precisions or exact_enough) and fits(layer):
            return Choice(name, rung.layout, why)
    return None


def conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    *,
    groups: int = 1,
    precision: str | None = None,
    explain: bool = False,
) -> torch.Tensor:
    """A convolution by the course's best kernel for its shape.

    Args:
        input: N x C x H x W, float32 or bfloat16, on a GPU, or on the CPU, where the simulator computes.
        weight: K x C/groups x R x S, of input's type.
        bias: K numbers, or None.
        stride, padding, dilation: the same for both directions.
        groups: 1, or C for a depthwise layer of 3x3 filters with stride 1.
        precision: "fp32" or "tf32" for float32 tensors, "bf16" for bfloat16; None is "fp32" or "bf16". TF32
            is never taken unasked.
        explain: print which kernel was taken, with which tile, and why.

    A kernel with a choice of tiles tries them all at the first call for a shape on a GPU, which takes a
    second; the winner is remembered on disk (`utils.autotune`). Returns N x K x P x Q in channels_last where
    the kernel works in it. Raises ValueError for what no kernel does, and RuntimeError, from the launcher,
    with its reason.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    choice = choose(input, weight, **options, groups=groups, precision=precision)
    launcher = ladders.load(choice.kernel, backend="cuda" if input.is_cuda else "simulator")
    memory = torch.channels_last if choice.layout == "channels_last" else torch.contiguous_format
    tensors = input.contiguous(memory_format=memory), weight.contiguous(memory_format=memory), bias
    taken = {parameter.name for parameter in launcher.signature.parameters}
    arguments = {name: value for name, value in options.items() if name in taken}
    tuned = None
    if launcher.tiles and input.is_cuda and input.numel():
        from utils.autotune import best_tile

        tuned = best_tile(launcher, *tensors, **options, precision=precision or "")
        arguments["tile"] = tuned.tile
    if explain:
        print(choice if tuned is None else f"{choice}; {tuned}")
    return launcher(*tensors, **arguments)


def _layer(input, weight, stride, padding, dilation, groups, precision) -> Layer:
    if input.dim() != 4 or weight.dim() != 4:
        raise ValueError(
            "conv2d takes an input N x C x H x W and a weight K x C x R x S,"
            f" not {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    wanted = {torch.float32: ("fp32", "tf32"), torch.bfloat16: ("bf16",)}.get(input.dtype)
    if wanted is None or weight.dtype != input.dtype:
        raise ValueError(
            f"conv2d takes float32 or bfloat16 tensors of one type, not {input.dtype} and {weight.dtype}"
        )
    if precision not in (None, *wanted):
        raise ValueError(f"{input.dtype} tensors are computed in {' or '.join(wanted)}, not in {precision!r}")
    (C, (K, _, R, S)) = input.shape[1], weight.shape
    depthwise = groups == C == K and (R, S, stride, dilation) == (3, 3, 1, 1) and input.dtype == torch.float32
    if groups != 1 and not depthwise:
        raise ValueError(
            f"groups = {groups}: the course's kernels do 1, or one filter a channel, 3x3, stride 1, float32"
        )
    precision = precision or wanted[0]
    return Layer(input.shape[0], C, K, R, S, stride, padding, dilation, groups, precision, _sm(input))


def _sm(tensor: torch.Tensor) -> int:
    """The compute capability of a tensor's GPU, 80 for 8.0."""
    if not tensor.is_cuda:
        return 80  # of the simulator: it does not have what came later
    major, minor = torch.cuda.get_device_capability(tensor.device)
    return 10 * major + minor
