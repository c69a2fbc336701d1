"""A clock for calls on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


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
