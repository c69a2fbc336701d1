"""Write the timing loop; a stand-in GPU shows each forgotten step as a wrong number."""

import math
from statistics import median

from utils.exercise.spec import Exercise, Wrong
from utils.stand_in import StandInGpu

CLOSE = 0.03  # how far off, relative to the stand-in's own time
FEWEST = 10  # samples


def timed(cell, gpu, true_ms):
    """What the learner's measure says, or an AssertionError that names the forgotten step."""
    measure = cell.get("measure")
    assert callable(measure), "there is no function measure"
    try:
        answer = measure(gpu.call, gpu)
    except RuntimeError as error:
        if "Both events" in str(error):
            raise AssertionError(
                f"elapsed says: {error} You asked before the GPU was there: gpu.synchronize() waits for it"
            ) from error
        raise
    assert isinstance(answer, (int, float)) and math.isfinite(answer), (
        f"measure returned {answer!r}: return a number of milliseconds"
    )
    assert gpu.samples or not gpu.events, (
        "the events were recorded, but gpu.elapsed(start, end) was never asked. That is how events are read:"
        " PyTorch's have no time that you could subtract"
    )
    if abs(answer - true_ms) <= CLOSE * true_ms:
        return answer
    for factor in (1000.0, 0.001):
        assert abs(answer - factor * true_ms) > CLOSE * factor * true_ms, (
            f"measure says {answer:.6g}: in milliseconds, please, which is what elapsed gives"
        )
    raise AssertionError(
        f"measure says {answer:.4f} ms, the stand-in's kernel takes {true_ms:.4f} ms. {reason(gpu, answer)}"
    )


def reason(gpu, answer):
    """The first step that is missing, read off the stand-in's log."""
    if not gpu.samples:
        return (
            "No elapsed(start, end) was asked for: the CPU's own clock sees when the call was queued, and"
            " how long you waited, not how long the kernel ran. Record events."
        )
    for start, end, ms in gpu.samples:
        inside = gpu.work[start.position : end.position]
        kernels = [span for span in inside if span.what == "kernel"]
        if not kernels:
            return f"There is no call between the two events of a sample of {ms:.4f} ms."
        if len(kernels) < len(inside):
            return "A flush lies between your events, and its time is counted: flush before the first event."
        if len(kernels) > 1:
            return (
                f"{len(kernels)} calls lie between your events: from the second on, their data are in the L2"
                " cache. One call a sample."
            )
    start, end, _ = gpu.samples[-1]
    before = gpu.work[start.position - 1] if start.position else None
    kernel = gpu.work[start.position]
    if before is None or before.what != "flush":
        return (
            "There is no flush right before the first event: the call before has left its data in the L2"
            " cache, and the GPU stands idle while the CPU queues this one. Flush before every sample."
        )
    if kernel.start - start.time > 0.01:
        return (
            "The GPU was idle when it came to your first event, so it waited there for the CPU to queue the"
            " call, and that is counted. Do not wait between the flush and the first event."
        )
    if end.time - kernel.end > 0.001:
        return (
            "You wait for the GPU between the call and the second event. So the GPU stands idle until the CPU"
            " has recorded that event, and this is counted. Record it right after the call, then synchronize."
        )
    return statistics_reason(gpu, answer)


def statistics_reason(gpu, answer):
    times = [ms for _, _, ms in gpu.samples]
    first = next(index for index, span in enumerate(gpu.work) if span.what == "kernel")
    if any(start.position <= first < end.position for start, end, _ in gpu.samples) and len(times) < FEWEST:
        return "The first call is among the samples; it loads the kernel. Call once before you measure."
    if len(times) < FEWEST:
        return f"{too_few(gpu)}: other work got in the way of some."
    if abs(answer - min(times)) < 1e-9:
        return "That is the fastest sample, and luck: the clock was high for a moment. Take the median."
    if abs(answer - max(times)) < 1e-9:
        return "That is the slowest sample. Take the median."
    if abs(answer - sum(times) / len(times)) < 1e-6 * answer + 1e-12:
        return "That is the mean, which a few disturbed samples pull up. Take the median."
    return f"Take the median of {FEWEST} samples or more."


def too_few(gpu):
    count = len(gpu.samples)
    return f"{count} {'sample is' if count == 1 else 'samples are'} too few: take {FEWEST} or more"


def waits_for_the_gpu(cell):
    timed(cell, StandInGpu(0.2), 0.2)


def long_and_short(cell):
    """The same for kernels of other lengths, so that no constant can be taken off."""
    for ms in (0.02, 0.07, 1.5):
        timed(cell, StandInGpu(ms), ms)


def cold_cache(cell):
    timed(cell, StandInGpu(0.2, warm=0.6), 0.2)


def warmed_up(cell):
    """The first call may be among the samples if the median leaves it out."""
    timed(cell, StandInGpu(0.2, warm=0.6, first_ms=40.0), 0.2)
    for seed in range(4):
        gpu = StandInGpu(0.2, warm=0.6, first_ms=40.0, noise=0.01, seed=seed)  # no two samples are equal
        answer = timed(cell, gpu, 0.2)
        times = [ms for _, _, ms in gpu.samples]
        if max(times) < 20.0 or answer != median(times):
            return
    raise AssertionError(
        f"one of your samples took {max(times):.1f} ms: it is the first call, which loads the kernel. Your"
        " median happens to hide it; with few samples it would not. Call once before you measure"
    )


def steady(cell):
    answers = []
    for seed in range(12):
        gpu = StandInGpu(0.2, warm=0.6, first_ms=40.0, noise=0.15, seed=seed)
        answers.append(timed(cell, gpu, 0.2))
        assert len(gpu.samples) >= FEWEST, too_few(gpu)
    assert len(set(answers)) > 1, "measure gives the same number, whatever the samples were"


exercise = Exercise(
    title="Time a kernel",
    goal="measure(call, gpu) returns the median milliseconds of call() on the GPU, with cold caches",
    kind="python",
    run_starter=True,
    hints=[
        "start = gpu.record() before the call, end = gpu.record() after it, gpu.elapsed(start, end) last.",
        "The GPU is behind: ask for the elapsed time only after gpu.synchronize().",
        "gpu.flush_l2() before the first event: it empties the cache of your data and keeps the GPU busy"
        " while the CPU queues the rest.",
        "One call before everything, unmeasured. Then some 30 rounds of flush, record, call, record,"
        " synchronize, elapsed; collect the times in a list.",
        "statistics.median, imported above, takes the list.",
    ],
    checks=[
        ("measures the kernel, not the queue", waits_for_the_gpu),
        ("short and long kernels", long_and_short),
        ("with its data not in the L2 cache", cold_cache),
        ("without the first call", warmed_up),
        ("the same when other work gets in the way", steady),
    ],
    starter_fails="measures the kernel, not the queue: measure says 0.0500 ms",
    wrong=[
        Wrong(
            "never waits",
            replace={"        gpu.synchronize()\n": ""},
            because="gpu.synchronize() waits for it",
        ),
        Wrong(
            "the CPU's clock",
            replace={
                "start = gpu.record()": "start = gpu.clock()",
                "end = gpu.record()": "end = gpu.clock()",
                "gpu.elapsed(start, end)": "end - start",
            },
            because="No elapsed(start, end) was asked for",
        ),
        Wrong(
            "the CPU's clock, waiting",
            replace={
                "start = gpu.record()": "gpu.synchronize(); start = gpu.clock()",
                "end = gpu.record()\n        gpu.synchronize()": "gpu.synchronize(); end = gpu.clock()",
                "gpu.elapsed(start, end)": "end - start",
            },
            because="No elapsed(start, end) was asked for",
        ),
        Wrong(
            "no flush",
            replace={"        gpu.flush_l2()\n": ""},
            because="measure says 0.2500 ms, the stand-in's kernel takes 0.2000 ms. There is no flush",
        ),
        Wrong(
            "flushes inside the sample",
            replace={
                "        gpu.flush_l2()\n        start = gpu.record()\n":
                "        start = gpu.record()\n        gpu.flush_l2()\n",
            },
            because="A flush lies between your events",
        ),
        Wrong(
            "waits after the flush",
            replace={"gpu.flush_l2()\n": "gpu.flush_l2()\n        gpu.synchronize()\n"},
            because="The GPU was idle when it came to your first event",
        ),
        Wrong(
            "flushes once",
            replace={
                "        gpu.flush_l2()\n": "",
                "    samples = []\n": "    samples = []\n    gpu.flush_l2()\n",
            },
            because="There is no flush right before",
        ),
        Wrong(
            "ten calls in a sample",
            replace={
                "        call()\n        end": "        for _ in range(10):\n            call()\n        end",
                "gpu.elapsed(start, end)": "gpu.elapsed(start, end) / 10",
            },
            because="their data are in the L2",
        ),
        Wrong(
            "no warm-up",
            replace={"    call()\n    samples": "    samples"},
            because="without the first call: one of your samples took 40.0 ms",
        ),
        Wrong(
            "mean for median",
            replace={"return median(samples)": "return sum(samples) / len(samples)"},
            because="a few disturbed samples pull up",
        ),
        Wrong(
            "the best sample",
            replace={"return median(samples)": "return min(samples)"},
            because="the fastest sample, and luck",
        ),
        Wrong("one sample", replace={"range(30)": "range(1)"}, because="1 sample is too few: take 10"),
        Wrong("nine samples", replace={"range(30)": "range(9)"}, because="9 samples are too few: take 10"),
        Wrong(
            "waits before the second event",
            replace={
                "        end = gpu.record()\n        gpu.synchronize()\n":
                "        gpu.synchronize()\n        end = gpu.record()\n        gpu.synchronize()\n",
            },
            because="You wait for the GPU between the call and the second event",
        ),
        Wrong(
            "subtracts events",
            replace={"gpu.elapsed(start, end)": "end.time - start.time"},
            because="gpu.elapsed(start, end) was never asked",
        ),
    ],
)  # fmt: skip
