"""Ubuntu's g++ defines _FORTIFY_SOURCE; leaving a fiber after an error must not look like an attack to it."""

import os
import subprocess
import sys

SCRIPT = """
import torch, kernels
from utils import KernelError, load_inline
source = kernels.source("moving_average").replace("if (i < outputs) ", "")
try:
    load_inline("broken", cuda_sources=source, backend="simulator").moving_average(torch.zeros(1000))
except KernelError as error:
    print(error.kind)
"""


def test_an_error_is_told_where_the_compiler_fortifies(tmp_path):
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\nexec g++ -D_FORTIFY_SOURCE=2 "$@"\n')
    compiler.chmod(0o755)
    environment = {**os.environ, "CXX": str(compiler), "CONV_CACHE": str(tmp_path / "cache")}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert run.stdout == "out-of-bounds\n", run.stderr
