"""CUDA's execution model on the CPU: the same source, each access checked, its memory requests counted."""

from utils.simulator.compile import build
from utils.simulator.engine import prepare
from utils.simulator.order import thread_order
from utils.simulator.report import Counts, Launch, Profile
from utils.simulator.requests import Access, Barrier, Request, Trace
from utils.simulator.run import run
from utils.simulator.tracing import profile, trace

__all__ = [
    "Access",
    "Barrier",
    "Counts",
    "Launch",
    "Profile",
    "Request",
    "Trace",
    "build",
    "prepare",
    "profile",
    "run",
    "thread_order",
    "trace",
]
