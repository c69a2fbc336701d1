"""`make compat`: the kernels are real PyTorch extensions: nvcc takes them with torch's own headers."""

import subprocess
import sysconfig
from pathlib import Path

import all_kernels
import pytest
from torch.utils import cpp_extension

import kernels
from utils.inline import find_nvcc

STUB = Path(__file__).parent / "stub_torch"


@pytest.mark.compat
def test_every_kernel_compiles_with_torch_s_own_headers(tmp_path):
    toolkit = find_nvcc()
    if toolkit is None:
        pytest.skip("no nvcc here")
    names = kernels.names()
    if not (toolkit.root / "include" / "cusparse.h").exists():  # which ATen's header of contexts includes
        names = [name for name in names if "ATen/cuda/" not in kernels.source(name)]
    everything = all_kernels.write(tmp_path, names)
    folders = [*cpp_extension.include_paths("cpu"), sysconfig.get_paths()["include"], kernels.INCLUDE, STUB]
    command = [toolkit.nvcc, "-arch=sm_90", "-c", "-std=c++20", "-DTORCH_EXTENSION_NAME=all"]
    command += [f"-I{folder}" for folder in folders]
    done = subprocess.run([*command, everything, "-o", "all.o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(names) > 10
