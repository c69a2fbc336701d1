"""Turns CUDA C++ into C++ that a CPU compiler takes: launches, `__shared__`, and what must be refused.

Everything else of the language (keywords, built-in variables, functions) is done by headers. Line numbers
never change.
"""

from __future__ import annotations

import re
from pathlib import Path

from utils.errors import CompileError, KernelError

_TOKEN = re.compile(
    r"""
    (?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
  | (?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")
  | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.|\\\n)*"|'(?:[^'\\\n]|\\.)+')
  | (?P<number>\.?\d(?:[eEpP][+-]|['\w.])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<space>\s+|\\\n)
  | (?P<mark><<<|>>>|::|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_NEEDS_GPU = "It needs a GPU: load it with backend='cuda'."
# Headers (and what begins with them) whose features the simulator does not have, with what to do instead; a
# compiler's 'no such file' would not say so.
_UNSUPPORTED_HEADERS = {
    "curand": (
        "cuRAND",
        "Make the random numbers with torch.rand in Python and pass them in, or load it with backend='cuda'.",
    ),
    "cub/": (
        "CUB",
        "Write the reduction with __shfl_down_sync and shared memory, or load it with backend='cuda'.",
    ),
    "thrust/": ("Thrust", "Write it as a kernel, or load it with backend='cuda'."),
    "cuda/atomic": ("cuda::atomic", "Use atomicAdd, atomicCAS and the like, or load it with backend='cuda'."),
    "cuda/std/atomic": (
        "cuda::std::atomic",
        "Use atomicAdd, atomicCAS and the like, or load it with backend='cuda'.",
    ),
    "cuda/": ("This part of libcu++", _NEEDS_GPU),
    "cooperative_groups/": ("This part of cooperative groups", _NEEDS_GPU),
    "cutlass/": ("CUTLASS", _NEEDS_GPU),
    "cute/": ("CuTe", _NEEDS_GPU),
    "cublas": ("cuBLAS", _NEEDS_GPU),
    "cudnn": ("cuDNN", _NEEDS_GPU),
    "cufft": ("cuFFT", _NEEDS_GPU),
    "cusparse": ("cuSPARSE", _NEEDS_GPU),
    "nccl": ("NCCL", _NEEDS_GPU),
    "cuda_fp8": ("FP8", _NEEDS_GPU),
    "cuda_fp6": ("FP6", _NEEDS_GPU),
    "cuda_fp4": ("FP4", _NEEDS_GPU),
}
_NO_CLUSTERS = "Thread-block clusters exist on Hopper and later GPUs alone: load it with backend='cuda'."
_NO_GRAPHS = "The simulator has no CUDA graphs: launch kernels one by one, or load it with backend='cuda'."
_NO_TEXTURES = "The simulator has no textures: read the tensor itself, or load it with backend='cuda'."
_NO_COOPERATIVE = (
    "All blocks of a grid cannot wait for each other in it: split the kernel in two at that place, "
    "since a launch begins when the one before has ended."
)
_UNSUPPORTED_NAMES = {
    "__cluster_dims__": _NO_CLUSTERS,
    "this_cluster": _NO_CLUSTERS,
    "cluster_group": _NO_CLUSTERS,
    "cudaLaunchKernelEx": _NO_CLUSTERS,
    "cudaLaunchKernelExC": _NO_CLUSTERS,
    "cudaLaunchCooperativeKernel": _NO_COOPERATIVE,
    "cudaLaunchKernel": "Write kernel<<<blocks, threads>>>(...) instead.",
    "cudaFuncGetAttributes": "Registers are not known here: load it with backend='cuda'.",
    "cudaStreamBeginCapture": _NO_GRAPHS,
    "cudaGraph_t": _NO_GRAPHS,
    "cudaGraphExec_t": _NO_GRAPHS,
    "cudaTextureObject_t": _NO_TEXTURES,
    "cudaSurfaceObject_t": _NO_TEXTURES,
    "cudaArray_t": _NO_TEXTURES,
}
_INCLUDE = Path(__file__).with_name("include")


class _Token:
    __slots__ = ("kind", "line", "text")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line

    @property
    def solid(self):
        return self.kind not in ("space", "comment")


def _tokenize(text: str) -> list[_Token]:
    """Tokens with the learner's own line numbers: a `#line N` says what the next line is called."""
    tokens: list[_Token] = []
    line, named = 1, None
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "delimiter" else "raw"
        token = _Token(kind, match.group(), line)
        tokens.append(token)
        if kind == "number" and [t.text for t in tokens[-4:-1] if t.solid] == ["#", "line"]:
            named = int(token.text)
        newlines = token.text.count("\n")
        if newlines and named is not None:
            line, named = named + newlines - 1, None
        else:
            line += newlines
    return tokens


def rewrite(text: str) -> str:
    """The C++ for the simulator of a CUDA source, line by line, so that messages keep the learner's own.

    Raises:
        KernelError: of kind "unsupported", naming the construct and its line (inline PTX, some headers).
        CompileError: a kernel called without <<<...>>>, or a launch of what is not a kernel.
    """
    tokens = _tokenize(text)
    _refuse(tokens)
    _check_kernels([t for t in tokens if t.solid], _on_directives(tokens))
    for i, token in enumerate(tokens):
        # A launch copies its arguments before it converts them, and a copy of g++'s NULL is a plain number.
        if token.text == "NULL" and not _in_directive(tokens, i):
            token.text = "nullptr"
        # No macro does this: the C++ library writes __attribute__((__noinline__)) in headers of its own.
        elif token.text == "__noinline__" and (i == 0 or tokens[i - 1].text != "("):
            token.text = "__attribute__((noinline))"
    _gather_constants(tokens)
    _rename_dimensions(tokens)
    tokens = _rewrite_shared(tokens)
    tokens = _rewrite_launches(tokens, _plain_kernels([t for t in tokens if t.solid]))
    return "".join(token.text for token in tokens)


def _unsupported(what: str, token: _Token, tokens: list[_Token], advice: str) -> KernelError:
    source = _line_around(tokens, tokens.index(token))
    return KernelError(
        f"{what} is not supported by the simulator (line {token.line}: {source}). {advice}",
        kind="unsupported",
        line=token.line,
        source=source,
    )


def _line_around(tokens: list[_Token], i: int) -> str:
    """The text of the line that token i stands on."""
    first, last = i, i
    while first and "\n" not in tokens[first - 1].text:
        first -= 1
    while last + 1 < len(tokens) and "\n" not in tokens[last + 1].text:
        last += 1
    return "".join(token.text for token in tokens[first : last + 1]).strip()


def _refuse(tokens: list[_Token]) -> None:
    def unsupported(what, token, advice=_NEEDS_GPU):
        raise _unsupported(what, token, tokens, advice)

    solid = [t for t in tokens if t.solid]
    for i, token in enumerate(solid):
        if token.text == "#" and i + 1 < len(solid) and solid[i + 1].text == "include":
            header = "".join(t.text for t in solid[i + 2 : i + 12] if t.line == token.line).strip('<>"')
            if (_INCLUDE / header).is_file():
                continue
            for name, (feature, advice) in _UNSUPPORTED_HEADERS.items():
                if header.startswith(name):
                    unsupported(f"{feature} (#include <{header}>)", token, advice)
        elif token.kind == "name" and token.text in ("asm", "__asm__", "__asm"):
            instruction = next((t.text for t in solid[i + 1 : i + 6] if t.kind in ("string", "raw")), "")
            unsupported(f"Inline PTX, asm({instruction[:40]}...)," if instruction else "Inline PTX", token)
        elif token.kind == "name" and token.text in _UNSUPPORTED_NAMES:
            unsupported(f"`{token.text}`", token, _UNSUPPORTED_NAMES[token.text])


# ---------------------------------------------------------------------------------------------- shared memory


def _on_directives(tokens: list[_Token]) -> set[_Token]:
    """The tokens on preprocessor lines, as in a macro's definition."""
    found: set[_Token] = set()
    inside = False
    for token in tokens:
        if token.kind == "space" and "\n" in token.text and not token.text.startswith("\\"):
            inside = False
        inside |= token.text == "#"
        if inside:
            found.add(token)
    return found


def _check_kernels(solid: list[_Token], directives: set[_Token]) -> None:
    """Mistakes that nvcc reports and a C++ compiler would not see: to it, a kernel is a function."""
    texts = [t.text for t in solid]
    named_in = {}  # kernel -> positions of its name in declarations and definitions
    macro = False  # does the source have a name of its own for __global__?
    for i, text in enumerate(texts):
        if text == "__global__" and solid[i] in directives:
            macro = True
        elif text == "__global__" and (j := _kernel_name(solid, texts, i)) is not None:
            start = next((k + 1 for k in reversed(range(i)) if texts[k] in (";", "{", "}", ">")), 0)
            if "void" not in texts[start:j]:
                line = solid[i].line
                raise CompileError(f"line {line}: a __global__ function must return void", line=line)
            named_in.setdefault(texts[j], set()).add(j)
    _refuse_member_kernels(solid)
    _refuse_two_types_of_dynamic_memory(solid)
    for i, token in enumerate(solid[:-1]):
        follows, before = texts[i + 1], texts[i - 1] if i else ""
        called = token.text in named_in and i not in named_in[token.text] and follows == "("
        if called and before in (";", "{", "}", "(", ",", "=", "return", "else", "do"):
            raise CompileError(
                f"line {token.line}: {token.text} is a kernel and cannot be called as a function: launch it "
                f"with {token.text}<<<blocks, threads>>>(...)",
                line=token.line,
            )
        if follows == "<<<" and token.kind == "name" and token.text not in named_in and not macro:
            defined = any(
                texts[k] == token.text and texts[k + 1] == "(" and solid[k - 1].text == "void"
                for k in range(1, len(texts) - 1)
            )
            if defined:
                raise CompileError(
                    f"line {token.line}: {token.text} is launched but is not a kernel: __global__ is missing",
                    line=token.line,
                )


def _refuse_member_kernels(solid: list[_Token]) -> None:
    in_class: list[bool] = []  # of each open brace
    head: list[str] = []  # the words since the last ; { or }
    for token in solid:
        if token.text == "__global__" and in_class and in_class[-1]:
            raise CompileError(
                f"line {token.line}: a __global__ function cannot be a member of a class: "
                "move the kernel out of it",
                line=token.line,
            )
        if token.text == "{":
            is_class = bool({"struct", "class", "union"} & set(head)) and "(" not in head and "=" not in head
            in_class.append(is_class)
        elif token.text == "}" and in_class:
            in_class.pop()
        head = [] if token.text in ("{", "}", ";") else [*head, token.text]


def _refuse_two_types_of_dynamic_memory(solid: list[_Token]) -> None:
    seen: dict[str, str] = {}
    for i, token in enumerate(solid):
        if token.text != "extern":
            continue
        end = next((k for k in range(i, len(solid)) if solid[k].text in ";{"), len(solid))
        words = [t.text for t in solid[i:end]]
        if "__shared__" not in words or "[" not in words:
            continue
        name = words[words.index("[") - 1]
        kind = " ".join(w for w in words[1 : words.index("[") - 1] if w != "__shared__")
        if seen.setdefault(name, kind) != kind:
            raise CompileError(
                f"line {token.line}: {name} is declared as {kind} here and as {seen[name]} before: dynamic "
                "shared memory of one name has one type in the whole source. Give it another name",
                line=token.line,
            )


def _close(texts: list[str], i: int) -> int:
    """Index of the parenthesis that closes the one at i."""
    depth = 0
    for k in range(i, len(texts)):
        depth += (texts[k] == "(") - (texts[k] == ")")
        if depth == 0:
            return k
    return len(texts) - 1


def _rewrite_shared(tokens: list[_Token]) -> list[_Token]:
    result: list[_Token] = []
    inside: list[bool] = []  # of each open brace: does it hold code, and not a namespace's declarations?
    i = 0
    while i < len(tokens):
        if tokens[i].text != "__shared__":
            if tokens[i].text == "{":
                inside.append(not _opens_namespace(result))
            elif tokens[i].text == "}" and inside:
                inside.pop()
            result.append(tokens[i])
            i += 1
            continue
        where = "in a macro's definition" if _in_directive(tokens, i) else "outside a kernel"
        if not any(inside) or _in_directive(tokens, i):
            advice = "Declare the array in the kernel that uses it."
            raise _unsupported(f"`__shared__` {where}", tokens[i], tokens, advice)
        # The declaration begins after the last ; { or } and ends at the next ;
        start = len(result)
        while start and not (
            result[start - 1].solid and result[start - 1].text in ";{}" or _ends_directive(result, start - 1)
        ):
            start -= 1
        while start < len(result) and not result[start].solid:
            start += 1  # what stands before the declaration keeps its lines
        end = i
        while end < len(tokens) and tokens[end].text != ";":
            end += 1
        declaration = result[start:] + tokens[i:end]
        del result[start:]
        line = tokens[i].line
        result.append(_Token("code", _shared_declaration(declaration, line), line))
        i = end  # the ; stays
    return result


def _opens_namespace(before: list[_Token]) -> bool:
    """Whether a brace after these tokens opens `namespace name {` or `extern "C" {`."""
    words = [t.text for t in before[-40:] if t.solid]
    while words and (words[-1] == "::" or words[-1].isidentifier()) and words[-1] != "namespace":
        words.pop()
    return words[-1:] == ["namespace"] or words[-1:] == ['"C"']


def _in_directive(tokens, i):
    """Whether token i stands on a preprocessor line, as a macro's body does."""
    while i > 0:
        i -= 1
        if tokens[i].kind == "space" and "\n" in tokens[i].text and not tokens[i].text.startswith("\\"):
            return False
        if tokens[i].text == "#":
            return True
    return False


def _ends_directive(tokens, i):
    """Whether a preprocessor line ends at token i, so that a declaration cannot reach further back."""
    return tokens[i].kind == "space" and "\n" in tokens[i].text and _in_directive(tokens, i)


def _shared_declaration(tokens: list[_Token], line: int) -> str:
    texts = []  # the declaration without storage class and alignment
    alignment = ""
    dynamic = False
    k = 0
    while k < len(tokens):
        text = tokens[k].text
        if text in ("__shared__", "static"):
            texts.append("")
        elif text == "extern":
            dynamic = True
        elif text in ("__align__", "alignas"):
            close = _matching(tokens, k + 1, "(", ")")
            alignment = "".join(t.text for t in tokens[_next_solid(tokens, k + 1) : close + 1])
            k = close
        else:
            texts.append(" " if tokens[k].kind == "comment" else text)
        k += 1
    newlines = "\n" * sum(t.text.count("\n") for t in tokens)
    body = " ".join("".join(texts).split())  # one line for the macros; the newlines follow
    names, declarators = _declarators(body)
    if dynamic:
        match = re.match(r"(.*?)\b(\w+)\s*\[\s*\](.*)$", body, re.DOTALL)
        if not match:
            raise KernelError(
                f"line {line}: dynamic shared memory is declared as `extern __shared__ float name[];`",
                kind="unsupported",
                line=line,
                source=body,
            )
        kind, name, rest = (part.strip() for part in match.groups())
        pointer = f"(*{name}){rest}" if rest else f"* {name}"
        cast = f"(*){rest}" if rest else "*"
        row = f"sim::extents<{kind}{rest}>"
        value = f'sim_dynamic_shared("{name}", {line}, sizeof({kind}), {row})'
        return f"{kind} {pointer} = ({kind} {cast}){value}{newlines}"
    typedef = ", ".join(declarators)
    attribute = f" __attribute__((aligned{alignment}))" if alignment else ""
    return (
        f"typedef {typedef}{attribute}; "
        + " ".join(f"SIM_SHARED({name}, {line})" for name in names)
        + newlines
    )


def _next_solid(tokens, k):
    while k < len(tokens) and not tokens[k].solid:
        k += 1
    return k


def _matching(tokens, k, opening, closing):
    depth = 0
    for j in range(k, len(tokens)):
        if tokens[j].text == opening:
            depth += 1
        elif tokens[j].text == closing:
            depth -= 1
            if depth == 0:
                return j
    return len(tokens) - 1


def _declarators(body: str):
    """Splits `float a[4][5], b[3]` at its commas and renames each variable: a typedef's name is its type."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(body):
        if c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(body[start:k])
            start = k + 1
    parts.append(body[start:])
    names, renamed = [], []
    for part in parts:
        head, bracket, dimensions = part.partition("[")
        name = re.findall(r"[A-Za-z_]\w*", head)[-1]
        at = head.rindex(name)
        names.append(name)
        renamed.append(head[:at] + "sim_type_" + name + head[at + len(name) :] + bracket + dimensions)
    return names, renamed


# ------------------------------------------------------------------------------------------- constant memory


def _gather_constants(tokens: list[_Token]) -> None:
    """Marks `__constant__` variables that are not const, which could not share a section of the library."""
    directives = _on_directives(tokens)
    for i, token in enumerate(tokens):
        if token.text != "__constant__" or token in directives:
            continue
        start = next((k for k in reversed(range(i)) if tokens[k].text in (";", "{", "}")), -1)
        end = next((k for k in range(i, len(tokens)) if tokens[k].text in (";", "=", "{")), len(tokens))
        if {"const", "constexpr"}.isdisjoint(t.text for t in tokens[start + 1 : end]):
            token.text = "SIM_CONSTANT"


# --------------------------------------------------------------------------------------- launchers' variables

_BUILT_IN = ("gridDim", "blockDim", "blockIdx", "threadIdx")


def _rename_dimensions(tokens: list[_Token]) -> None:
    """Renames a launcher's own `dim3 gridDim(...)`: to the CPU's compiler the built-in names are macros."""
    solid = [t for t in tokens if t.solid]
    for i, token in enumerate(solid):
        if token.text != "dim3":
            continue
        for k in _declared(solid, i + 1):
            name = solid[k].text
            for j in range(k, _scope_end(solid, i)):
                if solid[j].text == name and solid[j - 1].text not in (".", "->"):
                    solid[j].text = f"sim_{name}"


def _declared(solid: list[_Token], start: int) -> list[int]:
    """Where a declaration `dim3 a(1), b = c;` that goes on at `start` names built-in variables."""
    found, depth = [], 0
    for k in range(start, len(solid)):
        text = solid[k].text
        if depth == 0 and text in _BUILT_IN and solid[k - 1].text in ("dim3", ",", "&", "const"):
            found.append(k)
        depth += (text in "([{") - (text in ")]}")
        if depth < 0 or text == ";" or (text == "dim3" and depth == 0):
            break
    return found


def _scope_end(solid: list[_Token], i: int) -> int:
    """Where the scope of a variable that is declared at i ends: its block, or the function that takes it."""
    depth, parameter = 0, False
    for k in reversed(range(i)):
        text = solid[k].text
        if text in ";{}" and depth == 0:
            break
        depth += (text == ")") - (text == "(")
        if depth < 0:
            parameter = True
            break
    depth = 0
    for k in range(i, len(solid)):
        depth += (solid[k].text == "{") - (solid[k].text == "}")
        if depth < 0 or (parameter and depth == 0 and solid[k].text in ";}"):
            return k
    return len(solid)


# --------------------------------------------------------------------------------------------------- launches


def _rewrite_launches(tokens: list[_Token], plain_kernels: set[str]) -> list[_Token]:
    result: list[_Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.text != "<<<":
            result.append(token)
            i += 1
            continue
        start = _kernel_start(result)
        close = _configuration_end(tokens, i + 1)
        if start is None or close is None:
            result.append(token)  # not a launch we understand: the compiler will say what is wrong
            i += 1
            continue
        _check_launch(tokens, i, close)
        kernel = "".join(t.text for t in result[start:])
        configuration = "".join(t.text for t in tokens[i + 1 : close])
        del result[start:]
        name = kernel.rstrip()
        newlines = "\n" * kernel[len(name) :].count("\n")
        macro = "SIM_LAUNCH_TYPED" if name.rpartition("::")[2] in plain_kernels else "SIM_LAUNCH"
        launch = f"{macro}({token.line}, ({configuration}), {name}){newlines}"
        result.append(_Token("code", launch, token.line))
        i = close + 1
    return result


def _plain_kernels(solid: list[_Token]) -> set[str]:
    """Kernels that are one function: no template, declared once, no default arguments, no other of that name.

    Only of these does the name alone say which types the parameters have.
    """
    texts = [t.text for t in solid]
    places: dict[str, list[int]] = {}
    odd = set()
    for i, text in enumerate(texts):
        j = _kernel_name(solid, texts, i) if text == "__global__" else None
        if j is None:
            continue
        places.setdefault(texts[j], []).append(j)
        before = i - 1
        while before > 0 and (solid[before].kind in ("name", "string") or texts[before] == ")"):
            before -= 1  # static, extern "C", __launch_bounds__(256)
            if texts[before + 1] == ")":
                while before > 0 and texts[before] != "(":
                    before -= 1
                before -= 1
        if texts[before].endswith(">") or "=" in texts[j + 1 : _close(texts, j + 1)]:
            odd.add(texts[j])
    for i, text in enumerate(texts[:-1]):
        # What follows a type is declared: a function, a variable or a parameter, or a macro.
        declares = i and (solid[i - 1].kind == "name" or texts[i - 1] in ("*", "&", ">"))
        if text in places and i not in places[text] and declares and texts[i + 1] != "<<<":
            odd.add(text)
    return {name for name, found in places.items() if len(found) == 1} - odd


def _kernel_name(solid: list[_Token], texts: list[str], i: int) -> int | None:
    """Where the name of the kernel stands whose `__global__` is token i."""
    j = i + 1
    while j + 1 < len(texts):
        if solid[j].kind == "name" and texts[j + 1] == "(":
            if texts[j] not in ("__launch_bounds__", "__maxnreg__"):
                return j
            j = _close(texts, j + 1)
        j += 1
    return None


def _check_launch(tokens: list[_Token], opening: int, close: int) -> None:
    """Refuses what a C++ compiler would take for something else, or explain in the simulator's words."""
    configuration = [t.text for t in tokens[opening + 1 : close] if t.solid]
    following = next((t.text for t in tokens[close + 1 :] if t.solid), "")
    if following != "(" and not _in_directive(tokens, opening):
        problem = "the kernel's arguments are missing, in parentheses after >>>"
    elif "," not in configuration and _macros(tokens).isdisjoint(configuration):
        problem = "a launch needs two numbers, of blocks and of threads a block"
    else:
        return
    line = tokens[opening].line
    source = _line_around(tokens, opening)
    raise CompileError(
        f"line {line}: {problem}: kernel<<<blocks, threads>>>(arguments)\n    {source}", line=line
    )


def _macros(tokens: list[_Token]) -> set[str]:
    solid = [t.text for t in tokens if t.solid]
    return {name for before, name in zip(solid, solid[1:], strict=False) if before == "define"}


def _kernel_start(result: list[_Token]):
    """Where in `result` the expression before <<< begins: name, ns::name, name<args>, or (expression)."""
    solid = [k for k, t in enumerate(result) if t.solid]
    if not solid:
        return None
    p = len(solid) - 1

    def skip_back(opening, closing, p):
        depth = 0
        while p is not None and p >= 0:
            text = result[solid[p]].text
            if text == ")" and closing == ">":  # a > inside parentheses closes nothing
                p = skip_back("(", ")", p)
                p = None if p is None else p - 1
                continue
            depth += text.count(closing) if text in (closing, ">>>") else 0
            depth -= text.count(opening) if text in (opening, "<<<") else 0
            if depth <= 0:
                return p
            p -= 1
        return None

    def name_back(p):
        """Start of one `name` or `name<args>` that ends at p."""
        if p is None or p < 0:
            return None
        if result[solid[p]].text in (">", ">>>"):
            p = skip_back("<", ">", p)
            p = None if p is None else p - 1
        if p is None or p < 0 or result[solid[p]].kind != "name":
            return None
        return p

    if result[solid[p]].text == ")":
        p = skip_back("(", ")", p)
        return None if p is None else solid[p]
    p = name_back(p)
    if p is None:
        return None
    while p >= 1 and result[solid[p - 1]].text in ("::", "template"):
        p -= 1
        before = name_back(p - 1) if result[solid[p]].text == "::" else p
        if before is None or result[solid[before]].text in ("return", "else", "do"):
            break
        p = before
    return solid[p]


def _configuration_end(tokens, i):
    depth = 0
    for k in range(i, len(tokens)):
        text = tokens[k].text
        if text in "([{" and tokens[k].kind == "mark":
            depth += 1
        elif text in ")]}" and tokens[k].kind == "mark":
            depth -= 1
            if depth < 0:
                return None
        elif text == ">>>" and depth == 0:
            return k
        elif text == ";" and depth == 0:
            return None
    return None
