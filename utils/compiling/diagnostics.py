"""From a compiler's output to one message that a learner can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils.facade.source import Source

_SHOWN = 3  # errors after the third are mostly consequences of the first

# "conv.cu:12:5: error: text" of g++ and clang++; "conv.cu(12): error: text" of nvcc.
_ERROR = re.compile(
    r"^(?P<file>[^\s:(][^:(\n]*?)"
    r"(?::(?P<line>\d+)(?::(?P<column>\d+))?|\((?P<nvcc>\d+)\))\s*:"
    r"\s*(?:fatal |catastrophic )?error\s*(?:#[\w-]+)?:\s*(?P<text>.+)$",
    re.MULTILINE,
)
# How compilers say which line led into a header: g++, then clang++, then nvcc.
_REQUIRED = re.compile(
    r"^(?P<file>[^\s:]+):(?P<line>\d+)(?::\d+)?:\s+(?:required from|note: in inst)", re.MULTILINE
)
_INCLUDED = re.compile(r"(?:In file included from|^ +from) (?P<file>[^\s:]+):(?P<line>\d+)", re.MULTILINE)
_DETECTED = re.compile(r"at line (?P<line>\d+) of \"?(?P<file>[^\s\"]+)")
_UNDEFINED = re.compile(r"undefined (?:reference to|symbol:?)\s+[`'\"]?(?P<name>[^'\"`\n]+)")

_HEADERS = (
    (
        {"getCurrentCUDAStream", "CUDAStream", "AT_CUDA_CHECK", "getCurrentDeviceProperties"},
        "<ATen/cuda/CUDAContext.h>",
    ),
    ({"C10_CUDA_CHECK", "C10_CUDA_KERNEL_LAUNCH_CHECK"}, "<c10/cuda/CUDAException.h>"),
    ({"CUDAGuard", "OptionalCUDAGuard"}, "<c10/cuda/CUDAGuard.h>"),
)
_NAME = re.compile(r"['\"](\w+)['\"]")

_NO_PYBIND = (
    "PYBIND11_MODULE is not in the course's torch header: take it out and name the launchers in "
    "functions=[...] "
    "instead; or build with backend='torch'"
)

# What g++ and nvcc say about arithmetic on tensors.
_TENSOR_ARITHMETIC = re.compile(
    r"no (?:match for '|operator \")(?:operator)?(?P<name>[-+*/%]=?)['\"].*at::Tensor"
)

# What the compilers say about a name that the course's header lacks.
_MISSING = (
    re.compile(r"'(?P<name>\w+)' is not a member of '(?P<scope>(?:torch|at|c10|caffe2)(?:::\w+)*)'"),
    re.compile(r"'(?P<name>\w+)' in namespace '(?P<scope>(?:torch|at|c10|caffe2)(?:::\w+)*)' does not name"),
    re.compile(
        r"no member named '(?P<name>\w+)' in (?:namespace )?'(?P<scope>(?:torch|at|c10|caffe2)(?:::\w+)*)'"
    ),
    re.compile(
        r"'(?:class|struct) (?P<scope>(?:at|c10)::(?:\w+::)*\w+)'"
        r"(?: \{aka [^}]*\})? has no member named '(?P<name>\w+)'"
    ),
    re.compile(
        r"'(?:const )?[\w:]+'(?: \{aka '(?:const )?(?:class |struct )?(?P<scope>(?:at|c10)::\w+)'\})"
        r" has no member named '(?P<name>\w+)'"
    ),
    re.compile(
        r"(?:namespace|class|struct) \"(?P<scope>(?:torch|at|c10|caffe2)(?:::\w+)*)\""
        r" has no member \"(?P<name>\w+)\""
    ),
)
_MISSING_HEADER = re.compile(
    r"(?:fatal error: )?(?P<name>(?:torch|ATen|c10|pybind11|caffe2)/[\w/.]+): No such file"
    r"|cannot open source file \"(?P<nvcc>(?:torch|ATen|c10|pybind11|caffe2)/[\w/.]+)\""
    r"|'(?P<clang>(?:torch|ATen|c10|pybind11|caffe2)/[\w/.]+)' file not found"
)


@dataclass(frozen=True)
class _Error:
    file: str
    line: int
    text: str


def explain(
    log: str, source: Source | None, what: str, status: int, *, facade: bool = True
) -> tuple[str, int | None]:
    """The message for a failed compilation and the line, in the learner's own source, of its first error."""
    special = _environment_failure(log, status)
    if special:
        return f"{what} was not compiled: {special}", None
    errors = _errors(log, source)
    if not errors:
        undefined = list(dict.fromkeys(match["name"].strip() for match in _UNDEFINED.finditer(log)))
        if undefined:
            return _undefined(what, undefined), None
        tail = "\n".join(log.strip().splitlines()[-5:])
        return f"{what} was not compiled (the compiler ended with status {status}):\n{tail}", None
    if source is not None:  # what headers and bindings say besides is an echo of the learner's own error
        errors = [error for error in errors if error.file in source.files] or errors
    shown = list(dict.fromkeys(_show(error, source, facade) for error in errors))
    if len(shown) > _SHOWN:
        shown[_SHOWN:] = [f"... and {len(shown) - _SHOWN} more; the compiler's whole output is in .log"]
    own = next(
        (error.line for error in errors if source is not None and error.file == source.source_file), None
    )
    return f"{what} was not compiled.\n" + "\n".join(shown), own


def _errors(log: str, source: Source | None) -> list[_Error]:
    found: dict[tuple[str, int, str], _Error] = {}
    ours = {*source.files, source.bindings_file} if source is not None else set()
    for match in _ERROR.finditer(log):
        text = match["text"].strip()
        error = _Error(match["file"].strip(), int(match["line"] or match["nvcc"]), text)
        if ours and error.file not in ours:
            error = _blame(log, match.start(), match.end(), ours, error)
        # What follows an unsupported type in the binding of one launcher is only an echo of it.
        binding = source is not None and error.file == source.bindings_file
        found.setdefault((error.file, error.line, "" if binding else error.text), error)
    return list(found.values())


def _blame(log: str, start: int, end: int, ours: set[str], error: _Error) -> _Error:
    """An error inside a header is shown at the learner's line that led there, where the compiler names it."""
    earlier = [match.end() for match in _ERROR.finditer(log, 0, start)]
    before = log[earlier[-1] if earlier else 0 : start]
    following = _ERROR.search(log, end)
    after = log[end : following.start() if following else len(log)]
    for pattern, text in ((_REQUIRED, before), (_INCLUDED, before), (_REQUIRED, after), (_DETECTED, after)):
        places = [match for match in pattern.finditer(text) if match["file"] in ours]
        if places:
            return _Error(places[-1]["file"], int(places[-1]["line"]), error.text)
    return error


def _show(error: _Error, source: Source | None, facade: bool) -> str:
    text = re.sub(r'^static assertion failed with "(.*)"$', r"static assertion failed: \1", error.text)
    if "variable length array" in text:
        text = (
            "the size of an array must be a constant: a number, constexpr or a template's parameter (shared "
            "memory whose size the launch decides is declared extern __shared__ float name[];)"
        )
    text = _beyond_the_facade(text, facade) or text
    if source is None:
        return f"{error.file}, line {error.line}: {text}"
    if error.file == source.bindings_file and error.line <= len(source.functions):
        text = text.removeprefix("static assertion failed: ")
        return f"{source.signatures[source.functions[error.line - 1]]}: {text}"
    line = source.line(error.line, error.file).strip() if error.file in source.files else ""
    if facade and "PYBIND11_MODULE" in line:
        text = _NO_PYBIND
    return f"{error.file}, line {error.line}: {text}" + (f"\n    {line}" if line else "")


def _beyond_the_facade(text: str, facade: bool) -> str | None:
    """What to do about a name that the header lacks; `facade` says whether it is the course's own header."""
    for name in _NAME.findall(text):
        header = _header_of(name)
        if header:
            return f"{name} needs #include {header}"
    if not facade:
        return None
    for pattern in _MISSING:
        match = pattern.search(text)
        if match:
            scope = match["scope"]
            if (
                scope.split("::")[0] in ("at", "c10")
                and scope[-1:].isalpha()
                and scope.split("::")[-1][0].isupper()
            ):
                scope = "torch::" + scope.split("::")[-1]
            return _not_offered(f"{scope}::{match['name']}")
    match = _TENSOR_ARITHMETIC.search(text)
    if match:
        return _not_offered(f"operator{match['name']} of tensors")
    match = _MISSING_HEADER.search(text)
    if match:
        return _not_offered(f"<{match['name'] or match['nvcc'] or match['clang']}>")
    return None


def _header_of(name: str) -> str | None:
    """The header that PyTorch declares this name in, where a source with torch/extension.h alone lacks it."""
    return next((header for names, header in _HEADERS if name in names), None)


def _not_offered(name: str) -> str:
    return f"{name} is not in the course's torch header; build with backend='torch'"


def _undefined(what: str, names: list[str]) -> str:
    listed = ", ".join(names[:_SHOWN])
    return f"{what} was not linked: {listed} is declared and used, but defined nowhere in the source."


def _environment_failure(log: str, status: int) -> str | None:
    if "No space left on device" in log or "Disk quota exceeded" in log:
        return (
            "the disk is full. Free some space, or set the environment variable CONV_CACHE to a folder "
            "with room."
        )
    if "Read-only file system" in log or "Permission denied" in log:
        return (
            "the build directory cannot be written to. Set the environment variable CONV_CACHE to "
            "another one."
        )
    if "Killed signal" in log or "out of memory" in log or "virtual memory exhausted" in log or status == -9:
        return "the compiler ran out of memory, or was killed. Close other notebooks and run the cell again."
    return None
