"""Signatures of launchers, read from the source for their names, defaults and messages."""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import Any

import torch

from utils.facade.tokens import Token, scan

REQUIRED = object()  # the default of a parameter that has none
_CUDA_MARKS = {"__global__", "__device__"}
_SPECIFIERS = {"static", "inline", "constexpr", "extern", "__host__", "__forceinline__", "__inline__",
               "__noinline__", "__global__", "__device__", "C10_EXPORT", "TORCH_API"}  # fmt: skip
_INT_LIMITS = {
    "int": 32,
    "int32_t": 32,
    "long": 64,
    "int64_t": 64,
    "longlong": 64,
    "longint": 64,
    "size_t": 64,
    "unsigned": 32,
    "short": 16,
}
_FLOATS = {"float", "double"}
_LISTS = {"vector<int64_t>", "vector<long>", "vector<int>", "IntArrayRef", "ArrayRef<int64_t>"}


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, its type as the source writes it, and the Python value of its default."""

    name: str
    type: str
    default: Any = REQUIRED
    default_text: str = ""

    @property
    def plain(self) -> str:
        """The type without const, references and namespaces: "Tensor", "optional<Tensor>", "int64_t"."""
        return plain_type(self.type)

    def __str__(self) -> str:
        return f"{self.type} {self.name}" + (f" = {self.default_text}" if self.default_text else "")


@dataclass(frozen=True)
class Signature:
    """A launcher's signature; `str()` writes it as C++ does."""

    name: str
    returns: str
    parameters: tuple[Parameter, ...]
    static: bool = False
    on_device: bool = False  # __global__ or __device__: not callable from Python
    template: bool = False
    defined: bool = True  # False for a mere declaration

    def __str__(self) -> str:
        return f"{self.returns} {self.name}({', '.join(map(str, self.parameters))})"

    @property
    def supported(self) -> bool:
        """Whether the façade can pass every argument and the result."""
        return all(_known(p.plain) for p in self.parameters) and _returnable(plain_type(self.returns))

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> list:
        """The full list of values in the order of the parameters.

        Raises TypeError or ValueError, with the signature in the message, for a missing, surplus or unknown
        argument and for a value of the wrong type.
        """
        parameters = self.parameters
        if len(args) > len(parameters):
            raise TypeError(f"{self.name} takes {len(parameters)} arguments, not {len(args)}: {self}")
        values = list(args)
        rest = dict(kwargs) if kwargs else {}
        if rest:
            for parameter in parameters[: len(args)]:
                if parameter.name in rest:
                    raise TypeError(f"{self.name} was given the argument {parameter.name!r} twice: {self}")
        for parameter in parameters[len(args) :]:
            if parameter.name in rest:
                values.append(rest.pop(parameter.name))
            elif parameter.default is not REQUIRED:
                values.append(parameter.default)
            elif parameter.default_text:
                raise TypeError(
                    f"{self.name}: the default of {parameter.name!r} ({parameter.default_text}) has "
                    "no Python "
                    f"value; pass this argument: {self}"
                )
            else:
                raise TypeError(f"{self.name} misses the argument {parameter.name!r}: {self}")
        if rest:
            raise TypeError(f"{self.name} has no parameter {next(iter(rest))!r}: {self}")
        for i, parameter in enumerate(parameters):
            values[i] = self._checked(parameter, values[i], parameter.plain)
        return values

    def _checked(self, parameter: Parameter, value: Any, plain: str) -> Any:
        if plain.startswith("optional<"):
            return None if value is None else self._checked(parameter, value, plain[9:-1])
        if plain == "Tensor":
            if not isinstance(value, torch.Tensor):
                raise self._wrong(parameter, "a torch.Tensor", value)
        elif plain == "bool":
            if not isinstance(value, bool):
                if type(value).__name__ not in ("bool_", "bool"):
                    raise self._wrong(parameter, "a bool", value)
                value = bool(value)
        elif plain in _INT_LIMITS:
            value = self._integer(parameter, value, _INT_LIMITS[plain])
        elif plain in _FLOATS:
            if isinstance(value, (bool, torch.Tensor)) or not hasattr(value, "__float__"):
                raise self._wrong(parameter, "a float", value)
            value = float(value)
        elif plain in _LISTS:
            if isinstance(value, (str, bytes, torch.Tensor)) or not hasattr(value, "__iter__"):
                raise self._wrong(parameter, "a list of ints", value)
            value = [self._integer(parameter, each, 64) for each in value]
        elif plain in ("string", "str"):
            if not isinstance(value, str):
                raise self._wrong(parameter, "a str", value)
        elif plain == "ScalarType":
            if not isinstance(value, torch.dtype):
                raise self._wrong(parameter, "a torch.dtype", value)
        elif plain == "vector<Tensor>" and (
            isinstance(value, torch.Tensor) or not all(isinstance(each, torch.Tensor) for each in value)
        ):
            raise self._wrong(parameter, "a list of tensors", value)
        return value

    def _integer(self, parameter: Parameter, value: Any, bits: int) -> int:
        if isinstance(value, (bool, torch.Tensor)):
            raise self._wrong(parameter, "an int", value)
        try:
            number = operator.index(value)
        except TypeError:
            raise self._wrong(parameter, "an int", value) from None
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise ValueError(f"{self.name}: {parameter.name}={number} does not fit {parameter.type}: {self}")
        return number

    def _wrong(self, parameter: Parameter, wanted: str, value: Any) -> TypeError:
        got = "None" if value is None else f"{type(value).__name__} {_short(value)}"
        return TypeError(f"{self.name}: {parameter.name} must be {wanted}, not {got}: {self}")


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


@functools.lru_cache(maxsize=4096)
def plain_type(text: str) -> str:
    """`const std::optional<torch::Tensor>&` -> `optional<Tensor>`."""
    text = re.sub(r"\b(?:const|struct|class)\b|[&\s]|(?:\b(?:std|torch|at|c10))?::", "", " " + text)
    return text.replace("longlongint", "longlong").replace("TensorList", "vector<Tensor>")


def _known(plain: str) -> bool:
    if plain.startswith("optional<"):
        return _known(plain[9:-1])
    return (
        plain in ("Tensor", "bool", "string", "ScalarType", "vector<Tensor>")
        or plain in _INT_LIMITS
        or plain in _FLOATS
        or plain in _LISTS
    )


def _returnable(plain: str) -> bool:
    scalar = {"Tensor", "bool", "void", *_INT_LIMITS, *_FLOATS}
    match = re.fullmatch(r"(?:vector|tuple|pair|optional)<(.*)>", plain)
    return plain in scalar or (match is not None and all(part in scalar for part in match[1].split(",")))


def parse_signatures(text: str) -> dict[str, Signature]:
    """Every function at namespace scope of the source, by name, in order of appearance.

    A definition wins over its declaration, but takes from it the default arguments that it does not repeat.
    """
    found: dict[str, Signature] = {}
    for head, defined in _heads(list(scan(text))):
        signature = _parse_head(head, defined)
        if signature is None:
            continue
        earlier = found.get(signature.name)
        if earlier is not None:
            if earlier.defined and not signature.defined:
                signature, earlier = earlier, signature
            signature = _with_defaults(signature, earlier)
        found[signature.name] = signature
    return found


def _with_defaults(signature: Signature, other: Signature) -> Signature:
    if len(signature.parameters) != len(other.parameters):
        return signature
    merged = tuple(
        mine
        if mine.default_text
        else Parameter(mine.name or theirs.name, mine.type, theirs.default, theirs.default_text)
        for mine, theirs in zip(signature.parameters, other.parameters, strict=True)
    )
    return Signature(
        signature.name, signature.returns, merged, signature.static or other.static,
        signature.on_device or other.on_device, signature.template, signature.defined,
    )  # fmt: skip


def _heads(tokens: list[Token]):
    """(tokens of a declaration up to its body or semicolon, whether a body follows), at namespace scope."""
    head: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i].text
        if token in "([":
            end = _closing(tokens, i)
            head.extend(tokens[i : end + 1])
            i = end + 1
            continue
        if token == "{":
            words = [t.text for t in head]
            if "namespace" in words[:2] or words[:1] == ["extern"] and "(" not in words:
                if words[-1:] == ["namespace"] or words[:1] == ["extern"]:
                    head = []  # anonymous, or extern "C": its functions are callable by their plain names
                    i += 1
                    continue
                i = _closing(tokens, i) + 1  # a named namespace: its functions are no launchers
                head = []
                continue
            end = _closing(tokens, i)
            if _is_function(head):
                yield head, True
                head = []
            else:
                head.append(tokens[i])  # a class body or an initialiser: the semicolon ends it
            i = end + 1
            continue
        if token == ";":
            if any(t.text == "(" for t in head) and "{" not in [t.text for t in head]:
                yield head, False
            head = []
        elif token == "}":
            head = []
        else:
            head.append(tokens[i])
        i += 1


def _is_function(head: list[Token]) -> bool:
    """Whether a brace after this head opens a function's body, and not a class or an initialiser."""
    start = 0
    while start + 1 < len(head) and head[start].text == "template" and head[start + 1].text == "<":
        start = _closing_angle(head, start + 1) + 1
    outside: list[str] = []
    i = start
    while i < len(head):
        outside.append(head[i].text)
        i = _closing(head, i) if head[i].text in ("(", "[", "{") else i
        i += 1
    kinds = {"struct", "class", "enum", "union", "using", "typedef"}
    return "(" in outside and "=" not in outside and not kinds & set(outside[:1])


def _closing(tokens: list[Token], start: int) -> int:
    depth = 0
    for i in range(start, len(tokens)):
        if tokens[i].text in ("(", "[", "{"):
            depth += 1
        elif tokens[i].text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                return i
    return len(tokens) - 1


def _closing_angle(tokens: list[Token], start: int) -> int:
    depth = 0
    for i in range(start, len(tokens)):
        depth += {"<": 1, ">": -1, ">>": -2}.get(tokens[i].text, 0)
        if depth <= 0:
            return i
    return len(tokens) - 1


def _parse_head(head: list[Token], defined: bool) -> Signature | None:
    marks: set[str] = set()
    template = False
    kept: list[Token] = []
    i = 0
    while i < len(head):
        word = head[i].text
        if word == "template" and i + 1 < len(head) and head[i + 1].text == "<":
            template = True
            i = _closing_angle(head, i + 1) + 1
        elif word == "[" and i + 1 < len(head) and head[i + 1].text == "[":
            i = _closing(head, i) + 1
        elif word in ("__attribute__", "__launch_bounds__", "alignas", "__declspec", "__cluster_dims__"):
            i = _closing(head, i + 1) + 1
        elif word in _SPECIFIERS:
            marks.add(word)
            i += 2 if word == "extern" and i + 1 < len(head) and head[i + 1].kind == "string" else 1
        elif (
            word in ("using", "typedef", "friend", "operator", "static_assert", "struct", "class")
            and not kept
        ):
            return None
        else:
            kept.append(head[i])
            i += 1
    opening = next((k for k, t in enumerate(kept) if t.text == "("), None)
    if opening is None or opening < 2 or kept[opening - 1].kind != "word":
        return None
    if "operator" in (t.text for t in kept[:opening]) or "=" in (t.text for t in kept[:opening]):
        return None
    if kept[opening - 2].text == "::":
        return None
    closing = _closing(kept, opening)
    returns = kept[: opening - 1]
    if [t.text for t in returns] == ["auto"] and closing + 1 < len(kept) and kept[closing + 1].text == "->":
        returns = kept[closing + 2 :]
    parameters = _parse_parameters(kept[opening + 1 : closing])
    if parameters is None:
        return None
    return Signature(
        kept[opening - 1].text,
        _spell(returns),
        parameters,
        static="static" in marks,
        on_device=bool(marks & _CUDA_MARKS),
        template=template,
        defined=defined,
    )


def _parse_parameters(tokens: list[Token]) -> tuple[Parameter, ...] | None:
    if not tokens or [t.text for t in tokens] == ["void"]:
        return ()
    parameters = []
    for part in _split(tokens):
        equal = next((k for k, t in enumerate(part) if t.text == "="), len(part))
        declaration, default = part[:equal], part[equal + 1 :]
        if not declaration or declaration[0].kind in ("number", "string"):
            return None  # an initialiser such as dim3 grid(1, 2), not parameters
        named = len(declaration) > 1 and declaration[-1].kind == "word" and declaration[-2].text != "::"
        named = named and declaration[-1].text not in ("int", "long", "const", "double", "short", "char")
        name = declaration[-1].text if named else ""
        text = _spell(default)
        parameters.append(
            Parameter(
                name or f"argument{len(parameters)}",
                _spell(declaration[:-1] if named else declaration),
                default_value(text) if default else REQUIRED,
                text,
            )
        )
    return tuple(parameters)


def _split(tokens: list[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    depth = angle = 0
    in_default = False
    for token in tokens:
        text = token.text
        depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
        if not in_default:
            angle += {"<": 1, ">": -1, ">>": -2}.get(text, 0)
        if text == "," and depth == 0 and angle == 0:
            parts.append([])
            in_default = False
            continue
        in_default = in_default or (text == "=" and depth == 0 and angle == 0)
        parts[-1].append(token)
    return parts


def _spell(tokens: list[Token]) -> str:
    text = ""
    for token in tokens:
        if (
            text
            and (token.kind != "mark" or token.text == "=")
            and (text[-1].isalnum() or text[-1] in "_>&*,")
        ):
            text += " "
        text += token.text
    return text


def default_value(text: str) -> Any:
    """The Python value of a C++ default argument; REQUIRED where it has none that can be read off."""
    plain = re.sub(r"\b(?:std|torch|at|c10)::", "", text).strip()
    if plain in ("nullopt", "{}") or re.fullmatch(r"optional<.*>(?:\(\)|\{\})", plain):
        return None
    if plain in ("true", "false"):
        return plain == "true"
    if re.fullmatch(r'"[^"\\]*"', plain):
        return plain[1:-1]
    integer = re.fullmatch(r"([+-]?)\s*(0[xX][\da-fA-F']+|[\d']+)[uUlL]*", plain)
    if integer:
        digits = integer[2].replace("'", "")
        base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
        return int(digits, base) * (-1 if integer[1] == "-" else 1)
    if re.fullmatch(r"[+-]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFlL]?", plain):
        return float(plain.rstrip("fFlL").replace(" ", ""))
    listed = re.fullmatch(r"\{(.*)\}", plain)
    if listed:
        values = [default_value(part) for part in listed[1].split(",")]
        return REQUIRED if any(value is REQUIRED for value in values) else values
    return REQUIRED
