"""Loops around the feature functions that users bring."""

from __future__ import annotations

from typing import Any

from fastdl_ext.user_functions import compilation

HINT = (
    "A feature function takes numbers and returns one number, by arithmetic, conditions, loops, and functions of math "
    "and NumPy; what it calls must be decorated with numba.njit"
)


def loop(function: Any, arity: int, char: str) -> Any:
    """loop(x_1, ..., x_arity, y): y[i] = function(x_1[i], ..., x_arity[i]) for arrays of the dtype `char`.

    The function sees float64, its result is rounded to the dtype.
    """
    import numba

    def make(function: Any) -> Any:
        names = [f"x{k}" for k in range(arity)]
        source = (
            f"def feature({', '.join(names)}, y):\n"
            f"    for i in range(len(y)):\n"
            f"        y[i] = function({', '.join(f'float64({x}[i])' for x in names)})\n"
        )
        space: dict[str, Any] = {"__name__": __name__, "function": function, "float64": numba.float64}
        exec(compile(source, __file__, "exec"), space)
        return space["feature"]

    dtype = numba.float64 if char == "d" else numba.float32
    given, filled = numba.types.Array(dtype, 1, "C", readonly=True), numba.types.Array(dtype, 1, "C")
    return compilation.compiled(("feature", 2, arity, char), (function,), make, (given,) * arity + (filled,), HINT)
