"""Drop-in layers: torch.nn's Conv2d and Conv1d, computed by the course's kernels.

    from kernels import Conv2d, convert

    layer = Conv2d(3, 96, 11, stride=4, padding=2)  # parameters, initialisation, state_dict: nn.Conv2d's
    print(convert(model))                           # every layer of a model that the kernels can do

Weights go from one to the other and back: by state_dict, or because `convert` leaves them where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from kernels import ops
from kernels.shapes import DTYPES


class Conv2d(nn.Conv2d):
    """nn.Conv2d by the course's kernels: same constructor, parameters, initial values and state_dict.

    The kernels have one stride, padding and dilation for both directions, no groups, zeros as padding, and
    compute in float32 and float64: the constructor raises ValueError for the rest, the call RuntimeError for
    tensors of another type.
    Takes N x C x H x W or C x H x W; the result is contiguous, whatever the input's memory format.
    """

    @wraps(nn.Conv2d.__init__)
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _refuse(self)

    def forward(self, input: Tensor) -> Tensor:
        one = input.dim() == 3  # an image without a batch
        images = input.unsqueeze(0) if one else input
        output = ops.conv2d(images, self.weight, self.bias, *_options(self))
        return output.squeeze(0) if one else output


class Conv1d(nn.Conv1d):
    """The same for nn.Conv1d: takes N x C x L or C x L."""

    @wraps(nn.Conv1d.__init__)
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _refuse(self)

    def forward(self, input: Tensor) -> Tensor:
        one = input.dim() == 2  # an image without a batch
        images = input.unsqueeze(0) if one else input
        output = ops.conv1d(images, self.weight, self.bias, *_options(self))
        return output.squeeze(0) if one else output


OURS: dict[type, type] = {nn.Conv2d: Conv2d, nn.Conv1d: Conv1d}


@dataclass(frozen=True)
class Left:
    """A convolution that `convert` did not touch: its name in the model, what it is, and why."""

    name: str
    what: str
    why: str


@dataclass(frozen=True, repr=False)
class Report:
    """What `convert` did; it prints as a table.

    Attributes:
        replaced: what was replaced, name in the model -> what it is.
        left: what was not.
    """

    replaced: dict[str, str]
    left: tuple[Left, ...]

    def __repr__(self) -> str:
        rows = [(name, what, "replaced") for name, what in self.replaced.items()]
        rows += [(row.name, row.what, f"left: {row.why}") for row in self.left]
        if not rows:
            return "no convolutions"
        widths = [max(len(row[k]) for row in rows) for k in range(2)]
        return "\n".join(f"{name:<{widths[0]}}  {what:<{widths[1]}}  {done}" for name, what, done in rows)


def convert(model: nn.Module) -> Report:
    """Make every nn.Conv2d and nn.Conv1d of a model, and the model itself, the course's where it can be.

    The modules stay the same objects and only change their class: parameters, hooks, mode, devices, and
    whoever shares a module or holds one, an optimizer for instance, are as before. Subclasses of nn.Conv2d,
    and layers whose weight is computed (parametrizations, weight_norm, pruning), are left alone. Convert
    before torch.compile. To undo it, set `module.__class__ = torch.nn.Conv2d`.

    Returns what was replaced and what was left, with the reason.
    """
    replaced: dict[str, str] = {}
    left: list[Left] = []
    for name, module in model.named_modules():
        if not isinstance(module, _ConvNd) or isinstance(module, tuple(OURS.values())):
            continue
        name, what = name or "(model)", repr(module).partition("\n")[0].removesuffix("(")
        reason = _why_left(module)
        if reason is None:
            module.__class__ = OURS[type(module)]
            replaced[name] = what
        else:
            left.append(Left(name, what, reason))
    return Report(replaced, tuple(left))


def _why_left(module: _ConvNd) -> str | None:
    if nn.utils.parametrize.is_parametrized(module) or "weight" not in module._parameters:
        return "its weight is computed from other parameters"
    if type(module) not in OURS:
        base = next((cls.__name__ for cls in OURS if isinstance(module, cls)), None)
        return f"a subclass of {base} may compute something else" if base else "no kernel does it"
    if "forward" in vars(module):
        return "its forward was replaced"
    return _unsupported(module)


def _refuse(module: _ConvNd) -> None:
    reason = _unsupported(module)
    if reason is not None:
        name = type(module).__name__
        raise ValueError(f"{reason}: use torch.nn.{name} for this layer")


def _unsupported(module: _ConvNd) -> str | None:
    """Why no kernel of the course does a layer; None where one does."""
    if module.groups != 1:
        return f"groups = {module.groups}, and the kernels have none"
    if module.padding_mode != "zeros":
        return f"padding_mode = {module.padding_mode!r}, and the kernels pad with zeros"
    if module.weight.dtype not in DTYPES:
        return f"its weight is {module.weight.dtype}, and the kernels compute in float32 and float64"
    for option in ("stride", "dilation"):
        if len(set(getattr(module, option))) > 1:
            return f"{option} = {getattr(module, option)}, and the kernels have one for both directions"
    if module.padding == "same":
        total = {d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)}
        if any(pad % 2 for pad in total):
            return "padding = 'same' pads one side more than the other here, and the kernels pad both alike"
        if len(total) > 1:
            return (
                "padding = 'same' is another one for each direction here, and the kernels have one for both"
            )
    elif module.padding != "valid" and len(set(module.padding)) > 1:
        return f"padding = {module.padding}, and the kernels have one for both directions"
    return None


def _options(module: _ConvNd) -> tuple[int, int, int]:
    """Stride, padding and dilation, as the operators take them."""
    padding = module.padding
    if padding == "same":
        padding = (module.dilation[0] * (module.kernel_size[0] - 1) // 2,)
    return module.stride[0], 0 if padding == "valid" else padding[0], module.dilation[0]
