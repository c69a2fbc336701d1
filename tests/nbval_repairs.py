"""A pytest plugin that repairs nbval 0.11 and runs notebooks as the course needs them.

What nbval does, and what happens here instead:
- ipykernel drops what C and C++ print where PYTEST_CURRENT_TEST is set: the kernel does not inherit it.
- A dead kernel is noticed only when the cell's time is up: here at once, and said by name.
- With history off, a trailing `;` does not silence a cell: history is on, in memory.
- Kernels run in the simulator, with the repository importable and a progress file of their own.
pyproject.toml names this plugin, so that it is there for `pytest notebooks/one.ipynb` too.
"""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import time
from pathlib import Path

import nbval.kernel
import nbval.plugin
import pytest

ROOT = Path(__file__).resolve().parent.parent
_SLICE = 0.5  # seconds between two looks at whether the kernel still lives


class KernelDied(Exception):
    """The kernel's process ended while a cell ran."""


class Kernel(nbval.kernel.RunningKernel):
    """nbval's kernel with the repairs that this page's head lists."""

    def __init__(self, kernel_name, cwd=None, startup_timeout=60):
        self._folder = tempfile.TemporaryDirectory(prefix="conv-notebook-")
        self.km, self.kc = _start(kernel_name, cwd, startup_timeout, Path(self._folder.name))
        self._ensure_iopub_up()

    def execute_cell_input(self, cell_input, allow_stdin=None):
        return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    def await_reply(self, msg_id, timeout=None):
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE if end is None else min(_SLICE, end - time.monotonic())
            try:
                return super().await_reply(msg_id, timeout=max(left, 0.01))
            except queue.Empty:
                if not self.is_alive():
                    raise KernelDied(f"the kernel died while it ran this cell{self._status()}") from None
                if end is not None and time.monotonic() >= end:
                    raise

    def stop(self):
        super().stop()
        self._folder.cleanup()

    def _status(self):
        process = getattr(self.km.provisioner, "process", None)
        return "" if process is None else f" (exit status {process.returncode})"


def _start(kernel_name, cwd, startup_timeout, folder):
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environment["CONV_BACKEND"] = "simulator"
    environment["CONV_PROGRESS"] = str(folder / "progress.json")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    return nbval.kernel.start_new_kernel(
        startup_timeout=startup_timeout,
        kernel_name=kernel_name,
        cwd=cwd,
        env=environment,
        extra_arguments=["--HistoryManager.hist_file=:memory:"],
        stderr=subprocess.DEVNULL,
    )


_nbval_runtest = nbval.plugin.IPyNbCell.runtest


def _runtest(cell):
    """nbval's, but a kernel's death fails this cell alone; the ones below it are expected to fail."""
    cell.output_timeout = 30  # seconds; nbval's 5 are too few on a busy machine
    try:
        _nbval_runtest(cell)
    except KernelDied as death:
        cell.parent.timed_out = True
        cell.raise_cell_error(str(death))


def pytest_configure(config):
    nbval.plugin.RunningKernel = Kernel
    nbval.plugin.IPyNbCell.runtest = _runtest


def pytest_collection_modifyitems(items):
    # Notebooks last: a unit test's failure says more than a lesson's.
    items.sort(key=lambda item: isinstance(item, nbval.plugin.IPyNbCell))


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path):
    return True if ".ipynb_checkpoints" in collection_path.parts else None
