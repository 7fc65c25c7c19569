"""Loops around the voxel reducers that users bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdl_ext.user_functions import compilation

HINT = (
    "init(state), update(state, row) and finish(state, count, out) write to float64 arrays, by arithmetic, conditions, "
    "loops, and functions of math and NumPy; what they call must be decorated with numba.njit"
)


def fold(init: Callable[..., Any], update: Callable[..., Any], *arguments: Any) -> None:
    """fold(points, ids, states, known, size): begin the states from `known`, take in the points."""
    _run("fold", (init, update), _fold, arguments)


def values(finish: Callable[..., Any], *arguments: Any) -> None:
    """values(states, counts, out): the result of each state."""
    _run("values", (finish,), _values, arguments)


def _run(name: str, functions: tuple[Any, ...], make: Callable, arguments: tuple[Any, ...]) -> None:
    import numba

    given = tuple(map(numba.typeof, arguments))
    compilation.compiled((name, 1, *map(str, given)), functions, make, given, HINT)(*arguments)


def _fold(begin: Any, take: Any) -> Callable:
    def fold(points: Any, ids: Any, states: Any, known: Any, size: Any) -> None:
        for v in range(known, size):
            begin(states[v])
        for i in range(len(ids)):
            if ids[i] >= 0:
                take(states[ids[i]], points[i])

    return fold


def _values(end: Any) -> Callable:
    def values(states: Any, counts: Any, out: Any) -> None:
        for v in range(len(states)):
            end(states[v], counts[v], out[v])

    return values
