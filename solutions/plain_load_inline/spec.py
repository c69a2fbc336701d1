"""load_inline as PyTorch has it: declarations in C++, kernel and launcher in CUDA, functions by name."""

import torch

from utils.exercise.helpers import call, same
from utils.exercise.spec import Exercise, Wrong


def launcher_is_exported(cell):
    module = cell.get("module")
    assert module is not None, "module is None: assign to it what load_inline returns"
    assert not callable(module), "module is a function; load_inline returns a module that has functions"
    assert callable(getattr(module, "twice", None)), "module has no function twice: name it in `functions`"


def declared(cell):
    """PyTorch compiles the declaration apart. Ours can do without; the exercise is about PyTorch's form."""
    files = cell["module"].twice.source.files
    assert any(name.endswith(".cpp") for name in files), "cpp_sources is missing: pass the declaration, too"


def doubles(cell):
    for count in (1, 5, 256, 257):
        x = torch.arange(count, dtype=torch.float32)
        same(call(cell["module"].twice, x), 2 * x, f"module.twice of the numbers 0 to {count - 1}")


exercise = Exercise(
    title="load_inline in PyTorch's own form",
    goal="call load_inline with name, cpp_sources, cuda_sources and functions",
    kind="python",
    hints=[
        "load_inline takes four keywords here: name, cpp_sources, cuda_sources, functions.",
        "cpp_sources gets the declaration, cuda_sources the text with the kernel and its launcher.",
        "functions is a list with the launcher's name as text. A kernel cannot be called from Python.",
    ],
    checks=[
        ("the launcher is exported", launcher_is_exported),
        ("the declaration is passed", declared),
        ("twice doubles", doubles),
    ],
    starter_fails="module is None",
    wrong=[
        Wrong("exports the kernel", replace={'["twice"]': '["twice_kernel"]'}, because="twice_kernel"),
        Wrong("forgets the CUDA source", replace={"    cuda_sources=cuda_source,\n": ""}, because="twice"),
        Wrong(
            "forgets the declaration",
            replace={"    cpp_sources=cpp_source,\n": ""},
            because="cpp_sources is missing",
        ),
        Wrong("misspells a keyword", replace={"cuda_sources=": "cuda_source="}, because="TypeError"),
        Wrong(
            "keeps the function, not the module",
            replace={'    functions=["twice"],\n)': '    functions=["twice"],\n).twice'},
            because="module is a function",
        ),
    ],
)  # fmt: skip
