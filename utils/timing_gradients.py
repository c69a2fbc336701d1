"""How fast are a layer's gradients? Kernels beside PyTorch's own, in one interleaved run.

Four passes: the gradient of the input (dgrad), of the weight (wgrad), of the bias (bgrad), and "training":
the forward convolution and all three gradients, by the fastest kernels of the course against PyTorch's.

What comes out is compared with float64. The bounds of utils/check_gradients.py are those of the worst case;
over a million products they allow anything. The numbers here are random with mean 0, and their sums wander
like a random walk, whose rounding errors grow with the square root of its length. So an error may be
8 u sqrt(terms) times the root mean square of the exact values: a sum without one image, or without one pixel
in a thousand, is far beyond it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

import kernels
from kernels import GRADIENTS, Rung, Workload
from utils.autotune import best_tile
from utils.check import TUNING, CheckError, poisoned
from utils.precision import PRECISIONS
from utils.recordings import GRADIENT_KEYS, Timings, recorded
from utils.timing import (
    Contender,
    Judge,
    Refused,
    can_measure,
    cudnn_at_its_best,
    find_workload,
    gpu_timer,
    in_layouts,
    lacking,
    machine,
    measure,
    options_of,
    refusals_of,
    significant,
)

__all__ = ["PASSES", "bench_gradients", "forward_kernel", "rungs_for", "show_gradient_timings"]

PASSES = ("dgrad", "wgrad", "bgrad", "training")
LAYERS = ("alexnet_conv1", "resnet_conv1", "resnet_3x3_56", "resnet_3x3_28", "conv1d_dilated")
SETS = 3  # of tensors to rotate through
LONGEST = 2000.0  # milliseconds; a kernel that needs more for one call is left out
SLOW = 50.0  # milliseconds; a kernel that needs more, and a tenth of the budget, is timed twice
CHUNK = 4  # images at a time in float64

# The launchers' parameters, for functions without a signature.
PARAMETERS = {
    "conv2d": "input weight bias stride padding dilation",
    "conv1d": "input weight bias stride padding dilation",
    "conv2d_dgrad": "grad_output weight height width stride padding dilation",
    "conv2d_wgrad": "grad_output input R S stride padding dilation",
    "conv1d_dgrad": "grad_output weight length stride padding dilation",
    "conv1d_wgrad": "grad_output input S stride padding dilation",
    "bgrad": "grad_output",
}


@dataclass
class _Runner(Contender):
    """A contender whose calls return what each of its passes computes, by pass; forward's output too."""

    kernel: str = ""
    first_ms: float = 0.0
    deterministic: bool = True
    call: Callable[[int], dict[str, torch.Tensor]] = field(default=lambda i: {})


def rungs_for(workload: Workload) -> list[Rung]:
    """The rungs of gradients that handle a workload, on this machine's GPU."""
    rungs = itertools.chain.from_iterable(GRADIENTS.values())
    return [rung for rung in rungs if rung.handles(workload) and not lacking(rung)]


def forward_kernel(workload: Workload, device: str = "cuda") -> str:
    """The kernel of the course for a workload's forward pass in float32."""
    # Tensors of the right sizes that take no memory.
    input, weight = (
        torch.empty(1, device=device).expand(shape) for shape in (workload.input_shape, workload.weight_shape)
    )
    if workload.operator == "conv1d":
        return kernels.choose_conv1d(input, weight, **options_of(workload)).kernel
    return kernels.choose(input, weight, **options_of(workload), groups=workload.groups).kernel


def bench_gradients(
    workload: Workload | str,
    fns: Mapping[str, Callable],
    forward: tuple[str, Callable] | None = None,
    *,
    passes: Iterable[str] = PASSES,
    budget: float = 0.6,
    timer: Any = None,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Time gradients of one workload in float32, TF32 off, beside PyTorch's, pass after pass.

    Args:
        workload: a `Workload` without groups, or its name.
        fns: kernels by name, each a rung of `kernels.GRADIENTS` or named like one: "conv2d_dgrad_mine".
        forward: the name and the launcher of the convolution in the pass "training"; without it that pass is
            left out.
        passes: some of `PASSES`. "training" takes the fastest deterministic kernel of each gradient, so it
            needs the other passes.
        budget: seconds of measuring a pass, shared by all; 5 to 100 samples each are taken in it. A kernel
            that needs a tenth of it for a call is timed twice.
        timer: in place of a `CudaTimer`, for tests.
        say: is told what was left out and why.

    Returns rows with the keys `recordings.GRADIENT_KEYS`, one for PyTorch ("cudnn", in its faster layout) and
    one for each kernel of a pass. Every kernel is checked against float64 before and after its timing. Raises
    CheckError where it is wrong, or not deterministic where its rung says that it is, Refused where its
    launcher does not take the workload, MemoryError where the GPU is too small for the tensors. A pass that
    runs out of memory is left out.
    """
    workload = find_workload(workload)
    if workload.groups != 1:
        raise ValueError(f"{workload.name} has {workload.groups} groups; gradients are those of one")
    if timer is None:
        timer = gpu_timer("bench_gradients", "show_gradient_timings", fns)
    layouts = _tensors(workload, timer)
    exact = _Exact(workload, *next(iter(layouts.values()))[0])
    rows: list[dict] = []
    fastest: dict[str, str] = {}
    for which in [which for which in PASSES if which in set(passes)]:
        if which == "training":
            lacks = [gradient for gradient in PASSES[:3] if gradient not in fastest]
            if forward is None or lacks:
                say(f"  skipped: training, without a kernel for {', '.join(lacks) or 'the forward pass'}")
                continue
            gradients = {gradient: (name, fns[name]) for gradient, name in fastest.items()}
            try:
                ours = [_training(workload, forward, gradients, layouts, timer)]
            except Refused as refusal:
                say(f"  skipped: training: {refusal}")
                continue
        else:
            ours = [
                _gradient(workload, which, name, fn, layouts)
                for name, fn in fns.items()
                if kernels.operator(name).split("_")[-1] == which
            ]
        try:
            with torch.inference_mode():
                timed = _time(workload, which, ours, layouts, exact, timer, budget, say)
        except torch.cuda.OutOfMemoryError as error:
            say(f"  skipped: {which}: {str(error).splitlines()[0]}")
            continue
        rows += _rows(workload, which, timed)
        same_bits = [runner for runner in timed if runner.kernel != "cudnn" and runner.deterministic]
        if same_bits:
            fastest[which] = min(same_bits, key=lambda runner: runner.ms).kernel
    return rows


def torch_gradient(operator: str) -> Callable[..., torch.Tensor]:
    """PyTorch's gradient with the parameters of a launcher of this name, in this order."""
    which = operator.split("_")[-1]

    def fn(grad_output, other=None, *given: int) -> torch.Tensor:
        dims = grad_output.dim() - 2
        sizes, options = given[:dims], given[dims:]
        if which == "dgrad":
            shape = (grad_output.shape[0], other.shape[1], *sizes)
            return getattr(torch.nn.grad, f"conv{dims}d_input")(shape, other, grad_output, *options)
        if which == "wgrad":
            shape = (grad_output.shape[1], other.shape[1], *sizes)
            return getattr(torch.nn.grad, f"conv{dims}d_weight")(other, shape, grad_output, *options)
        return grad_output.sum([0, *range(2, grad_output.dim())])

    return fn


def _tensors(workload: Workload, timer: Any) -> dict[str, list[tuple[torch.Tensor, ...]]]:
    """By layout, as many sets of (input, weight, grad_output, bias) as memory allows, up to SETS."""
    numbers = 4 * (workload.elements - workload.K * workload.terms)  # bytes of input and output
    layouts = 1 if workload.operator == "conv1d" else 2
    free = 0.8 * timer.free_bytes()  # the rest is for cuDNN's workspace
    # Of the training pass: two results to compare, and what is taken of them for that.
    sets = min(SETS, int((free - 3 * numbers) // (layouts * numbers)))
    if sets < 1:
        needed = (layouts + 3) * numbers / 0.8
        raise MemoryError(
            f"{workload.name} needs about {needed / 1e9:.1f} GB of GPU memory for its gradients,"
            f" {free / 0.8 / 1e9:.1f} GB are free"
        )
    generator = torch.Generator(timer.device).manual_seed(20_261_121)
    shapes = workload.input_shape, workload.weight_shape, workload.output_shape
    given = [
        tuple(
            torch.randn(shape, generator=generator, device=timer.device) for shape in (*shapes, (workload.K,))
        )
        for _ in range(sets)
    ]
    return {
        layout: [(*three, bias) for three, (*_, bias) in zip(threes, given, strict=True)]
        for layout, threes in in_layouts([three for *three, _ in given]).items()
    }


def _call(
    name: str, fn: Callable, workload: Workload, tile: int | None = None
) -> Callable[..., torch.Tensor]:
    """What calls a launcher with the tensors that its parameters name."""
    run = getattr(fn, "nowait", fn)  # the plain call of a launcher waits for the GPU
    signature = getattr(fn, "signature", None)
    if signature is None:
        taken = PARAMETERS[kernels.operator(name)].split()
    else:
        taken = [parameter.name for parameter in signature.parameters]
        if tile is None and TUNING in taken:
            taken.remove(TUNING)  # it is the last one, and the launcher chooses
    sizes = {
        "height": workload.H,
        "width": workload.W,
        "length": workload.W,
        "R": workload.R,
        "S": workload.S,
    }
    known = {**sizes, **options_of(workload), TUNING: tile}

    def call(input, weight, grad_output, bias) -> torch.Tensor:
        tensors = {"input": input, "weight": weight, "grad_output": grad_output, "bias": bias}
        return run(*[tensors[name] if name in tensors else known[name] for name in taken])

    return call


def _gradient(workload: Workload, which: str, name: str, fn: Callable, layouts: dict) -> _Runner:
    sets, call = next(iter(layouts.values())), _call(name, fn, workload)
    return _Runner(name, "fp32", "NCHW", lambda i: {which: call(*sets[i])}, kernel=name)


def _training(
    workload: Workload,
    forward: tuple[str, Callable],
    gradients: Mapping[str, tuple[str, Callable]],
    layouts: dict,
    timer: Any,
) -> _Runner:
    """The forward kernel, with its best tile, and one kernel for each gradient."""
    name, fn = forward
    rung = kernels.rung(name)
    first_sets = next(iter(layouts.values()))
    sets = layouts.get(rung.layout, first_sets)
    tile = None
    if getattr(fn, "tiles", 0):
        with refusals_of(name, workload):
            tile = best_tile(fn, *sets[0][:2], **options_of(workload), precision="fp32", timer=timer).tile
    convolve = _call(name, fn, workload, tile)
    with torch.inference_mode():
        plain = lambda i: convolve(*sets[i][:3], None)  # noqa: E731
        Judge(workload, *first_sets[0][:2]).check(
            Contender(name, "fp32", rung.layout, plain, rung.rounding), "before timing"
        )
    calls = {which: _call(*its, workload) for which, its in gradients.items()}

    def call(i: int) -> dict[str, torch.Tensor]:
        results = {"forward": convolve(*sets[i])}
        return results | {which: gradient(*first_sets[i]) for which, gradient in calls.items()}

    short = [its[0].removeprefix(f"{workload.operator}_") for its in gradients.values()]
    return _Runner(name, "fp32", rung.layout, call, kernel=" + ".join([name, *short]))


def _torch(workload: Workload, which: str, layout: str, sets: list) -> _Runner:
    dims = 1 if workload.operator == "conv1d" else 2
    options = options_of(workload)
    convolve = getattr(torch.nn.functional, workload.operator)
    wanted = PASSES[:3] if which == "training" else (which,)

    def call(i: int) -> dict[str, torch.Tensor]:
        input, weight, grad_output, bias = sets[i]
        with cudnn_at_its_best(tf32=False):
            results = {"forward": convolve(input, weight, bias, **options)} if which == "training" else {}
            found = _backward(
                grad_output, input, weight, wanted, **{k: [v] * dims for k, v in options.items()}
            )
            return results | {name: found[PASSES.index(name)] for name in wanted}

    return _Runner("cudnn", "fp32", layout, call, kernel="cudnn")


def _backward(grad_output, input, weight, wanted: Iterable[str], stride, padding, dilation) -> list:
    """PyTorch's gradients of input, weight and bias; None for those that are not wanted."""
    mask = [name in wanted for name in PASSES[:3]]
    return torch.ops.aten.convolution_backward(
        grad_output,
        input,
        weight,
        [weight.shape[0]],
        stride,
        padding,
        dilation,
        False,
        [0] * len(stride),
        1,
        mask,
    )


class _Exact:
    """Set 0's float64 results, each worked out once: of forward and dgrad the first and the last image."""

    def __init__(self, workload: Workload, input, weight, grad_output, bias) -> None:
        self.workload, self.tensors = workload, (input, weight, grad_output, bias)
        self.images = sorted({0, workload.N - 1})
        self._known: dict[str, torch.Tensor] = {}

    def of(self, which: str) -> torch.Tensor:
        if which not in self._known:
            self._known[which] = self._work_out(which)
        return self._known[which]

    def _work_out(self, which: str) -> torch.Tensor:
        input, weight, grad_output, bias = self.tensors
        w, some = weight.double(), self.images
        dims = input.dim() - 2
        options = options_of(self.workload)
        lists = {name: [value] * dims for name, value in options.items()}
        if which == "forward":
            convolve = getattr(torch.nn.functional, self.workload.operator)
            return convolve(input[some].double(), w, bias.double(), **options)
        if which == "dgrad":
            x, y = input[some].double(), grad_output[some].double()
            return _backward(y, x, w, [which], **lists)[0]
        total = torch.zeros((), dtype=torch.float64, device=input.device)
        for start in range(0, self.workload.N, CHUNK):
            chunk = slice(start, start + CHUNK)
            y = grad_output[chunk].double()
            if which == "bgrad":
                total = total + y.sum([0, *range(2, y.dim())])
            else:
                total = total + _backward(y, input[chunk].double(), w, [which], **lists)[1]
        return total

    def terms(self, which: str) -> int:
        """Products in a sum."""
        w = self.workload
        return {"forward": w.terms, "dgrad": w.K * w.R * w.S}.get(which, w.N * w.P * w.Q)

    def check(self, runner: _Runner, results: dict[str, torch.Tensor], when: str) -> None:
        """Note a contender's error, and hold a kernel to what this file allows."""
        errors = []
        for which, result in results.items():
            exact = self.of(which)
            shape = (self.workload.N, *exact.shape[1:]) if which in ("forward", "dgrad") else exact.shape
            place = f"{runner.kernel} is wrong on {self.workload.name}, {when}: {which}"
            if tuple(result.shape) != tuple(shape):
                raise CheckError(f"{place} has shape {tuple(result.shape)}, not {tuple(shape)}")
            part = result[self.images] if which in ("forward", "dgrad") else result
            worst = (part.double() - exact).abs().max()
            errors.append(float(worst / exact.abs().max()))
            if runner.kernel == "cudnn" or which == "forward":  # that has been checked by its own bound
                continue
            # Image by image: masks of the largest results would not fit beside them.
            if not all(bool(image.isfinite().all()) for image in result):
                raise CheckError(f"{place} has elements that are NaN or infinite")
            unit = PRECISIONS["fp32"].sums
            if not bool(worst <= 8 * unit * self.terms(which) ** 0.5 * exact.square().mean().sqrt()):
                raise CheckError(f"{place} has a relative error of {errors[-1]:.1e}")
        runner.max_rel_err = max(errors)


def _time(
    workload: Workload,
    which: str,
    ours: list[_Runner],
    layouts: dict,
    exact: _Exact,
    timer: Any,
    budget: float,
    say: Callable[[str], None],
) -> list[_Runner]:
    """Check and time all contenders of a pass. Those that take too long are left out, and that is said."""
    runners = [_torch(workload, which, layout, sets) for layout, sets in layouts.items()]
    for runner in ours:
        _first_calls(workload, runner, exact, timer)
        if runner.first_ms > LONGEST:
            say(f"  skipped: {runner.kernel}: one call takes {runner.first_ms / 1000:.1f} s")
        else:
            runners.append(runner)
    for runner in runners:
        if runner.kernel == "cudnn":
            _first_calls(workload, runner, exact, timer)
    slow = [runner for runner in runners if runner.first_ms > max(SLOW, 100 * budget)]
    quick = [runner for runner in runners if runner not in slow]
    measure(quick, timer, len(next(iter(layouts.values()))), budget)
    for runner in slow:
        runner.samples.append(timer.sample(lambda r=runner: r.call(0)))
    for runner in quick:
        exact.check(runner, runner.call(0), "after timing")
    return runners


def _first_calls(workload: Workload, runner: _Runner, exact: _Exact, timer: Any) -> None:
    """Call once in poisoned memory, to be checked, and again: does every bit come out the same?"""
    results: list[dict[str, torch.Tensor]] = []

    def keep() -> None:
        results.append(runner.call(0))

    if runner.kernel == "cudnn":  # poison would make cuDNN choose deterministic algorithms, for good
        keep()
    else:
        with poisoned(), refusals_of(runner.name, workload):
            runner.first_ms = timer.sample(keep)
    exact.check(runner, results[0], "before timing")
    if runner.first_ms > LONGEST:
        return
    again = timer.sample(keep)
    if runner.first_ms:  # the first call loads the kernel's code: its time is of no use
        runner.first_ms = again
        runner.samples.append(again)
    same = all(torch.equal(a, results[1][which]) for which, a in results[0].items())
    # Of one that promises nothing, two equal results are luck.
    runner.deterministic = same and kernels.rung(runner.kernel).deterministic
    promised = runner.kernel in {rung.name for rung in rungs_for(workload) if rung.deterministic}
    if promised and not runner.deterministic:
        raise CheckError(
            f"{runner.kernel} is not deterministic on {workload.name}: two calls gave different bits"
        )


def _flops(workload: Workload, which: str) -> int:
    """Multiplications and additions; the bias's gradient only adds."""
    additions = workload.N * workload.K * workload.P * workload.Q
    return {"bgrad": additions, "training": 3 * workload.flops + additions}.get(which, workload.flops)


def _rows(workload: Workload, which: str, runners: list[_Runner]) -> list[dict]:
    cudnn = min((runner for runner in runners if runner.kernel == "cudnn"), key=lambda runner: runner.ms)
    rows = []
    for runner in [cudnn, *(runner for runner in runners if runner.kernel != "cudnn")]:
        values = (
            workload.name,
            which,
            runner.kernel,
            significant(runner.ms),
            significant(runner.ms_spread),
            significant(cudnn.ms),
            cudnn.layout,
            significant(cudnn.ms / runner.ms),
            significant(_flops(workload, which) / runner.ms / 1e9),
            significant(runner.max_rel_err, 2),
            runner.deterministic,
        )
        rows.append(dict(zip(GRADIENT_KEYS, values, strict=True)))
    return rows


def show_gradient_timings(workload: Workload | str | None = None, gpu: str | None = None) -> Timings:
    """Gradients beside PyTorch's on one workload: measured now on a GPU, the recorded run anywhere else.

    Without a workload, or with the name of a GPU, what was recorded there. It shows itself as tables and says
    where it comes from.
    """
    if workload is not None:
        workload = find_workload(workload)
    if workload is not None and gpu is None and can_measure():
        forward = forward_kernel(workload)
        fns = {rung.name: kernels.load(rung.name) for rung in rungs_for(workload)}
        try:
            rows = bench_gradients(workload, fns, (forward, kernels.load(forward)))
            return Timings(machine(), live=True, gradients=rows)
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            print(f"Not measured here: {str(error).splitlines()[0]}")
    runs = recorded(gpu)
    run = next((run for run in runs if run.gradients), runs[0] if runs else Timings({}))
    return run.select_gradients(None if workload is None else [workload.name])
