"""Each repair of nbval, shown on a tiny notebook; all go through one pytest in its own process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent

C_OUTPUT = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.puts(b'from C')\nlibc.fflush(None);"
DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
CLOCK = "import time\nprint(time.perf_counter_ns())"
PICTURE = "from IPython.display import Image, display\ndisplay(Image(data=b'\\x89PNG\\r\\n\\x1a\\n'))"
STORED_PICTURE = new_output(
    "display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "<IPython.core.display.Image object>"}
)
ENVIRONMENT = """import os, utils.errors
progress = os.environ["CONV_PROGRESS"]
print(os.environ["CONV_BACKEND"], os.path.isdir(os.path.dirname(progress)))
print(progress.startswith(os.path.dirname(os.path.dirname(utils.errors.__file__))))"""


def text(output: str):
    return new_output("stream", name="stdout", text=output)


# name -> cells of (source, stored outputs, tags), and what becomes of each cell
NOTEBOOKS = {
    "c_output": ([(C_OUTPUT, [text("from C\n")])], ["PASSED"]),
    "c_output_differs": ([(C_OUTPUT, [text("something else\n")])], ["FAILED"]),
    "semicolon": ([("6 * 7;", []), ("1 + 1\n2 + 2;", [])], ["PASSED", "PASSED"]),
    "dead_kernel": ([(DIE, []), ("1;", [])], ["FAILED", "XFAIL"]),
    "endless": ([("while True: pass", []), ("1;", [])], ["FAILED", "XPASS"]),
    "timing": ([(CLOCK, [text("12345\n")])], ["FAILED"]),
    "timing_tagged": ([(CLOCK, [text("12345\n")], "nbval-ignore-output")], ["PASSED"]),
    "picture": ([(PICTURE, [STORED_PICTURE])], ["PASSED"]),
    "picture_and_more": ([(PICTURE + "\nprint('more')", [STORED_PICTURE])], ["FAILED"]),
    "environment": ([(ENVIRONMENT, [text("simulator True\nFalse\n")])], ["PASSED"]),
    "history": ([("print(get_ipython().history_manager.hist_file)", [text(":memory:\n")])], ["PASSED"]),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """What pytest prints of all the notebooks."""
    folder = tmp_path_factory.mktemp("notebooks")
    for name, (cells, _) in NOTEBOOKS.items():
        notebook = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        for number, (source, outputs, *tags) in enumerate(cells, start=1):
            cell = new_code_cell(source, outputs=outputs, execution_count=number, metadata={"tags": tags})
            notebook.cells.append(cell)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-v", "--color=no", "--nbval-cell-timeout=6"]
    command += ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-p", "no:cacheprovider", folder]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outcome(report, name):
    found = re.findall(rf"\b{name}(?:\.|::)ipynb::Cell \d+ ([A-Z]+) ", report)
    assert found == NOTEBOOKS[name][1], report


def test_reasons(report):
    assert "the kernel died while it ran this cell (exit status -11)" in report
    assert "Timeout of 6 seconds exceeded executing cell" in report
    assert "from C" in report
