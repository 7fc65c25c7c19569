"""The free memory. Systems allocate more than they have, and kill the process that uses it: so arrays are checked."""

from __future__ import annotations

import os  # and not pathlib, which takes milliseconds to load

_MEMINFO = "/proc/meminfo"
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def free_bytes() -> int | None:
    """The available bytes of memory and swap, at most the cgroup's limit; None if unknown."""
    known = [n for n in (_free(), *map(_limit, _LIMITS)) if n is not None]
    return min(known, default=None)


def _free() -> int | None:
    try:
        with open(_MEMINFO) as file:
            words = [line.split() for line in file]
        sizes = {name: int(size) * 1024 for name, size, *_ in words if name in ("MemAvailable:", "SwapFree:")}
    except (OSError, ValueError):
        sizes = {}
    if "MemAvailable:" in sizes:
        return sum(sizes.values())
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # the physical memory
    except (AttributeError, ValueError, OSError):
        return None


def _limit(path: str) -> int | None:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):  # absent, or "max"
        return None
