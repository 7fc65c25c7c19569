"""Loops around the losses of one residual that users bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdl_ext.user_functions import compilation

HINT = (
    "A loss takes one float and returns one, by arithmetic, conditions, loops, and functions of math and NumPy; what "
    "it calls must be decorated with numba.njit"
)


def pointwise(function: Callable, derivative: Callable | None) -> Any:
    """A C function void (const double* r, ssize_t n, double* value, double* slope) of the loss of each residual."""
    import numba

    pointers = [numba.types.CPointer(numba.types.float64)] * 3
    signature = numba.types.void(pointers[0], numba.types.intp, *pointers[1:])
    if derivative is None:
        return compilation.compiled(("loss", 2), (function,), _differences, signature, HINT)
    return compilation.compiled(("loss and slope", 1), (function, derivative), _both, signature, HINT)


def _differences(value_of: Any) -> Callable:
    def loop(r: Any, n: Any, value: Any, slope: Any) -> None:
        for i in range(n):
            size = abs(r[i])
            value[i] = value_of(r[i])
            if 1e-290 < size < 0.06:  # by the size alone: the unit of the residuals may be small
                step = size / 128
                near = value_of(r[i] + step) - value_of(r[i] - step)
                slope[i] = (8 * near - value_of(r[i] + 2 * step) + value_of(r[i] - 2 * step)) / (12 * step)
            else:
                step = 6e-6 * max(1.0, size)
                slope[i] = (value_of(r[i] + step) - value_of(r[i] - step)) / (2 * step)

    return loop


def _both(value_of: Any, slope_of: Any) -> Callable:
    def loop(r: Any, n: Any, value: Any, slope: Any) -> None:
        for i in range(n):
            value[i] = value_of(r[i])
            slope[i] = slope_of(r[i])

    return loop
