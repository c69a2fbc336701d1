"""What pyproject.toml cannot say: how the C++ and CUDA sources are compiled."""

from pathlib import Path

import torch
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

with_cuda = torch.version.cuda is not None and CUDA_HOME is not None
sources = ["csrc/cpu.cpp"] + (["csrc/cuda.cpp", "csrc/conv2d_window.cu"] if with_cuda else [])
flags = ["-O3", "-DTORCH_TARGET_VERSION=0x020a000000000000"]  # nothing that PyTorch 2.10 does not have

library = (CUDAExtension if with_cuda else CppExtension)(
    "fastconv._C",
    sources,
    include_dirs=[str(Path("csrc/facade").resolve())],
    extra_compile_args={"cxx": flags, "nvcc": [*flags, "-DUSE_CUDA"]},
    py_limited_api=True,  # no part of Python's C API that differs between its versions
)
setup(
    ext_modules=[library],
    cmdclass={"build_ext": BuildExtension},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
