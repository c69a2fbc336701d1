"""How fast is a kernel? Measured on this machine's GPU beside cuDNN; without one, read from recorded runs."""

from __future__ import annotations

import contextlib
import datetime
import functools
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

import kernels
from kernels import WORKLOADS, Rounding, Rung, Workload
from utils import recordings
from utils.autotune import best_tile
from utils.check import TUNING, CheckError, exact_float32, magnitudes, poisoned, relative_bound
from utils.clock import CudaTimer
from utils.errors import KernelError
from utils.precision import PRECISIONS, find_precision
from utils.recordings import Timings, recorded

__all__ = ["bench", "compare_with_cudnn", "machine", "recorded", "show_timings"]

SETS = 3  # sets of inputs to rotate through, so that no call finds its own data in a cache
FEWEST, MOST = 5, 100  # samples


class Refused(RuntimeError):
    """A kernel's launcher does not take the workload; `kernel` is its name."""

    def __init__(self, kernel: str, workload: str, reason: RuntimeError) -> None:
        super().__init__(f"{kernel} refuses {workload}: {str(reason).splitlines()[0]}")
        self.kernel = kernel


@contextlib.contextmanager
def refusals_of(kernel: str, workload: Workload) -> Iterator[None]:
    """What a launcher throws becomes `Refused`; a KernelError and a lack of memory stay as they are."""
    try:
        yield
    except (KernelError, torch.cuda.OutOfMemoryError, Refused):
        raise
    except RuntimeError as error:
        raise Refused(kernel, workload.name, error) from error


@dataclass
class Contender:
    """One thing to time: a kernel or cuDNN in one layout. `call(i)` runs it on input set i."""

    name: str
    precision: str
    layout: str
    call: Callable[[int], torch.Tensor]
    rounding: Rounding = kernels.DIRECT
    tile: int | None = None
    samples: list[float] = field(default_factory=list)
    max_rel_err: float = float("nan")

    @property
    def ms(self) -> float:
        return statistics.median(self.samples)

    @property
    def ms_spread(self) -> float:
        return interquartile_range(self.samples)


def interquartile_range(samples: Sequence[float]) -> float:
    """The width of the middle half of the samples."""
    if len(samples) < 2:
        return 0.0
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return third - first


def bench(
    fns: Mapping[str, Callable],
    workload: Workload | str,
    precision: str = "fp32",
    *,
    budget: float = 2.0,
    with_tf32: bool = True,
    ceilings: Mapping[str, float] | None = None,
    timer: Any = None,
) -> list[dict]:
    """Time kernels on one workload beside cuDNN, in one interleaved run.

    Args:
        fns: kernels by name: launchers of `load_inline`, or Python functions with the keywords bias, stride,
            padding and dilation.
        workload: a `Workload` or its name.
        precision: what the kernels compute in: "fp32", "tf32" or, with bfloat16 tensors, "bf16"; cuDNN is
            held to the same.
        budget: seconds of measuring, shared by all; 5 to 100 samples each are taken in it.
        with_tf32: measure cuDNN with TF32 as well where precision is "fp32", in a row of its own.
        ceilings: of `measure_ceilings`, for the column that says how near the roof a kernel is.
        timer: in place of a `CudaTimer`, for tests.

    A kernel with a choice of tiles is timed with the one that `utils.autotune` finds fastest for the layer.
    Returns one row (see `Timings`) for cuDNN per precision and one per kernel. Every kernel's output is
    checked against float64 before and after; raises CheckError where it is wrong, Refused where its launcher
    does not take the workload, MemoryError where the GPU is too small for it, RuntimeError without a GPU.
    """
    workload = find_workload(workload)
    dtype = find_precision(precision).dtype
    if timer is None:
        timer = gpu_timer("bench", "show_timings", fns)

    inputs = _inputs(workload, dtype, timer)
    layouts = in_layouts(inputs)
    contenders = [_kernel(name, fn, workload, precision, layouts, timer) for name, fn in fns.items()]
    for kind in [precision] + (["tf32"] if with_tf32 and precision == "fp32" else []):
        contenders += [_cudnn(workload, kind, layout, sets) for layout, sets in layouts.items()]
    judge = Judge(workload, *inputs[0])
    with torch.inference_mode():
        for contender in contenders:
            judge.check(contender, "before timing")
        measure(contenders, timer, len(inputs), budget)
        for contender in contenders:
            judge.check(contender, "after timing")
    return _rows(workload, contenders, ceilings)


def gpu_timer(caller: str, instead: str, fns: Mapping[str, Callable]) -> CudaTimer:
    """A timer for kernels built for this machine's GPU; without one, `instead` shows what was recorded."""
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"{caller} needs an NVIDIA GPU, and PyTorch sees none here. {instead}() shows what was"
            " recorded on one; profile() counts a kernel's memory accesses on any machine."
        )
    for name, fn in fns.items():
        if getattr(fn, "backend", "cuda") == "simulator":
            raise ValueError(
                f"{name} was built for the simulator, whose speed says nothing about a GPU's:"
                " build it with backend='cuda'"
            )
    return CudaTimer()


def bench_ladder(fns: Mapping[str, Callable], workload: Workload | str, *, budget: float = 2.0) -> list[dict]:
    """`bench` in every precision that any of the kernels computes in, each kernel in its own; fp32 always."""
    members = {
        precision: {name: fn for name, fn in fns.items() if precision in kernels.rung(name).precisions}
        for precision in PRECISIONS
    }
    rows = []
    for precision, its in members.items():
        if (its or precision == "fp32") and has_precision(precision):
            rows += bench(its, workload, precision, budget=budget, with_tf32=not members["tf32"])
    return rows


def least_bytes(workload: Workload, precision: str) -> int:
    """Memory traffic when every number is read or written once, in the precision's type."""
    return find_precision(precision).bytes * workload.elements


def floor_ms(workload: Workload, precision: str, ceilings: Mapping[str, float]) -> float:
    """Milliseconds of the definition's operations or of the least traffic, whichever is longer.

    `ceilings` are those of `measure_ceilings`. An algorithm with fewer multiplications, as Winograd's, can
    be below it.
    """
    arithmetic = workload.flops / ceilings[f"{precision}_tflops"] / 1e9
    return max(arithmetic, least_bytes(workload, precision) / ceilings["copy_gbps"] / 1e6)


def measure_ceilings(timer: Any = None, size: int = 8192) -> dict[str, float]:
    """What this GPU reaches at its best: a copy's GB/s, read and written, and products' TFLOP/s.

    The products are those of two matrices of `size` x `size` random numbers through cuBLAS, in every
    precision that the GPU has; the copy is of as many float32. Source: medians of 5 calls with cold caches.
    """
    timer = timer or CudaTimer()
    left, right = (torch.randn(size, size, device=timer.device) for _ in range(2))

    def median(call: Callable[[], Any]) -> float:
        call()
        return statistics.median(timer.sample(call) for _ in range(5))

    found = {"copy_gbps": 8 * size**2 / median(left.clone) / 1e6}
    for name, precision in PRECISIONS.items():
        if not has_precision(name):
            continue
        a, b = left.to(precision.dtype), right.to(precision.dtype)
        with exact_float32(tf32=name == "tf32"):
            found[f"{name}_tflops"] = 2 * size**3 / median(lambda a=a, b=b: a @ b) / 1e9
    return {name: significant(value) for name, value in found.items()}


def compute_capability() -> int:
    """Of this machine's GPU: 80 for 8.0."""
    major, minor = torch.cuda.get_device_capability()
    return 10 * major + minor


def lacking(rung: Rung) -> str:
    """What this machine's GPU lacks for a kernel; "" where it has all, or where there is none."""
    if not torch.cuda.is_available() or rung.runs_on(compute_capability()):
        return ""
    return f"it needs compute capability {rung.sm / 10}"


def has_precision(name: str) -> bool:
    """Whether this machine's GPU computes in it; without a GPU, on a stand-in for one, everything goes."""
    return not torch.cuda.is_available() or compute_capability() >= find_precision(name).sm


def find_workload(workload: Workload | str) -> Workload:
    """The workload of that name, or the one given; ValueError with the known ones for another name."""
    if isinstance(workload, Workload):
        return workload
    if workload not in WORKLOADS:
        raise ValueError(f"no workload is called {workload!r}; there are {', '.join(WORKLOADS)}")
    return WORKLOADS[workload]


def _inputs(workload: Workload, dtype: torch.dtype, timer: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """As many sets of (input, weight) as memory allows, up to SETS."""
    input_bytes = dtype.itemsize * workload.N * workload.C * workload.H * workload.W
    output_bytes = dtype.itemsize * workload.elements - input_bytes
    layouts = 1 if workload.operator == "conv1d" else 2
    free = 0.8 * timer.free_bytes()  # the rest is for cuDNN's workspace
    # Outputs: one just returned, one being checked, and the masks and absolute values of checking it.
    sets = min(SETS, int((free - 3 * output_bytes) // (layouts * input_bytes)))
    if sets < 1:
        needed = (layouts * input_bytes + 3 * output_bytes) / 0.8
        raise MemoryError(
            f"{workload.name} needs about {needed / 1e9:.1f} GB of GPU memory,"
            f" {free / 0.8 / 1e9:.1f} GB are free"
        )
    generator = torch.Generator(timer.device).manual_seed(20_261_120)

    def random(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=timer.device).to(dtype)

    return [(random(workload.input_shape), random(workload.weight_shape)) for _ in range(sets)]


def in_layouts(inputs: list[tuple[torch.Tensor, ...]]) -> dict[str, list[tuple[torch.Tensor, ...]]]:
    """The sets as they are, and for images also with the channels of a pixel side by side."""
    if inputs[0][0].dim() == 3:
        return {"NCW": inputs}
    last = [tuple(t.to(memory_format=torch.channels_last) for t in pair) for pair in inputs]
    return {"NCHW": inputs, "channels_last": last}


def _kernel(
    name: str, fn: Callable, workload: Workload, precision: str, layouts: dict, timer: Any
) -> Contender:
    rung = kernels.rung(name)
    inputs = layouts.get(rung.layout) or next(iter(layouts.values()))
    tile = None
    if getattr(fn, "tiles", 0):
        with refusals_of(name, workload):
            tile = best_tile(fn, *inputs[0], **options_of(workload), precision=precision, timer=timer).tile
    return Contender(
        name, precision, rung.layout, _kernel_call(name, fn, workload, inputs, tile), rung.rounding, tile
    )


def options_of(workload: Workload) -> dict[str, int]:
    """Its stride, padding and dilation, by name."""
    return {"stride": workload.stride, "padding": workload.padding, "dilation": workload.dilation}


def _kernel_call(
    name: str, fn: Callable, workload: Workload, inputs: list, tile: int | None
) -> Callable[[int], torch.Tensor]:
    options = options_of(workload)
    groups = {} if workload.groups == 1 else {"groups": workload.groups}
    run = getattr(fn, "nowait", fn)  # the plain call of a launcher waits for the GPU
    signature = getattr(fn, "signature", None)
    if signature is None:
        return lambda i: run(*inputs[i], bias=None, **options, **groups)
    # A depthwise kernel is told them by the weight's shape.
    if groups and "groups" not in kernels.rung(name).supports:
        raise ValueError(f"{name} has no groups; {workload.name} has {workload.groups}")
    taken = [parameter.name for parameter in signature.parameters[2:]]
    for option, value in options.items():
        if option not in taken and value != (0 if option == "padding" else 1):
            raise ValueError(
                f"{name} has no {option}, and {workload.name} needs {option} {value}: {signature}"
            )
    arguments = [{"bias": None, **options, TUNING: tile}[option] for option in taken]
    return lambda i: run(*inputs[i], *arguments)


def _cudnn(workload: Workload, precision: str, layout: str, sets: list) -> Contender:
    function, options = _torch_call(workload)

    def call(i: int) -> torch.Tensor:
        with cudnn_at_its_best(tf32=precision == "tf32"):
            return function(*sets[i], **options)

    return Contender("cudnn", precision, layout, call)


def _torch_call(workload: Workload) -> tuple[Callable, dict[str, int]]:
    function = getattr(torch.nn.functional, workload.operator)
    names = ("stride", "padding", "dilation", "groups")
    return function, {name: getattr(workload, name) for name in names}


@contextlib.contextmanager
def cudnn_at_its_best(tf32: bool) -> Iterator[None]:
    """cuDNN tries every algorithm it has for a shape and keeps the fastest; TF32 on or off."""
    if not torch.cuda.is_available():
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = True, 0
    try:
        with exact_float32(tf32=tf32):
            yield
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before


class Judge:
    """The float64 result for the first and the last image of input set 0; all would take too long."""

    def __init__(self, workload: Workload, input: torch.Tensor, weight: torch.Tensor) -> None:
        function, options = _torch_call(workload)
        self.workload = workload
        self.images = sorted({0, workload.N - 1})
        x, w = input[self.images].double(), weight.double()
        with torch.inference_mode():
            self.exact = function(x, w, **options)
            self.x, self.w = x.abs_(), w.abs_()
            self.magnitude = functools.cache(self._magnitude)

    def _magnitude(self, rounding: Rounding) -> torch.Tensor:
        function, options = _torch_call(self.workload)
        with torch.inference_mode():
            return magnitudes(function, self.x, self.w, rounding=rounding, **options)

    def check(self, contender: Contender, when: str) -> None:
        """Hold a kernel to the error bound of utils/check.py, and note any contender's error."""
        is_kernel = contender.name != "cudnn"
        # Poison would make cuDNN choose deterministic algorithms, and the choice is remembered.
        with (
            poisoned() if is_kernel else contextlib.nullcontext(),
            refusals_of(contender.name, self.workload),
        ):
            output = contender.call(0)
        if tuple(output.shape) != self.workload.output_shape:
            raise CheckError(
                f"{contender.name} is wrong on {self.workload.name}, {when}: the output's shape is"
                f" {tuple(output.shape)}, not {self.workload.output_shape}"
            )
        error = (output[self.images].double() - self.exact).abs()
        relative = float(error.max() / self.exact.abs().max())
        if is_kernel:
            precision = find_precision(contender.precision)
            rounding, w = contender.rounding, self.workload
            terms = rounding.terms(w.C // w.groups, w.R * w.S)
            bound = relative_bound(terms, precision, rounding.growth)
            # Image by image: masks of the largest outputs would not fit beside them.
            finite = all(bool(image.isfinite().all()) for image in output)
            if not finite or not bool((error <= bound * self.magnitude(rounding)).all()):
                raise CheckError(
                    f"{contender.name} is wrong on {self.workload.name}, {when}: "
                    + (f"relative error {relative:.1e}" if finite else "some elements are NaN or infinite")
                )
        contender.max_rel_err = relative


def measure(contenders: list[Contender], timer: Any, sets: int, budget: float) -> None:
    """Rounds in which everybody is timed once, each time with another one first and another input set."""
    # Two rounds of warm-up; the second says how long a round takes. Flushing takes 0.7 ms a sample.
    for _ in range(2):
        round_ms = sum(timer.sample(lambda c=contender: c.call(0)) + 0.7 for contender in contenders)
    rounds = min(max(int(1000 * budget / round_ms), FEWEST), MOST)
    for i in range(rounds):
        shift = i % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            contender.samples.append(timer.sample(lambda c=contender, i=i: c.call(i % sets)))


def _rows(
    workload: Workload, contenders: list[Contender], ceilings: Mapping[str, float] | None
) -> list[dict]:
    best, channels_first = {}, {}
    for contender in contenders:
        if contender.name == "cudnn":
            if contender.layout != "channels_last":
                channels_first[contender.precision] = contender
            known = best.get(contender.precision)
            if known is None or contender.ms < known.ms:
                best[contender.precision] = contender
    shown = [*best.values(), *(contender for contender in contenders if contender.name != "cudnn")]
    rows = []
    for contender in shown:
        cudnn = best[contender.precision]
        values = (
            workload.name,
            contender.precision,
            contender.name,
            significant(contender.ms),
            significant(contender.ms_spread),
            significant(cudnn.ms),
            cudnn.layout,
            significant(channels_first[contender.precision].ms),
            significant(cudnn.ms / contender.ms),
            significant(workload.flops / contender.ms / 1e9),
            significant(least_bytes(workload, contender.precision) / contender.ms / 1e6),
            significant(contender.max_rel_err, 2),
            contender.tile,
            significant(floor_ms(workload, contender.precision, ceilings) / contender.ms)
            if ceilings
            else None,
        )
        rows.append(dict(zip(recordings.ROW_KEYS, values, strict=True)))
    return rows


def significant(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def machine() -> dict[str, str]:
    """The GPU of this machine, the versions that matter, and today's date."""
    cudnn = torch.backends.cudnn.version() or 0
    return {
        "gpu": torch.cuda.get_device_name(),
        "driver": _driver_version(),
        "cuda": torch.version.cuda or "unknown",
        "torch": torch.__version__,
        "cudnn": f"{cudnn // 10000}.{cudnn // 100 % 100}.{cudnn % 100}",
        "date": datetime.date.today().isoformat(),
    }


def _driver_version() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.splitlines()[0].strip() if answer.strip() else "unknown"


def can_measure() -> bool:
    """Whether kernels compiled here run on a GPU of this machine."""
    from utils.inline import resolve_backend  # here: recorded timings need no compiler

    return torch.cuda.is_available() and resolve_backend("auto") != "simulator"


def compare_with_cudnn(
    workload: Workload | str, kernels: Iterable[str] | Mapping[str, Callable] = (), *, budget: float = 2.0
) -> Timings:
    """Kernels beside cuDNN on one workload: measured now on a GPU, the recorded run anywhere else.

    `kernels` are names of files in kernels/, or launchers by name. The result shows itself as a table and
    says where it comes from; a launcher of your own is in it only where there is a GPU.
    """
    workload = find_workload(workload)
    if can_measure():
        fns = dict(kernels) if isinstance(kernels, Mapping) else _load(kernels)
        try:
            return Timings(machine(), bench_ladder(fns, workload, budget=budget), live=True)
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            print(f"Not measured here: {str(error).splitlines()[0]}")
    return show_timings(workload.name, list(kernels))


def _load(names: Iterable[str]) -> dict[str, Callable]:
    """Launchers by name, of those kernels that this machine's GPU has the instructions for."""
    launchers = {}
    for name in names:
        if reason := lacking(kernels.rung(name)):
            print(f"{name} is not measured here: {reason}")
        else:
            launchers[name] = kernels.load(name)
    return launchers


def show_timings(
    workload: str | None = None, kernels: Iterable[str] | None = None, gpu: str | None = None
) -> Timings:
    """The recorded run of the first GPU whose name contains `gpu`, or its rows for a workload and kernels."""
    runs = recorded(gpu)
    run = runs[0] if runs else Timings({})
    return run.select(None if workload is None else [find_workload(workload).name], kernels)
