"""The kernels of the course, one .cu file a rung, and the order in which the lessons climb them."""

from kernels.choice import Choice, choose, conv2d
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
    "conv2d",
    "load",
    "names",
    "operator",
    "rung",
    "rungs",
    "source",
]
