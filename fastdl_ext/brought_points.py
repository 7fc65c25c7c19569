"""The loop around a user's own voxel reducer, compiled for it by Numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=64)
def loops(init: Callable[..., Any], update: Callable[..., Any], finish: Callable[..., Any]) -> tuple[Any, Any]:
    """(fold, finish) over arrays of states; the user's functions are inlined into them."""
    import numba

    compiled = numba.njit(nogil=True, error_model="numpy")
    begin, take, end = (compiled(f) if not hasattr(f, "py_func") else f for f in (init, update, finish))

    @compiled
    def fold(points, ids, states, known, size):
        for v in range(known, size):
            begin(states[v])
        for i in range(len(ids)):
            if ids[i] >= 0:
                take(states[ids[i]], points[i])

    @compiled
    def values(states, counts, out):
        for v in range(len(states)):
            end(states[v], counts[v], out[v])

    return fold, values
