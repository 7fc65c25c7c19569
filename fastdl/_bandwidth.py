"""Measures this machine's memory bandwidth, the limit that kernels are compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np


def best(run: Callable[[], Any], repeats: int = 5) -> float:
    """The shortest of several times, in seconds: the one least disturbed by other processes."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


@cache
def copy_bandwidth(size: int = 1 << 27) -> float:
    """Bytes per second of a copy, counting both the bytes read and the bytes written."""
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    return 2 * size / best(lambda: np.copyto(target, source))


@cache
def read_bandwidth(size: int = 1 << 27) -> float:
    """Bytes per second of reading: the fastest of NumPy's reductions."""
    source = np.ones(size // 8, np.int64)
    return size / best(lambda: np.bitwise_or.reduce(source))


@cache
def write_bandwidth(size: int = 1 << 27) -> float:
    """Bytes per second of writing."""
    target = np.ones(size // 8, np.int64)
    return size / best(lambda: target.fill(3))
