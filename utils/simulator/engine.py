"""The engine as Python sees it: built once a machine, loaded once a process, structs mirrored by ctypes."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from utils.compiling import build, compiler_version, find_cxx, is_gcc, run_compiler

FOLDER = Path(__file__).parent
INCLUDE = FOLDER / "include"

KINDS = (
    None,
    "out-of-bounds",
    "misaligned",
    "uninitialized-read",
    "race",
    "barrier-divergence",
    "deadlock",
    "timeout",
    "launch",
    "unsupported",
    "reads-matter",  # not an error: the call is run again with its reads recorded
)
DETAILS = (
    "plain",
    "stack-overflow",
    "wild-pointer",
    "division-by-zero",
    "segfault",
    "exited",
    "assertion",
    "configuration",
    "exited-before-barrier",
    "other-barrier",
    "warp-waits",
    "illegal-instruction",
    "freed",
    "whole-warp-waits",
    "gate-waits",
    "matrix-stride",
    "host-tensor",
    "host-variable",
    "out-of-memory",
    "constant",
    "wild-jump",
    "array-index",
    "shared-address",
    "copied",
    "copy-under-way",
    "copy-not-committed",
    "copy-handed",
)
NO_REGION = -(2**31)
EVERY_WARP = 2**32 - 1

_u3 = ctypes.c_uint32 * 3


class Error(ctypes.Structure):
    _fields_ = (
        [
            (n, ctypes.c_int32)
            for n in ("kind", "launch", "detail", "access", "space", "bytes", "region", "line")
        ]
        + [("other_line", ctypes.c_int32), ("has_other", ctypes.c_int32), ("offset", ctypes.c_int64)]
        + [("pc", ctypes.c_uint64), ("other_pc", ctypes.c_uint64)]
        + [
            ("block", _u3),
            ("thread", _u3),
            ("other_block", _u3),
            ("other_thread", _u3),
            ("text", ctypes.c_char * 256),
        ]
    )


class Site(ctypes.Structure):
    _fields_ = [
        ("pc", ctypes.c_uint64),
        ("what", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        *(
            (n, ctypes.c_uint64)
            for n in ("requests", "sectors", "wavefronts", "conflicts", "bytes_requested", "ideal")
        ),
    ]


class LaunchInfo(ctypes.Structure):
    _fields_ = [
        ("kernel", ctypes.c_char_p),
        ("sites", ctypes.POINTER(Site)),
        *((n, ctypes.c_uint64) for n in ("site_count", "dynamic_shared", "static_shared")),
        ("grid", _u3),
        ("block", _u3),
        ("line", ctypes.c_int32),
    ]


class Lane(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("region", ctypes.c_int32), ("bytes", ctypes.c_int32)]


class RequestInfo(ctypes.Structure):
    _fields_ = [
        ("pc", ctypes.c_uint64),
        ("what", ctypes.c_uint32),
        ("launch", ctypes.c_int32),
        ("sectors", ctypes.c_uint32),
        ("wavefronts", ctypes.c_uint32),
        ("warp", ctypes.c_int32),
        ("epoch", ctypes.c_uint32),
        ("variable", ctypes.c_char_p),
        ("lanes", Lane * 32),
    ]


class BarrierInfo(ctypes.Structure):
    _fields_ = [("launch", ctypes.c_int32), ("line", ctypes.c_int32), ("epoch", ctypes.c_uint32)]


@functools.cache
def headers() -> bytes:
    """The text of the simulator's headers, for the keys of builds."""
    return b"".join(path.read_bytes() for path in sorted(INCLUDE.rglob("*")) if path.is_file())


@functools.cache
def library_path() -> Path:
    """The engine's shared library, compiled where this machine has not done so yet (about ten seconds)."""
    sources = sorted((FOLDER / "engine").glob("*.cpp"))
    texts = [path.read_bytes() for path in sorted((FOLDER / "engine").glob("*"))]
    cxx = find_cxx()
    flags = [
        "-std=c++17",
        "-O2",
        "-g1",
        "-fPIC",
        "-shared",
        "-w",
        "-fno-semantic-interposition",
        # Ubuntu's g++ fortifies by default: its longjmp takes leaving a fiber for an attack and aborts.
        "-U_FORTIFY_SOURCE",
        *(["-fno-gnu-unique"] if is_gcc(cxx) else []),
    ]

    def make(path: Path) -> None:
        run_compiler(
            [cxx, *flags, "-o", str(path), *map(str, sources), "-lpthread"], what="The simulator's engine"
        )

    return build(["engine", compiler_version(cxx), " ".join(flags), headers(), *texts], ".so", make)


@functools.cache
def hot_object() -> Path:
    """The object file that is linked into every checked cell: what its instrumentation calls."""
    source = FOLDER / "cell" / "hot.cpp"
    cxx = find_cxx()
    flags = ["-std=c++17", "-O2", "-fPIC", "-c"]

    def make(path: Path) -> None:
        run_compiler([cxx, *flags, "-o", str(path), str(source)], what="The simulator's instrumentation")

    return build(["hot", compiler_version(cxx), " ".join(flags), headers(), source.read_bytes()], ".o", make)


def prepare() -> Path:
    """Compile what no cell changes, where this machine has not done so yet; returns the engine's library."""
    engine()
    hot_object()
    return library_path()


@functools.cache
def engine() -> ctypes.CDLL:
    """The loaded engine with its functions' types declared."""
    library = ctypes.CDLL(str(library_path()))
    p, size, i, u = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint
    for name, result, arguments in (
        ("sim_create", p, [i, i, i, i, ctypes.c_uint64]),
        ("sim_destroy", None, [p]),
        ("sim_trace", None, [p, u, u, u, u]),
        ("sim_set_module", i, [p, p]),
        ("sim_module_base", ctypes.c_uint64, [p]),
        ("sim_add_region", None, [p, p, size, i, i, i]),
        ("sim_call", i, [p, p, p, p, p, p, p, p]),
        ("sim_set_constants", None, [p, p, size]),
        ("sim_set_memory_limit", None, [p, size]),
        ("sim_reserve", size, [p, size]),
        ("sim_add_host_tensor", None, [p, p, size, i]),
        ("sim_mark_elements", None, [p, p, i, i, p, p]),
        ("sim_cancel", None, [p]),
        ("sim_error", ctypes.POINTER(Error), [p]),
        ("sim_output", ctypes.c_char_p, [p, ctypes.POINTER(size)]),
        ("sim_launches", size, [p]),
        ("sim_launch_info", None, [p, size, ctypes.POINTER(LaunchInfo)]),
        ("sim_requests", ctypes.POINTER(RequestInfo), [p, ctypes.POINTER(size), ctypes.POINTER(i)]),
        ("sim_barriers", ctypes.POINTER(BarrierInfo), [p, ctypes.POINTER(size)]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
