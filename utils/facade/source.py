"""A learner's source, made into one translation unit whose line numbers are still the learner's own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from utils.facade.bindings import binding_text
from utils.facade.signature import Signature, parse_signatures
from utils.facade.tokens import scan

# What PyTorch's own header brings along, read here only where it is named: compile time is the product.
_ON_DEMAND = (
    ({"vector", "vec", "TensorList"}, "<facade/vector.h>"),
    ({"tuple", "pair", "make_tuple", "tie", "make_pair"}, "<facade/tuple.h>"),
    ({"string", "to_string"}, "<facade/string.h>"),
    ({"cout", "cerr", "endl"}, "<iostream>"),
    ({"stringstream", "ostringstream"}, "<sstream>"),
    ({"sort", "min_element", "max_element", "clamp", "any_of", "all_of", "accumulate"}, "<algorithm>"),
    ({"accumulate", "iota"}, "<numeric>"),
    ({"numeric_limits"}, "<limits>"),
    ({"array"}, "<array>"),
    ({"max", "min", "swap"}, "<algorithm>"),
    ({"unordered_map"}, "<unordered_map>"),
    ({"map"}, "<map>"),
    ({"function"}, "<functional>"),
    ({"unique_ptr", "shared_ptr", "make_unique", "make_shared"}, "<memory>"),
    ({"runtime_error", "invalid_argument"}, "<stdexcept>"),
)
_MATH = re.compile(
    r"(?:sqrt|cbrt|exp|log|pow|sin|cos|tan|ceil|floor|round|fabs|fma|hypot|erf|trunc|isnan|isinf|lround|sinh|cosh|abs)\w*"
)


@dataclass(frozen=True)
class Source:
    """What to compile.

    Attributes:
        name: the module's name.
        text: the whole translation unit: what the façade adds, then all cpp_sources, then all cuda_sources,
            with `#line` before each, so that compilers speak of the learner's own lines.
        functions: names of the launchers, in order.
        signatures: every function that the source defines or declares at namespace scope.
        parts: (label, text) of each source as it was typed; the last is the learner's main one.
    """

    name: str
    text: str
    functions: tuple[str, ...]
    signatures: dict[str, Signature] = field(compare=False, repr=False)
    parts: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def source_file(self) -> str:
        """The label of the learner's main source in compilers' messages: `name.cu`."""
        return self.parts[-1][0]

    @property
    def bindings_file(self) -> str:
        """The label of the bindings: its line k is about launcher k."""
        return f"{self.name}.bindings"

    @property
    def files(self) -> tuple[str, ...]:
        """The labels of all sources."""
        return tuple(label for label, _ in self.parts)

    def line(self, number: int, file: str | None = None) -> str:
        """Line `number`, from 1, of the learner's main source (or of `file`); "" where there is none."""
        text = dict(self.parts).get(file or self.source_file, "")
        lines = text.split("\n")
        return lines[number - 1] if 1 <= number <= len(lines) else ""


def make_source(
    name: str,
    cpp_sources: str | Iterable[str] = "",
    cuda_sources: str | Iterable[str] = "",
    functions: str | Iterable[str] | Mapping[str, str] | None = None,
) -> Source:
    """Put the sources together and find their launchers.

    `functions` names the launchers; None takes every function that is not static and whose types the façade
    knows. A name that the source lacks raises ValueError.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"name must be a C++ identifier such as 'conv2d_naive', not {name!r}")
    parts = _parts(name, _listed(cpp_sources, "cpp_sources"), _listed(cuda_sources, "cuda_sources"))
    if not parts:
        raise ValueError("there is nothing to compile: cpp_sources and cuda_sources are empty")
    whole = "\n".join(text for _, text in parts)
    signatures = parse_signatures(whole)
    chosen = _chosen(functions, signatures)
    text = _prologue(whole)
    for label, part in parts:
        text += f'#line 1 "{label}"\n{part}\n'
    text += f'#line 1 "{name}.bindings"\n' + binding_text(chosen)
    return Source(name, text, chosen, signatures, tuple(parts))


def _listed(sources: str | Iterable[str], what: str) -> list[str]:
    listed = [sources] if isinstance(sources, str) else list(sources)
    for source in listed:
        if not isinstance(source, str):
            raise TypeError(f"{what} must be a str or a list of str, not {type(source).__name__}")
    return [source for source in listed if source.strip()]


def _parts(name: str, cpp: list[str], cuda: list[str]) -> list[tuple[str, str]]:
    """Each source with its label; the last of its kind carries the plain name."""
    parts = []
    for sources, suffix in ((cpp, ".cpp"), (cuda, ".cu")):
        for i, text in enumerate(sources, start=1):
            label = f"{name}{suffix}" if i == len(sources) else f"{name}_{i}{suffix}"
            parts.append((label, text.replace("\r\n", "\n")))
    return parts


def _prologue(text: str) -> str:
    words = {token.text for token in scan(text) if token.kind == "word"}
    headers = ["<torch/extension.h>"]
    headers += [header for names, header in _ON_DEMAND if names & words]
    if any(_MATH.fullmatch(word) for word in words):
        headers.append("<math.h>")
    return "".join(f"#include {header}\n" for header in dict.fromkeys(headers))


def _chosen(
    functions: str | Iterable[str] | Mapping[str, str] | None, signatures: dict[str, Signature]
) -> tuple[str, ...]:
    if functions is None:
        return tuple(
            name
            for name, s in signatures.items()
            if s.defined and s.supported and not (s.static or s.on_device or s.template) and name != "main"
        )
    names = (functions,) if isinstance(functions, str) else tuple(functions)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"functions must be names, not {type(name).__name__}")
        signature = signatures.get(name)
        if signature is None:
            raise ValueError(
                f"functions names {name!r}, which the source does not define; {_nearest(name, signatures)}"
            )
        if signature.on_device:
            raise ValueError(
                f"functions names {name!r}, which is a kernel (or device function): name the host "
                "function that "
                "launches it"
            )
        if signature.template:
            raise ValueError(
                f"functions names {name!r}, which is a template: wrap it in a function of fixed types"
            )
    return tuple(dict.fromkeys(names))


def _nearest(name: str, signatures: dict[str, Signature]) -> str:
    callable_ = [s.name for s in signatures.values() if not s.on_device and not s.template]
    if not callable_:
        return "it defines no function that Python could call"
    close = difflib.get_close_matches(name, callable_, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it defines {', '.join(callable_)}"
