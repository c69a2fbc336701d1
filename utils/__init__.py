"""What the notebooks import. Importing it in a notebook also adds the cell magics %%cuda and %%exercise."""

from __future__ import annotations

import importlib
import sys

# name -> module; loaded on first use, so that a tool which needs one part does not wait for the others.
_MODULES = {
    "load_inline": "utils.inline",
    "KernelError": "utils.errors",
    "CompileError": "utils.errors",
    "profile": "utils.simulator",
    "trace": "utils.simulator",
    "thread_order": "utils.simulator",
    "occupancy": "utils.gpus",
    "resources": "utils.inline",
    "CheckError": "utils.check",
    "check_conv2d": "utils.check",
    "check_conv1d": "utils.check",
    "check_conv2d_dgrad": "utils.check_gradients",
    "check_conv2d_wgrad": "utils.check_gradients",
    "check_conv1d_dgrad": "utils.check_gradients",
    "check_conv1d_wgrad": "utils.check_gradients",
    "check_bgrad": "utils.check_gradients",
    "bench": "utils.timing",
    "compare_with_cudnn": "utils.timing",
    "show_timings": "utils.timing",
    "bench_gradients": "utils.timing_gradients",
    "show_gradient_timings": "utils.timing_gradients",
    "ladder_chart": "utils.plots",
    "roofline": "utils.plots",
    "access_map": "utils.plots",
    "sectors_chart": "utils.plots",
    "bank_grid": "utils.plots",
    "product_map": "utils.plots",
    "reuse_map": "utils.plots",
    "number_formats": "utils.plots",
    "fragment_map": "utils.plots",
    "thread_timeline": "utils.plots",
    "stage_timeline": "utils.plots",
    "Overlap": "utils.plots",
    "overlap_chart": "utils.plots",
    "tile_map": "utils.plots",
    "window_map": "utils.windows",
    "block_map": "utils.windows",
    "hint": "utils.exercise",
    "solution": "utils.exercise",
    "progress": "utils.exercise",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'utils' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _register_magics() -> None:
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None:
            importlib.import_module("utils.exercise").register(shell)


_register_magics()
