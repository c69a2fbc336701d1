"""A stand-in for a GPU that can be timed on any machine: a clock, a queue and a cache, and no arithmetic.

What it models is the order of things. A call returns when the work is queued; the GPU does the queued work
later, one piece after the other; a kernel's first call takes longer, because its code has to be loaded; a
call that finds its data in the L2 cache is faster; and other work gets in the way now and then. Its durations
are invented round numbers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Event", "Span", "StandInGpu"]

# Milliseconds. A flush keeps the GPU busy for longer than the CPU needs to queue a call. A look at the CPU's
# clock takes no time.
QUEUE_CALL, QUEUE_FLUSH, QUEUE_EVENT = 0.05, 0.01, 0.005
FLUSH = 0.3


@dataclass(frozen=True)
class Span:
    """Who ("cpu" or "gpu") did what from start to end, in milliseconds of the stand-in's clock."""

    who: str
    what: str
    start: float
    end: float


@dataclass(frozen=True)
class Event:
    """A mark in the queue: the GPU notes the time when it gets there.

    Attributes:
        time: when the GPU got there.
        position: how many pieces of work were queued before it.
    """

    time: float
    position: int


class StandInGpu:
    """Five things that torch.cuda has too, on a clock of its own.

    | here | with PyTorch |
    |---|---|
    | `gpu.flush_l2()` | write to a tensor larger than the L2 cache |
    | `event = gpu.record()` | `event = torch.cuda.Event(enable_timing=True); event.record()` |
    | `gpu.synchronize()` | `torch.cuda.synchronize()` |
    | `gpu.elapsed(a, b)` | `a.elapsed_time(b)` |
    | `gpu.clock()` | `1000 * time.perf_counter()` |

    Args:
        kernel_ms: how long the kernel takes when nothing of its data is in the L2 cache.
        warm: its part of that when its data still are, from a call just before.
        first_ms: what the first call takes on top.
        noise: how often something is in the way (slower), and half as often, how often the clock is high.
        seed: of the noise.
    """

    def __init__(
        self,
        kernel_ms: float = 0.2,
        *,
        warm: float = 1.0,
        first_ms: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._kernel_ms, self._warm, self._first_ms, self._noise = kernel_ms, warm, first_ms, noise
        self._random = random.Random(seed)
        self._now = 0.0  # the CPU's clock
        self.trace: list[Span] = []  # what happened
        self.events: list[Event] = []
        self.samples: list[tuple[Event, Event, float]] = []  # every answer of elapsed

    @property
    def work(self) -> list[Span]:
        """What the GPU did, in the order of its queue."""
        return [span for span in self.trace if span.who == "gpu"]

    def call(self) -> None:
        """Queue the kernel, and return at once."""
        earlier = self.work
        if not any(span.what == "kernel" for span in earlier):
            duration = self._kernel_ms + self._first_ms
        elif earlier[-1].what == "kernel":
            duration = self._warm * self._kernel_ms
        else:
            duration = self._kernel_ms
        self._queue("kernel", QUEUE_CALL, duration * self._disturbance())

    def flush_l2(self) -> None:
        """Queue a piece of work that fills the L2 cache with other data, and return at once."""
        self._queue("flush", QUEUE_FLUSH, FLUSH)

    def record(self) -> Event:
        """Queue an event, and return at once."""
        self._cpu("record", QUEUE_EVENT)
        event = Event(max(self._now, self._end_of_work()), len(self.work))
        self.events.append(event)
        return event

    def synchronize(self) -> None:
        """Wait until everything in the queue is done."""
        end = max(self._now, self._end_of_work())
        self._cpu("wait", end - self._now)
        self._now = end  # exactly: a sum of small times would miss it by a rounding

    def elapsed(self, start: Event, end: Event) -> float:
        """Milliseconds from one event to another. Raises, as torch does, if the GPU is not there yet."""
        if self._now < max(start.time, end.time):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        self.samples.append((start, end, end.time - start.time))
        return end.time - start.time

    def clock(self) -> float:
        """The CPU's clock, in milliseconds."""
        return self._now

    def _end_of_work(self) -> float:
        return self.work[-1].end if self.work else 0.0

    def _cpu(self, what: str, duration: float) -> None:
        if duration > 0:
            self.trace.append(Span("cpu", what, self._now, self._now + duration))
        self._now += duration

    def _queue(self, what: str, cpu_ms: float, gpu_ms: float) -> None:
        self._cpu(f"queue {what}", cpu_ms)
        start = max(self._now, self._end_of_work())
        self.trace.append(Span("gpu", what, start, start + gpu_ms))

    def _disturbance(self) -> float:
        luck = self._random.random()
        if luck < self._noise:
            return self._random.uniform(1.3, 4.0)
        if luck < 1.5 * self._noise:
            return 0.85
        return 1.0 + (self._random.gauss(0.0, 0.005) if self._noise else 0.0)
