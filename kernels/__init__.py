"""The kernels of the course, one .cu file a rung, and the order in which the lessons climb them."""

import importlib

from kernels.choice import Choice, choose, choose_conv1d, conv2d
from kernels.gradients import FORWARD, GRADIENTS
from kernels.ladders import FOLDER, INCLUDE, LADDERS, load, names, rung, rungs, source
from kernels.rungs import DIRECT, Rounding, Rung, operator
from kernels.workloads import WORKLOADS, Workload

__all__ = [
    "DIRECT",
    "FOLDER",
    "FORWARD",
    "GRADIENTS",
    "INCLUDE",
    "LADDERS",
    "WORKLOADS",
    "Choice",
    "Rounding",
    "Rung",
    "Workload",
    "choose",
    "choose_conv1d",
    "conv2d",
    "load",
    "names",
    "operator",
    "rung",
    "rungs",
    "source",
]

# Loaded on first use: they register operators with PyTorch.
_PYTORCH = {
    "ops": "kernels.ops",
    "layers": "kernels.layers",
    "Conv1d": "kernels.layers",
    "Conv2d": "kernels.layers",
    "convert": "kernels.layers",
}
__all__ += list(_PYTORCH)


def __getattr__(name: str):
    if name not in _PYTORCH:
        raise AttributeError(f"module 'kernels' has no attribute {name!r}")
    module = importlib.import_module(_PYTORCH[name])
    return module if module.__name__ == f"kernels.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
