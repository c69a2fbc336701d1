"""The kernels of the course, one .cu file a rung, and the order in which the lessons climb them."""

from kernels.choice import Choice, choose, conv2d
from kernels.ladders import (
    DIRECT,
    FOLDER,
    INCLUDE,
    LADDERS,
    Rounding,
    Rung,
    load,
    names,
    operator,
    rung,
    source,
)
from kernels.workloads import WORKLOADS, Workload

__all__ = [
    "DIRECT",
    "FOLDER",
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
    "source",
]
