"""What the user brings, compiled by Numba into loops that the kernels call: losses of one residual."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any


class NotCompiled(Exception):
    """Numba could not compile a user's function."""


def pointwise(function: Callable, derivative: Callable | None) -> Any:
    """A C function void (const double* r, ssize_t n, double* value, double* slope) of the loss of each residual."""
    import numba
    from numba.extending import register_jitable

    # Inlined, so that the loop is vectorised; a plain function in a closure keeps it cacheable, a dispatcher would not.
    value_of = _jitable(register_jitable, function)
    pointers = [numba.types.CPointer(numba.types.float64)] * 3
    signature = numba.types.void(pointers[0], numba.types.intp, *pointers[1:])
    # What Numba's cache does not look at: the user's code where it is in another file, and what it refers to.
    stamp = _stamp(function) + _stamp(derivative)

    if derivative is None:

        def loop(r, n, value, slope):
            for i in range(n):
                step = 6e-6 * max(1.0, abs(r[i]))
                value[i] = value_of(r[i])
                slope[i] = (value_of(r[i] + step) - value_of(r[i] - step)) / (2 * step)
            stamp  # noqa: B018
    else:
        slope_of = _jitable(register_jitable, derivative)

        def loop(r, n, value, slope):
            for i in range(n):
                value[i] = value_of(r[i])
                slope[i] = slope_of(r[i])
            stamp  # noqa: B018

    return _compiled(numba, signature, loop)


def _compiled(numba: Any, signature: Any, loop: Callable) -> Any:
    for cache in (True, False):
        try:
            return numba.cfunc(signature, cache=cache, error_model="numpy")(loop)
        except numba.core.errors.NumbaError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise NotCompiled(
                f"the function must be one that Numba compiles, float to float: {' '.join(lines[:4])}"
            ) from None
        except (RuntimeError, OSError, TypeError):
            # No folder to keep it in, or a closure that cannot be written there: compile for this process alone.
            if not cache:
                raise
    raise AssertionError


def _jitable(register: Callable, function: Callable) -> Callable:
    if hasattr(function, "py_func"):  # already the user's own njit
        return function
    if not inspect.isfunction(function):
        raise NotCompiled(f"the function must be a plain Python function, got {type(function).__name__}")
    return register(function)


def _stamp(function: Any) -> str:
    """A hash of a function's code, its constants, and the values it closes over or names."""
    function = getattr(function, "py_func", function)
    if function is None:
        return ""
    code = function.__code__
    cells = [c.cell_contents for c in function.__closure__ or ()]
    names = [function.__globals__.get(n) for n in code.co_names]
    text = repr((code.co_code, _constants(code), code.co_names, function.__defaults__, *map(_simple, cells + names)))
    return hashlib.sha256(text.encode()).hexdigest()


def _constants(code: Any) -> list[Any]:
    return [(c.co_code, _constants(c)) if inspect.iscode(c) else c for c in code.co_consts]


def _simple(value: Any) -> str:
    if inspect.isfunction(value) or hasattr(value, "py_func"):
        return _stamp(value)
    if inspect.ismodule(value) or inspect.isbuiltin(value):
        return value.__name__
    return repr(value)
