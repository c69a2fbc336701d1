"""The layers on which kernels are timed, each with its arithmetic and its least memory traffic."""

from __future__ import annotations

from dataclasses import dataclass


def output_size(size: int, taps: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """How many windows fit: the output's height or width, as PyTorch computes it."""
    return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


@dataclass(frozen=True)
class Workload:
    """One convolution layer: N images of C x H x W, K filters of C/groups x R x S, output K x P x Q.

    A one-dimensional layer has H = R = 1 and `operator` "conv1d".
    """

    name: str
    N: int
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    operator: str = "conv2d"

    def _outputs(self, size: int, taps: int, padding: int) -> int:
        return output_size(size, taps, self.stride, padding, self.dilation)

    @property
    def P(self) -> int:
        """Output rows."""
        return 1 if self.operator == "conv1d" else self._outputs(self.H, self.R, self.padding)

    @property
    def Q(self) -> int:
        """Output columns."""
        return self._outputs(self.W, self.S, self.padding)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.N, self.C, self.W) if self.operator == "conv1d" else (self.N, self.C, self.H, self.W)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        channels = self.C // self.groups
        return (self.K, channels, self.S) if self.operator == "conv1d" else (self.K, channels, self.R, self.S)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.N, self.K, self.Q) if self.operator == "conv1d" else (self.N, self.K, self.P, self.Q)

    @property
    def terms(self) -> int:
        """Products in one output's sum."""
        return self.C // self.groups * self.R * self.S

    @property
    def flops(self) -> int:
        """Multiplications and additions of the definition, padding counted: 2 N K P Q C R S / groups."""
        return 2 * self.N * self.K * self.P * self.Q * self.terms

    @property
    def elements(self) -> int:
        """Numbers in input, weight and output together."""
        return self.N * self.C * self.H * self.W + self.K * self.terms + self.N * self.K * self.P * self.Q

    @property
    def min_bytes(self) -> int:
        """float32 bytes to move when input and weight are read once and the output is written once."""
        return 4 * self.elements

    @property
    def intensity(self) -> float:
        """The most floating-point operations that a byte of memory traffic can be good for."""
        return self.flops / self.min_bytes

    def describe(self) -> str:
        """For instance `256x3x224x224 -> 96, 11x11, stride 4, padding 2`."""
        sizes = "x".join(map(str, self.input_shape))
        taps = str(self.S) if self.operator == "conv1d" else f"{self.R}x{self.S}"
        text = f"{sizes} -> {self.K}, {taps}"
        for option, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
            if getattr(self, option) != default:
                text += f", {option} {getattr(self, option)}"
        return text


# fmt: off
WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        #        name              N    C     H     W    K   R   S  options
        Workload("alexnet_conv1", 256,   3,  224,  224,  96, 11, 11, stride=4, padding=2),
        Workload("resnet_conv1",   64,   3,  224,  224,  64,  7,  7, stride=2, padding=3),
        Workload("vgg_conv2",      16,  64,  224,  224,  64,  3,  3, padding=1),
        Workload("resnet_3x3_56",  64,  64,   56,   56,  64,  3,  3, padding=1),
        Workload("resnet_3x3_28",  64, 128,   28,   28, 128,  3,  3, padding=1),
        Workload("resnet_3x3_14",  64, 256,   14,   14, 256,  3,  3, padding=1),
        Workload("resnet_3x3_7",   64, 512,    7,    7, 512,  3,  3, padding=1),
        Workload("pointwise",      64,  64,   56,   56, 256,  1,  1),
        Workload("depthwise",      64, 256,   56,   56, 256,  3,  3, padding=1, groups=256),
        Workload("blur",            1,   1, 4096, 4096,   1,  7,  7, padding=3),
        Workload("conv1d_dilated", 64,  64,    1, 524280, 128, 1, 3, stride=3, dilation=4, operator="conv1d"),
    )
}
# fmt: on
