"""backend="torch": PyTorch's own load_inline, without its pitfalls, called like the other backends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from utils.compiling import cache_directory, content_key
from utils.compiling.diagnostics import explain
from utils.errors import CompileError
from utils.facade import Signature, Source, parse_signatures
from utils.inline.backends import gpu_available
from utils.inline.cuda import device_of, has_kernels, kernel_error, prints
from utils.inline.nvcc import find_nvcc
from utils.inline.output import native_output

# PyTorch's keywords that only this backend understands, with PyTorch's defaults.
KEYWORDS: dict[str, Any] = {
    "extra_ldflags": None,
    "extra_sycl_cflags": None,
    "is_python_module": True,
    "keep_intermediates": True,
    "no_implicit_headers": False,
    "sycl_sources": None,
    "use_pch": False,
    "with_pytorch_error_handling": True,
    "with_sycl": None,
}


def load(source: Source, options: dict[str, Any], verbose: bool, keywords: dict[str, Any]) -> Any:
    """Build with `torch.utils.cpp_extension.load_inline` and return its module.

    Its cache goes by name and hangs on a stale lock file; here the name and the folder go by content, and the
    lock is one that the system takes back when its holder dies.
    """
    from torch.utils import cpp_extension  # takes a third of a second to import

    _require(source, cpp_extension)
    cpp, cuda = _sources(source)
    flags = {k: options[k] for k in ("extra_cflags", "extra_cuda_cflags", "extra_include_paths")}
    key = content_key(
        [
            "torch",
            torch.__version__,
            *cpp,
            "|",
            *cuda,
            repr(source.functions),
            repr(flags),
            repr(keywords),
            _arch_list(),
        ]
    )
    folder = (options["build_directory"] or cache_directory()) / f"torch-{source.name}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompileError(
            f"Nothing was compiled: {folder} cannot be written ({error.strerror}). Pass a "
            "build_directory of your "
            "own, or set the environment variable CONV_CACHE."
        ) from error
    with _exclusive(folder), _arch_list_set(bool(cuda)):
        try:
            return cpp_extension.load_inline(
                name=f"{source.name}_{key[:12]}",
                cpp_sources=cpp,
                cuda_sources=cuda or None,
                functions=list(source.functions),
                build_directory=str(folder),
                verbose=verbose,
                **flags,
                **{k: v for k, v in keywords.items() if v is not None},
            )
        except RuntimeError as error:
            log = str(error)
            message, line = explain(log, source, source.name, 1, facade=False)
            raise CompileError(message, line=line, log=log) from error


def run(module: Any, source: Source, signature: Signature, values: list, *, wait: bool) -> Any:
    """Call the launcher; with `wait`, also wait for the GPU, as backend="cuda" does."""
    launcher = getattr(module, signature.name)
    if not has_kernels(source):
        return launcher(*values)
    device = device_of(signature, values, needs_gpu=True)
    try:
        with torch.cuda.device(device), native_output(wait and prints(source)):
            result = launcher(*values)
            if wait:
                torch.cuda.synchronize(device)
    except RuntimeError as error:
        match = re.search(r"CUDA error: (.+)", str(error))
        if match is None:
            raise
        raise kernel_error(signature.name, _cuda_name(match[1]), match[1].strip()) from error
    return result


def _require(source: Source, cpp_extension: Any) -> None:
    if not cpp_extension.is_ninja_available():
        raise RuntimeError("backend='torch' needs ninja: pip install ninja")
    if not has_kernels(source):
        return
    if not gpu_available():
        raise RuntimeError(
            "backend='torch' needs an NVIDIA GPU and a PyTorch built with CUDA for this source. "
            "backend='simulator' runs it on the CPU."
        )
    toolkit = find_nvcc()
    if toolkit is None:
        raise RuntimeError(
            "backend='torch' needs nvcc: 'pip install .[gpu]' in the course's folder installs it"
        )
    if cpp_extension.CUDA_HOME is None:
        cpp_extension.CUDA_HOME = str(toolkit.root)


def _sources(source: Source) -> tuple[list[str], list[str]]:
    """(cpp, cuda) texts with the learner's line numbers, and the declarations that cpp lacks."""
    cpp = [f'#line 1 "{label}"\n{text}' for label, text in source.parts if label.endswith(".cpp")]
    cuda = [f'#line 1 "{label}"\n{text}' for label, text in source.parts if label.endswith(".cu")]
    declared = parse_signatures("\n".join(cpp))
    for name in source.functions:
        if name not in declared:
            cpp.append(declaration(source.signatures[name]))
    return cpp, cuda


def declaration(signature: Signature) -> str:
    """`torch::Tensor conv2d(torch::Tensor input, int64_t stride);`"""
    parameters = ", ".join(f"{p.type} {p.name}" for p in signature.parameters)
    return f"{signature.returns} {signature.name}({parameters});"


def _arch_list() -> str:
    chosen = os.environ.get("TORCH_CUDA_ARCH_LIST")
    if chosen:
        return chosen
    if not gpu_available():
        return ""
    major, minor = torch.cuda.get_device_capability()
    return f"{major}.{minor}"


@contextlib.contextmanager
def _arch_list_set(wanted: bool) -> Iterator[None]:
    if not wanted or os.environ.get("TORCH_CUDA_ARCH_LIST"):
        yield
        return
    os.environ["TORCH_CUDA_ARCH_LIST"] = _arch_list()
    try:
        yield
    finally:
        del os.environ["TORCH_CUDA_ARCH_LIST"]


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    with open(folder / "course.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (folder / "lock").unlink(missing_ok=True)  # PyTorch's own, left by a build that was killed
        yield


def _cuda_name(text: str) -> str:
    names = {
        "illegal memory access": "cudaErrorIllegalAddress",
        "misaligned address": "cudaErrorMisalignedAddress",
        "invalid configuration": "cudaErrorInvalidConfiguration",
        "invalid argument": "cudaErrorInvalidValue",
        "too many resources": "cudaErrorLaunchOutOfResources",
        "launch timed out": "cudaErrorLaunchTimeout",
        "illegal instruction": "cudaErrorIllegalInstruction",
        "no kernel image": "cudaErrorNoKernelImageForDevice",
    }
    return next((name for part, name in names.items() if part in text), "cudaErrorLaunchFailure")
