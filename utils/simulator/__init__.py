"""CUDA's execution model on the CPU: the same source, each access checked, its memory requests counted."""

from utils.simulator.compile import build
from utils.simulator.report import Counts, Launch, Profile
from utils.simulator.run import run
from utils.simulator.tracing import Access, Request, profile, trace

__all__ = ["Access", "Counts", "Launch", "Profile", "Request", "build", "profile", "run", "trace"]
