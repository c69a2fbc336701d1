"""Finding nvcc and compiling a source with it for one GPU architecture; no GPU is needed for that."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from utils.compiling import build, compiler_version, folder_state, run_compiler
from utils.errors import CompileError
from utils.facade import INCLUDE, Source, headers

_PIP_FOLDERS = ("nvidia/cu13", "nvidia/cuda_nvcc")  # where NVIDIA's wheels for CUDA 13 and 12 put nvcc
# For the preprocessor and the language, so meant for nvcc too when given among the C++ compiler's flags.
_SHARED_FLAG = re.compile(r"-(?:D|U|I|std=|isystem)")


@dataclass(frozen=True)
class Toolkit:
    """An nvcc and the flags that its shared libraries need to link with libcudart."""

    nvcc: str
    root: Path
    link_flags: tuple[str, ...]


def find_nvcc() -> Toolkit | None:
    """nvcc in CUDA_HOME, on the PATH or in site-packages, in that order; None where there is none."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            nvcc = Path(os.environ[variable]) / "bin" / "nvcc"
            if nvcc.is_file():
                return _toolkit(nvcc)
    on_path = shutil.which("nvcc")
    if on_path:
        return _toolkit(Path(on_path))
    for folder in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
        for inside in _PIP_FOLDERS:
            nvcc = Path(folder) / inside / "bin" / "nvcc"
            if nvcc.is_file():
                return _toolkit(nvcc)
    return None


def _toolkit(nvcc: Path) -> Toolkit:
    root = nvcc.resolve().parent.parent
    for folder in (root / "lib64", root / "targets" / "x86_64-linux" / "lib", root / "lib"):
        if (folder / "libcudart.so").exists():
            return Toolkit(
                str(nvcc), root, ("-cudart", "shared", f"-L{folder}", "-Xlinker", f"-rpath,{folder}")
            )
    # NVIDIA's wheels bring libcudart.so.13 without the name that a linker looks for, and no static one.
    for library in sorted((root / "lib").glob("libcudart.so.*")):
        flags = ("-cudart", "none", f"-L{library.parent}", f"-l:{library.name}")
        return Toolkit(str(nvcc), root, (*flags, "-Xlinker", f"-rpath,{library.parent}"))
    return Toolkit(str(nvcc), root, ())  # nvcc's own default links the static library


def compile_cuda(
    source: Source,
    arch: str,
    *,
    extra_cflags: Iterable[str] = (),
    extra_cuda_cflags: Iterable[str] = (),
    include_paths: Iterable[str | Path] = (),
    verbose: bool = False,
    directory: Path | str | None = None,
) -> Path:
    """Compile with nvcc for one architecture ("sm_90"); returns the shared library, from the cache if there.

    Raises CompileError, also where no nvcc is found.
    """
    toolkit = _require_nvcc()
    include_paths = [str(Path(path).resolve()) for path in include_paths]
    flags = _flags(arch, list(extra_cflags), list(extra_cuda_cflags), include_paths)
    flags += ["-shared", "-Xlinker", "-z,defs"]  # an undefined function is an error now, not at the load

    def make(unfinished: Path) -> None:
        unit = unfinished.with_name(f"{source.name}.cu")
        unit.write_text(source.text, encoding="utf-8")
        command = [toolkit.nvcc, *flags, str(unit), "-o", str(unfinished), *toolkit.link_flags]
        log = run_compiler(command, source=source, what=source.name, cwd=unfinished.parent)
        if verbose:
            print(" ".join(command) + ("\n" + log.strip() if log.strip() else ""))

    key = ["cuda", source.text, headers(), compiler_version(toolkit.nvcc), toolkit.nvcc, *toolkit.link_flags]
    return build([*key, *flags, folder_state(include_paths)], ".so", make, directory)


def compile_report(
    source: Source,
    arch: str,
    *,
    extra_cflags: Iterable[str] = (),
    extra_cuda_cflags: Iterable[str] = (),
    include_paths: Iterable[str | Path] = (),
) -> str:
    """What ptxas says of the kernels of a source compiled with the flags of `compile_cuda`, from the cache.

    Raises CompileError, also where no nvcc is found.
    """
    toolkit = _require_nvcc()
    include_paths = [str(Path(path).resolve()) for path in include_paths]
    flags = _flags(arch, list(extra_cflags), list(extra_cuda_cflags), include_paths)

    def make(unfinished: Path) -> None:
        unit = unfinished.with_name(f"{source.name}.cu")
        unit.write_text(source.text, encoding="utf-8")
        command = [toolkit.nvcc, *flags, "-cubin", "-Xptxas", "-v", str(unit), "-o", f"{unfinished}.cubin"]
        log = run_compiler(command, source=source, what=source.name, cwd=unfinished.parent)
        unfinished.write_text(log, encoding="utf-8")

    key = ["ptxas", source.text, headers(), compiler_version(toolkit.nvcc), toolkit.nvcc]
    return build([*key, *flags, folder_state(include_paths)], ".ptxas", make).read_text("utf-8")


def _require_nvcc() -> Toolkit:
    toolkit = find_nvcc()
    if toolkit is None:
        raise CompileError(
            "No nvcc in CUDA_HOME, on the PATH or in site-packages. 'pip install .[gpu]' in the "
            "course's folder "
            "installs it."
        )
    return toolkit


def _flags(
    arch: str, extra_cflags: list[str], extra_cuda_cflags: list[str], include_paths: list[str]
) -> list[str]:
    number = arch.removeprefix("sm_").removeprefix("compute_")
    flags = ["-O3", "-lineinfo"]
    if not any(flag.startswith(("-std", "--std")) for flag in extra_cflags + extra_cuda_cflags):
        flags.append("-std=c++17")
    if not any(re.match(r"-?-(?:arch|gencode|generate-code|gpu-arch)", flag) for flag in extra_cuda_cflags):
        flags += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
    # The host's side is only the launcher: -O1 saves compile time where it costs nothing.
    flags += ["-Xcompiler", "-fPIC,-fvisibility=hidden,-fno-gnu-unique,-O1"]
    for flag in extra_cflags:
        flags += [flag] if _SHARED_FLAG.match(flag) else ["-Xcompiler", flag]
    for path in (INCLUDE, *include_paths):
        flags += ["-I", str(path)]
    return flags + extra_cuda_cflags
