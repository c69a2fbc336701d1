"""How much memory one call may take, so that a wrong size is an error and not a machine that stands still."""

from __future__ import annotations

import os
from pathlib import Path

# (limit, usage) of a container, in cgroup version 2 and 1
_CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_SHARE = 0.8  # of what is free: the rest is for what the call makes besides


def memory_limit() -> int:
    """Bytes that the tensors and allocations of one call may take: CONV_MEMORY in GB, or 80% of what is free.

    Raises:
        ValueError: CONV_MEMORY is no positive number.
    """
    chosen = os.environ.get("CONV_MEMORY")
    if not chosen:
        return int(_SHARE * _free())
    try:
        limit = int(float(chosen) * 1e9)
    except ValueError:
        limit = 0
    if limit <= 0:
        raise ValueError(f"CONV_MEMORY must be a number of gigabytes, like 8 or 0.5, not {chosen!r}")
    return limit


def _free() -> int:
    free = _free_on_machine()
    for limit, usage in _CONTAINER:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(usage).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return max(free, 0)


def _free_on_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    # Not Linux: half of what is built in.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
