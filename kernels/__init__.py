"""The kernels of the course, one .cu file a rung, and the order in which the lessons climb them."""

from kernels.choice import Choice, choose, conv2d
from kernels.ladders import FOLDER, INCLUDE, LADDERS, Rung, load, names, operator, rung, source
from kernels.workloads import WORKLOADS, Workload

__all__ = [
    "FOLDER",
    "INCLUDE",
    "LADDERS",
    "WORKLOADS",
    "Choice",
    "Rung",
    "Workload",
    "choose",
    "conv2d",
    "load",
    "names",
    "operator",
    "rung",
    "source",
]
