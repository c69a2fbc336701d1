"""How fast is a kernel? Measured on this machine's GPU beside cuDNN; without one, read from recorded runs."""

from __future__ import annotations

import contextlib
import datetime
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

import kernels
from kernels import WORKLOADS, Workload
from utils import recordings
from utils.check import UNIT_ROUNDOFF, CheckError, exact_float32, poisoned
from utils.recordings import Timings, recorded

__all__ = ["bench", "compare_with_cudnn", "machine", "recorded", "show_timings"]

# What rounding both inputs adds to the relative error of a product.
INPUT_ROUNDING = {"fp32": 0.0, "tf32": 2 * 2.0**-11}
SETS = 3  # sets of inputs to rotate through, so that no call finds its own data in a cache
FEWEST, MOST = 5, 100  # samples


class CudaTimer:
    """Times one call with CUDA events, with cold caches.

    Before each sample the L2 cache is overwritten. Then the GPU is kept busy for half a millisecond while
    the CPU queues the call between two events: what is measured is the GPU's time, not Python's.
    """

    device = "cuda"

    def __init__(self) -> None:
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        size = max(4 * getattr(properties, "L2_cache_size", 0), 64 << 20)
        self._flush = torch.empty(size, dtype=torch.int8, device="cuda")
        self._start, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def sample(self, call: Callable[[], Any]) -> float:
        """Milliseconds of one call on the GPU."""
        self._flush.zero_()
        if hasattr(torch.cuda, "_sleep"):
            torch.cuda._sleep(1_000_000)  # clock cycles
        self._start.record()
        call()
        self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end)

    def free_bytes(self) -> int:
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info()[0]


@dataclass
class Contender:
    """One thing to time: a kernel or cuDNN in one layout. `call(i)` runs it on input set i."""

    name: str
    precision: str
    layout: str
    call: Callable[[int], torch.Tensor]
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
    timer: Any = None,
) -> list[dict]:
    """Time kernels on one workload beside cuDNN, in one interleaved run.

    Args:
        fns: kernels by name: launchers of `load_inline`, or Python functions with the keywords bias, stride,
            padding and dilation.
        workload: a `Workload` or its name.
        precision: what the kernels compute in, "fp32" or "tf32"; cuDNN is held to the same.
        budget: seconds of measuring, shared by all; 5 to 100 samples each are taken in it.
        with_tf32: measure cuDNN with TF32 as well where precision is "fp32", in a row of its own.
        timer: in place of a `CudaTimer`, for tests.

    Returns one row (see `Timings`) for cuDNN per precision and one per kernel. Every kernel's output is
    checked against float64 before and after; raises CheckError where it is wrong, MemoryError where the GPU
    is too small for the workload, RuntimeError without a GPU.
    """
    workload = _workload(workload)
    if precision not in INPUT_ROUNDING:
        raise ValueError(f"precision must be one of {', '.join(INPUT_ROUNDING)}, not {precision!r}")
    if timer is None:
        if not torch.cuda.is_available():
            raise RuntimeError(
                "bench needs an NVIDIA GPU, and PyTorch sees none here. show_timings() shows what was"
                " recorded on one; profile() counts a kernel's memory accesses on any machine."
            )
        for name, fn in fns.items():
            if getattr(fn, "backend", "cuda") == "simulator":
                raise ValueError(
                    f"{name} was built for the simulator, whose speed says nothing about a GPU's:"
                    " build it with backend='cuda'"
                )
        timer = CudaTimer()

    inputs = _inputs(workload, timer)
    layouts = _in_layouts(inputs)
    contenders = [
        Contender(name, precision, kernels.rung(name).layout, _kernel_call(name, fn, workload, layouts))
        for name, fn in fns.items()
    ]
    for kind in [precision] + (["tf32"] if with_tf32 and precision == "fp32" else []):
        contenders += [_cudnn(workload, kind, layout, sets) for layout, sets in layouts.items()]
    judge = _Judge(workload, *inputs[0])
    with torch.inference_mode():
        for contender in contenders:
            judge.check(contender, "before timing")
        _measure(contenders, timer, len(inputs), budget)
        for contender in contenders:
            judge.check(contender, "after timing")
    return _rows(workload, contenders)


def _workload(workload: Workload | str) -> Workload:
    if isinstance(workload, Workload):
        return workload
    if workload not in WORKLOADS:
        raise ValueError(f"no workload is called {workload!r}; there are {', '.join(WORKLOADS)}")
    return WORKLOADS[workload]


def _inputs(workload: Workload, timer: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """As many sets of (input, weight) as memory allows, up to SETS."""
    input_bytes = 4 * workload.N * workload.C * workload.H * workload.W
    output_bytes = workload.min_bytes - input_bytes
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
        return torch.randn(shape, generator=generator, device=timer.device)

    return [(random(workload.input_shape), random(workload.weight_shape)) for _ in range(sets)]


def _in_layouts(inputs: list[tuple[torch.Tensor, ...]]) -> dict[str, list[tuple[torch.Tensor, ...]]]:
    """The sets as they are, and for images also with the channels of a pixel side by side."""
    if inputs[0][0].dim() == 3:
        return {"NCW": inputs}
    last = [tuple(t.to(memory_format=torch.channels_last) for t in pair) for pair in inputs]
    return {"NCHW": inputs, "channels_last": last}


def _kernel_call(name: str, fn: Callable, workload: Workload, layouts: dict) -> Callable[[int], torch.Tensor]:
    rung = kernels.rung(name)
    inputs = layouts.get(rung.layout) or next(iter(layouts.values()))
    options = {"stride": workload.stride, "padding": workload.padding, "dilation": workload.dilation}
    groups = {} if workload.groups == 1 else {"groups": workload.groups}
    run = getattr(fn, "nowait", fn)  # the plain call of a launcher waits for the GPU
    signature = getattr(fn, "signature", None)
    if signature is None:
        return lambda i: run(*inputs[i], bias=None, **options, **groups)
    if groups and "groups" not in rung.supports:  # a depthwise kernel is told them by the weight's shape
        raise ValueError(f"{name} has no groups; {workload.name} has {workload.groups}")
    taken = [parameter.name for parameter in signature.parameters[2:]]
    for option, value in options.items():
        if option not in taken and value != (0 if option == "padding" else 1):
            raise ValueError(
                f"{name} has no {option}, and {workload.name} needs {option} {value}: {signature}"
            )
    arguments = [{"bias": None, **options}[option] for option in taken]
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


class _Judge:
    """The float64 result for the first and the last image of input set 0; all would take too long."""

    def __init__(self, workload: Workload, input: torch.Tensor, weight: torch.Tensor) -> None:
        function, options = _torch_call(workload)
        self.workload = workload
        self.images = sorted({0, workload.N - 1})
        x, w = input[self.images].double(), weight.double()
        with torch.inference_mode():
            self.exact = function(x, w, **options)
            self.magnitude = function(x.abs_(), w.abs_(), **options)

    def check(self, contender: Contender, when: str) -> None:
        """Hold a kernel to the error bound of utils/check.py, and note any contender's error."""
        is_kernel = contender.name != "cudnn"
        # Poison would make cuDNN choose deterministic algorithms, and the choice is remembered.
        with poisoned() if is_kernel else contextlib.nullcontext():
            output = contender.call(0)
        if tuple(output.shape) != self.workload.output_shape:
            raise CheckError(
                f"{contender.name} is wrong on {self.workload.name}, {when}: the output's shape is"
                f" {tuple(output.shape)}, not {self.workload.output_shape}"
            )
        error = (output[self.images].double() - self.exact).abs()
        relative = float(error.max() / self.exact.abs().max())
        if is_kernel:
            n = self.workload.terms
            gamma = n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF) + INPUT_ROUNDING[contender.precision]
            # Image by image: masks of the largest outputs would not fit beside them.
            finite = all(bool(image.isfinite().all()) for image in output)
            if not finite or not bool((error <= gamma * self.magnitude).all()):
                raise CheckError(
                    f"{contender.name} is wrong on {self.workload.name}, {when}: "
                    + (f"relative error {relative:.1e}" if finite else "some elements are NaN or infinite")
                )
        contender.max_rel_err = relative


def _measure(contenders: list[Contender], timer: Any, sets: int, budget: float) -> None:
    """Rounds in which everybody is timed once, each time with another one first and another input set."""
    # Two rounds of warm-up; the second says how long a round takes. Flushing takes 0.7 ms a sample.
    for _ in range(2):
        round_ms = sum(timer.sample(lambda c=contender: c.call(0)) + 0.7 for contender in contenders)
    rounds = min(max(int(1000 * budget / round_ms), FEWEST), MOST)
    for i in range(rounds):
        shift = i % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            contender.samples.append(timer.sample(lambda c=contender, i=i: c.call(i % sets)))


def _rows(workload: Workload, contenders: list[Contender]) -> list[dict]:
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
            _significant(contender.ms),
            _significant(contender.ms_spread),
            _significant(cudnn.ms),
            cudnn.layout,
            _significant(channels_first[contender.precision].ms),
            _significant(cudnn.ms / contender.ms),
            _significant(workload.flops / contender.ms / 1e9),
            _significant(workload.min_bytes / contender.ms / 1e6),
            _significant(contender.max_rel_err, 2),
        )
        rows.append(dict(zip(recordings.ROW_KEYS, values, strict=True)))
    return rows


def _significant(value: float, digits: int = 4) -> float:
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
    workload = _workload(workload)
    if can_measure():
        fns = dict(kernels) if isinstance(kernels, Mapping) else {name: _load(name) for name in kernels}
        try:
            return Timings(machine(), bench(fns, workload, budget=budget), live=True)
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            print(f"Not measured here: {str(error).splitlines()[0]}")
    return show_timings(workload.name, list(kernels))


def _load(name: str) -> Callable:
    return kernels.load(name)


def show_timings(
    workload: str | None = None, kernels: Iterable[str] | None = None, gpu: str | None = None
) -> Timings:
    """The recorded run of the first GPU whose name contains `gpu`, or its rows for a workload and kernels."""
    runs = recorded(gpu)
    run = runs[0] if runs else Timings({})
    return run.select(None if workload is None else [_workload(workload).name], kernels)
