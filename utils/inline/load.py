"""`load_inline` itself: checks its arguments, and hands the source to the chosen toolchain."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from utils.errors import CompileError
from utils.facade import Source, make_source
from utils.inline import cuda, stock
from utils.inline.backends import resolve_backend
from utils.inline.launcher import Launcher, Module
from utils.inline.nvcc import compile_cuda


def load_inline(
    name: str,
    cpp_sources: str | Iterable[str] = "",
    cuda_sources: str | Iterable[str] = "",
    functions: str | Iterable[str] | Mapping[str, str] | None = None,
    extra_cflags: Iterable[str] | None = None,
    extra_cuda_cflags: Iterable[str] | None = None,
    extra_include_paths: Iterable[str | Path] | None = None,
    verbose: bool = False,
    with_cuda: bool | None = None,
    build_directory: str | Path | None = None,
    backend: str = "auto",
    checked: bool = True,
    **torch_keywords: Any,
) -> Module:
    """Compile CUDA C++ and return a module with one Python function for each launcher.

    The keywords are those of `torch.utils.cpp_extension.load_inline`, and so is what the sources may hold.
    Builds are cached by content: the same source again costs milliseconds, also in a new process.

    Args:
        name: names the module and its files in messages.
        cpp_sources, cuda_sources: the source text, or a list of texts. Declarations may be left out.
        functions: the launchers' names, or a dictionary of names and descriptions; None takes every function
            that is not static and whose types Python can pass.
        extra_cflags, extra_cuda_cflags: flags for the C++ compiler and for nvcc. The simulator heeds the
            latter's -D, -U, -I and -std alone.
        extra_include_paths: folders with headers of your own.
        verbose: print the compiler's command and its output.
        with_cuda: as in PyTorch; only backend="torch" needs it.
        build_directory: where builds go; the user's cache directory when None.
        backend: "auto", "simulator", "cuda" or "torch"; see `resolve_backend`.
        checked: let the simulator check every access; False is faster, for large shapes.
        **torch_keywords: PyTorch's other keywords, for backend="torch" alone.

    Raises:
        CompileError: the source does not compile, or nothing can be compiled here.
        TypeError, ValueError, RuntimeError: wrong arguments, or a backend that this machine cannot run.
    """
    resolved = resolve_backend(backend)
    _check_torch_keywords(torch_keywords, resolved)
    source = make_source(name, cpp_sources or "", cuda_sources or "", functions)
    options = {
        "extra_cflags": _flag_list(extra_cflags, "extra_cflags"),
        "extra_cuda_cflags": _flag_list(extra_cuda_cflags, "extra_cuda_cflags"),
        "extra_include_paths": _flag_list(extra_include_paths, "extra_include_paths"),
        "build_directory": Path(build_directory) if build_directory is not None else None,
    }
    start = {"simulator": _simulator, "cuda": _cuda, "torch": _torch}[resolved]
    run = start(source, options, verbose, checked, {**torch_keywords, "with_cuda": with_cuda})
    docs = functions if isinstance(functions, Mapping) else {}
    return Module(
        name,
        {
            each: Launcher(
                source.signatures[each],
                source,
                resolved,
                run,
                checked=checked,
                options=options,
                doc=docs.get(each) or "",
            )
            for each in source.functions
        },
    )


def _check_torch_keywords(keywords: dict[str, Any], backend: str) -> None:
    for keyword, value in keywords.items():
        if keyword not in stock.KEYWORDS:
            known = "name, cpp_sources, cuda_sources, functions, extra_cflags, extra_cuda_cflags, "
            known += "extra_include_paths, verbose, with_cuda, build_directory, backend, checked"
            raise TypeError(f"load_inline has no keyword {keyword!r}; it has {known}")
        if backend != "torch" and value not in (None, stock.KEYWORDS[keyword]):
            raise TypeError(
                f"load_inline's keyword {keyword!r} needs backend='torch'; this is backend={backend!r}"
            )


def _flag_list(flags: Iterable | None, what: str) -> list[str]:
    if flags is None:
        return []
    if isinstance(flags, (str, bytes)):
        raise TypeError(f"{what} must be a list of flags, not the text {flags!r}")
    return [str(flag) for flag in flags if str(flag).strip()]


def _simulator(source: Source, options: dict, verbose: bool, checked: bool, _: dict) -> Callable:
    from utils import simulator  # read only where it is used: a GPU machine needs none of it

    library = simulator.build(
        source,
        checked=checked,
        extra_cflags=options["extra_cflags"] + preprocessor_flags(options["extra_cuda_cflags"]),
        include_paths=options["extra_include_paths"],
        verbose=verbose,
        directory=options["build_directory"],
    )
    return lambda signature, values, wait: simulator.run(library, source, signature, values, checked=checked)


def preprocessor_flags(flags: list[str]) -> list[str]:
    """Of nvcc's flags those that say what the source means, and not how nvcc compiles it."""
    kept: list[str] = []
    following = False
    for flag in flags:
        if following or flag.startswith(("-D", "-U", "-I", "-std=")):
            kept.append(flag)
        following = not following and flag in ("-D", "-U", "-I")
    return kept


def _cuda(source: Source, options: dict, verbose: bool, checked: bool, _: dict) -> Callable:
    major, minor = torch.cuda.get_device_capability()
    # "a": with the instructions that this architecture alone has, wgmma on Hopper.
    arch = f"sm_{major}{minor}" + ("a" if major >= 9 else "")

    def compiled() -> Path:
        return compile_cuda(
            source,
            arch,
            extra_cflags=options["extra_cflags"],
            extra_cuda_cflags=options["extra_cuda_cflags"],
            include_paths=options["extra_include_paths"],
            verbose=verbose,
            directory=options["build_directory"],
        )

    library = load_library(compiled)
    return lambda signature, values, wait: cuda.run(library, source, signature, values, wait=wait)


def _torch(source: Source, options: dict, verbose: bool, checked: bool, keywords: dict) -> Callable:
    module = stock.load(source, options, verbose, keywords)
    return lambda signature, values, wait: stock.run(module, source, signature, values, wait=wait)


@functools.lru_cache(maxsize=1024)
def _loaded(path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(path))


def load_library(compiled: Callable[[], Path]) -> ctypes.CDLL:
    """Load the library that `compiled` makes or finds; one that was damaged on disk is made again, once."""
    path = compiled()
    try:
        return _loaded(path)
    except OSError:
        path.unlink(missing_ok=True)
    path = compiled()
    try:
        return _loaded(path)
    except OSError as error:
        raise CompileError(f"The compiled library cannot be loaded: {error}", log=str(error)) from error
