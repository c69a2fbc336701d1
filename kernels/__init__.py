"""The kernels of the course, one .cu file a rung, and the order in which the lessons climb them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kernels.workloads import WORKLOADS, Workload

__all__ = ["LADDERS", "WORKLOADS", "Rung", "Workload", "load", "names", "source"]

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Rung:
    """One kernel of a ladder: its file's name without .cu, its one idea, and the options it supports."""

    name: str
    idea: str
    supports: frozenset[str] = frozenset({"bias", "stride", "padding", "dilation"})

    def handles(self, workload: Workload) -> bool:
        """Whether this kernel can run a workload."""
        needed = {
            "stride": workload.stride != 1,
            "padding": workload.padding != 0,
            "dilation": workload.dilation != 1,
            "groups": workload.groups != 1,
        }
        return workload.operator == operator(self.name) and all(
            option in self.supports for option, is_needed in needed.items() if is_needed
        )


# From the slowest to the fastest.
LADDERS: dict[str, tuple[Rung, ...]] = {
    "conv2d": (
        Rung("conv2d_uncoalesced", "one thread per output, a warp along H"),
        Rung("conv2d_naive", "one thread per output, a warp along W"),
    ),
}


def operator(name: str) -> str:
    """The launcher's name in a kernel's file: "conv2d" in every "conv2d_..." file, else the file's own."""
    return next((prefix for prefix in ("conv2d", "conv1d") if name.startswith(prefix + "_")), name)


def names() -> list[str]:
    """Every kernel, by file."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


def source(name: str) -> str:
    """The text of a kernel's file."""
    if name not in names():
        raise ValueError(f"no kernel is called {name!r}; there are {', '.join(names())}")
    return (FOLDER / f"{name}.cu").read_text(encoding="utf-8")


def load(name: str, backend: str = "auto", checked: bool = True):
    """Compile a kernel's file (milliseconds when it was compiled before) and return its launcher."""
    from utils.inline import load_inline  # here, so that the ladder can be listed without a compiler

    launcher = operator(name)
    module = load_inline(
        name=name, cuda_sources=source(name), functions=[launcher], backend=backend, checked=checked
    )
    return getattr(module, launcher)
