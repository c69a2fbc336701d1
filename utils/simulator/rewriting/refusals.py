"""What the simulator does not have, and mistakes that nvcc reports and a C++ compiler would not see."""

from __future__ import annotations

from pathlib import Path

from utils.errors import CompileError
from utils.simulator.rewriting.tokens import Token, kernel_name, not_supported

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
_INCLUDE = Path(__file__).parents[1] / "include"


def refuse(tokens: list[Token]) -> None:
    def unsupported(what, token, advice=_NEEDS_GPU):
        raise not_supported(what, token, tokens, advice)

    solid = [t for t in tokens if t.solid]
    for i, token in enumerate(solid):
        if token.text == "#" and i + 1 < len(solid) and solid[i + 1].text == "include":
            header = "".join(t.text for t in solid[i + 2 : i + 12] if t.line == token.line).strip('<>"')
            if (_INCLUDE / header).is_file():
                continue
            for name, (feature, advice) in _UNSUPPORTED_HEADERS.items():
                if header.startswith(name):
                    unsupported(f"{feature} (#include <{header}>)", token, advice)
        elif token.kind == "name" and token.text in _UNSUPPORTED_NAMES:
            unsupported(f"`{token.text}`", token, _UNSUPPORTED_NAMES[token.text])


def check_kernels(solid: list[Token], directives: set[Token]) -> None:
    """Mistakes that nvcc reports and a C++ compiler would not see: to it, a kernel is a function."""
    texts = [t.text for t in solid]
    named_in = {}  # kernel -> positions of its name in declarations and definitions
    macro = False  # does the source have a name of its own for __global__?
    for i, text in enumerate(texts):
        if text == "__global__" and solid[i] in directives:
            macro = True
        elif text == "__global__" and (j := kernel_name(solid, texts, i)) is not None:
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


def _refuse_member_kernels(solid: list[Token]) -> None:
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


def _refuse_two_types_of_dynamic_memory(solid: list[Token]) -> None:
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
