"""The package that the lesson *ship it* builds: its sources, the wheel made of them, and what both hold.

`template/` is the package as its authors would keep it, but for the kernel: that is kernels/conv2d_window.cu
with its headers, and is copied in when the package is written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from utils.compiling import build, compiler_version, find_cxx, run_compiler

TEMPLATE = Path(__file__).with_name("template")
KERNEL = "conv2d_window"
HEADERS = ("conv.h", "ptx.h")
TARGET = "-DTORCH_TARGET_VERSION=0x020a000000000000"  # as in the package's setup.py


class BuildError(RuntimeError):
    """A wheel was not built or not installed; the message has the last lines of what pip said."""


def write_package(folder: Path | str) -> Path:
    """Write the package's sources into `folder`, which must be empty or not there; returns it."""
    from kernels import FOLDER, INCLUDE

    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    shutil.copytree(TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FOLDER / f"{KERNEL}.cu", folder / "csrc")
    for header in HEADERS:
        shutil.copy(INCLUDE / header, folder / "csrc")
    return folder


def build_wheel(package: Path | str) -> Path:
    """Build the wheel of the package in this folder with pip, without network; returns its file.

    On a machine with a GPU, nvcc and a PyTorch for CUDA it has both implementations, else the CPU's alone.
    Raises BuildError.
    """
    package = Path(package)
    with _cuda_toolkit(package) as variables:
        _pip("wheel", "--no-build-isolation", "--wheel-dir", str(package / "dist"), str(package), **variables)
    (wheel,) = (package / "dist").glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path | str) -> Path:
    """Install a wheel into this folder, to be put on sys.path; returns the folder. Raises BuildError."""
    _pip("install", "--target", str(folder), str(wheel))
    return Path(folder)


def _pip(command: str, *arguments: str, **variables: str) -> None:
    # ninja, which PyTorch's build calls, lies beside Python, also where that folder is not on the PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    finished = subprocess.run(
        [sys.executable, "-m", "pip", command, "--no-index", "--no-deps", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, **variables},
    )
    if finished.returncode:
        tail = "\n".join(finished.stdout.splitlines()[-30:])
        raise BuildError(f"pip {command} failed with exit code {finished.returncode}:\n{tail}")


@contextmanager
def _cuda_toolkit(package: Path) -> Iterator[dict[str, str]]:
    """The environment variables with which PyTorch's build finds nvcc and libcudart, wherever they are."""
    from utils.inline.nvcc import find_nvcc

    toolkit = find_nvcc()
    if toolkit is None:
        yield {}
        return
    variables = {"CUDA_HOME": str(toolkit.root)}
    for library in sorted((toolkit.root / "lib").glob("libcudart.so.*")):
        # NVIDIA's wheels for pip lack the name without a number, for which the linker looks.
        folder = package / "cudart"
        folder.mkdir(exist_ok=True)
        (folder / "libcudart.so").unlink(missing_ok=True)
        (folder / "libcudart.so").symlink_to(library)
        variables["LIBRARY_PATH"] = os.pathsep.join(
            filter(None, (str(folder), os.environ.get("LIBRARY_PATH")))
        )
    yield variables


@dataclass(frozen=True)
class Names:
    """What a library asks PyTorch for: C functions, and functions and data of C++ with all their types."""

    c: tuple[str, ...]
    cpp: tuple[str, ...]


def names_of(library: Path | str) -> Names:
    """The names of PyTorch's that a shared library or an object file leaves open."""
    flags = ["--dynamic"] if Path(library).suffix == ".so" else []
    listed = run_compiler(["nm", "--undefined-only", "--demangle", *flags, str(library)], what="nm")
    open_names = [line.strip().partition("U ")[2].partition("@")[0] for line in listed.splitlines()]
    return Names(
        c=tuple(sorted(name for name in open_names if re.match(r"(aoti_)?torch_", name))),
        cpp=tuple(sorted(name for name in open_names if re.search(r"\b(at|c10|torch)::", name))),
    )


def linker_names(library: Path | str) -> tuple[str, ...]:
    """The C++ names of `names_of` as they stand in the object file, for the linker: `_ZN3c10...`."""
    listed = run_compiler(["nm", "--undefined-only", str(library)], what="nm")
    found = (line.strip().partition("U ")[2] for line in listed.splitlines())
    return tuple(sorted(name for name in found if re.match(r"_ZNK?(2at|3c10|5torch)", name)))


def compile_object(text: str, *flags: str) -> Path:
    """A C++ text compiled by the course's compiler with PyTorch's headers, from the cache if it is there.

    Raises CompileError.
    """
    from torch.utils.cpp_extension import include_paths

    compiler = find_cxx()
    paths = [option for path in include_paths() for option in ("-isystem", path)]
    command = [compiler, "-std=c++20", "-O1", "-fPIC", *flags, *paths, "-c"]

    def make(unfinished: Path) -> None:
        source = unfinished.with_suffix(".cpp")
        source.write_text(text, encoding="utf-8")
        run_compiler([*command, str(source), "-o", str(unfinished)], what="The text")

    return build(["shipping", text, compiler_version(compiler), *command], ".o", make)


def compile_kernel(package: Path | str, arch_list: str) -> Path | None:
    """The package's CUDA source compiled for these GPUs, which need not be here; None without nvcc.

    From the cache if it is there. Raises CompileError.
    """
    from torch.utils.cpp_extension import include_paths

    from utils.inline.nvcc import find_nvcc

    toolkit = find_nvcc()
    if toolkit is None:
        return None
    csrc = Path(package) / "csrc"
    flags = [
        "-std=c++17",
        "-O3",
        "-DUSE_CUDA",
        TARGET,
        "--threads",
        "0",
        "-Xcompiler",
        "-fPIC",
        "-I",
        "facade",
    ]
    flags += [option for path in include_paths() for option in ("-isystem", path)] + arch_flags(arch_list)

    def make(unfinished: Path) -> None:
        command = [toolkit.nvcc, *flags, "-c", f"{KERNEL}.cu", "-o", str(unfinished)]
        run_compiler(command, what=f"{KERNEL}.cu", cwd=csrc)

    texts = [path.read_text("utf-8") for path in sorted(csrc.rglob("*.*")) if path.is_file()]
    return build(["shipping", *texts, compiler_version(toolkit.nvcc), *flags], ".o", make)


def arch_flags(arch_list: str) -> list[str]:
    """What PyTorch's build tells nvcc where TORCH_CUDA_ARCH_LIST is this."""
    from torch.utils.cpp_extension import _get_cuda_arch_flags

    before = os.environ.get("TORCH_CUDA_ARCH_LIST")
    os.environ["TORCH_CUDA_ARCH_LIST"] = arch_list
    try:
        return _get_cuda_arch_flags()
    finally:
        del os.environ["TORCH_CUDA_ARCH_LIST"]
        if before is not None:
            os.environ["TORCH_CUDA_ARCH_LIST"] = before
