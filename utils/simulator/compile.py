"""From a CUDA source to a shared library for the simulator."""

from __future__ import annotations

from pathlib import Path

from utils import facade
from utils.compiling import build as cached_build
from utils.compiling import compiler_version, fills_variables, find_cxx, folder_state, is_gcc, run_compiler
from utils.facade import Source
from utils.simulator import engine, rewriting
from utils.simulator.backedges import thin_out

_COMMON = [
    "-std=c++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-g1",
    "-ffp-contract=off",
    "-Werror=return-type",  # a launcher that forgets its return would crash
    "-Werror=vla",  # as in CUDA: the size of an array is a constant
]
# The thread sanitizer's instrumentation reports each access, the coverage instrumentation each basic block;
# both call the engine, not the sanitizers' own libraries. Blocks keep the order of the source, which tells
# where lanes meet again.
_CHECKED = [
    "-O1",
    "-DSIM_CHECKED",
    "-fsanitize=thread",
    "-fsanitize-coverage=trace-pc",
    "-fno-reorder-blocks",
    "-fno-tree-vectorize",
    "-fno-optimize-sibling-calls",
    "-fno-omit-frame-pointer",
]
_GCC = ["-fno-gnu-unique"]  # or a template compiled again would share the old one's shared memory
_CLANG = ["-Wno-unknown-attributes", "-Wno-ignored-optimization-argument"]
# Indices beyond an array's declared bounds, where no access is reported (engine/bounds.cpp).
_GCC_CHECKED = [
    "-fsanitize=bounds",
    # Leaving a row for the next is legal here: g++ must not conclude from a row's length where a loop ends.
    "-fno-aggressive-loop-optimizations",
    "-fno-reorder-blocks-and-partition",
    "-fno-thread-jumps",
    "-fno-crossjumping",
]
_CLANG_CHECKED = [
    "-fsanitize=array-bounds",
    "-mllvm",
    "-tsan-instrument-read-before-write=1",  # of `y[i] += v` it would report the write alone
]
_QUICK = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
# What the result depends on beside the source and the headers.
_REWRITING = b"".join(
    path.read_bytes()
    for path in [
        Path(__file__).with_name("backedges.py"),
        *sorted(Path(rewriting.__file__).parent.glob("*.py")),
    ]
)
# What would end the process ends the kernel instead.
_WRAPPED = ["exit", "_exit", "quick_exit", "abort", "__assert_fail"]


def build(
    source: Source,
    *,
    checked: bool = True,
    extra_cflags: list[str] | None = None,
    include_paths: list[str] | None = None,
    verbose: bool = False,
    directory: Path | None = None,
) -> Path:
    """Compile a source for the simulator, or find it in the cache.

    Args:
        checked: with the instrumentation for checks and counters; without it, for speed.
        extra_cflags: further flags for the compiler.
        include_paths: further directories to look for headers in.
        directory: where the library goes in place of the cache.

    Returns:
        The shared library's path.

    Raises:
        CompileError: with the learner's own line numbers.
        KernelError: of kind "unsupported" for what the simulator cannot run.
    """
    cxx = find_cxx()
    library = engine.library_path()
    own, own_checked = (_GCC, _GCC_CHECKED) if is_gcc(cxx) else (_CLANG, _CLANG_CHECKED)
    mode = [*_CHECKED, *own, *own_checked] if checked else [*_QUICK, *own]
    if checked and fills_variables(cxx):
        mode.append("-ftrivial-auto-var-init=pattern")  # garbage that shows, where a kernel forgets `= 0`
    flags = [*_COMMON, *mode, *(extra_cflags or []), *(f"-I{path}" for path in include_paths or [])]
    key = [
        "simulated",
        compiler_version(cxx),
        "\0".join(flags),
        str(library),
        str(engine.hot_object()) if checked else "",
        facade.headers(),
        engine.headers(),
        _REWRITING,
        source.text,
        folder_state(include_paths or []),
    ]

    def make(path: Path) -> None:
        text, assembly = path.with_suffix(".cpp"), path.with_suffix(".s")
        copies = path.parent / "headers"
        text.write_text(rewriting.rewrite_all(source.text, include_paths or [], copies))
        includes = [f"-I{facade.INCLUDE}", f"-I{engine.INCLUDE}"]
        log = run_compiler(
            [cxx, "-S", *flags, *includes, str(text), "-o", str(assembly)], source=source, what=source.name
        )
        if checked:
            assembly.write_text(thin_out(assembly.read_text()))
        # Linked apart, without the sanitizer's flag, which would bring the sanitizer's own library along.
        linking = [
            cxx,
            "-shared",
            str(assembly),
            "-o",
            str(path),
            *(f"-Wl,--wrap={name}" for name in _WRAPPED),
        ]
        if checked:
            linking.append(str(engine.hot_object()))
        linking += ["-Wl,-z,defs", str(library), f"-Wl,-rpath,{library.parent}"]
        log += run_compiler(linking, source=source, what=source.name)
        if verbose:
            print(log)

    return cached_build(key, ".so", make, directory)
