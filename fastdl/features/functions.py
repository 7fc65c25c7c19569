"""Functions of columns, built-in and custom ones, in one pass over the data."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from fastdl import _check
from fastdl._threads import ONE, split
from fastdl._typing import Array, ArrayLike
from fastdl.features import _function_blocks
from fastdl.features._function_blocks import Functions
from fastdl.features.basis import FLOATS


@overload
def feature_map(
    X: ArrayLike,
    functions: Functions,
    *,
    invalid: str = "nan",
    return_invalid: Literal[False] = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array: ...
@overload
def feature_map(
    X: ArrayLike,
    functions: Functions,
    *,
    invalid: str = "nan",
    return_invalid: Literal[True],
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Array, Array]: ...
def feature_map(
    X: ArrayLike,
    functions: Functions,
    *,
    invalid: str = "nan",
    return_invalid: bool = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array | tuple[Array, Array]:
    """Functions of columns, named or your own, all in one pass over the data.

    Parameters
    ----------
    X : array_like, shape (N, D) or (N,)
        float32 or float64 keep their dtype; integers and bool become float64.
    functions : list of str, callable or (str or callable, columns)
        A function alone is applied to every column, one in a tuple to the columns that the tuple names (one index or
        several; negative ones count from the end). Names: identity, square, cube, sqrt, cbrt, abs, sign, reciprocal,
        exp, expm1, log, log1p, log2, log10, sin, cos, tan, tanh, arctan. Functions: in plain Python, from numbers to a
        number, compiled by Numba; NumPy's ufuncs; functions compiled by `numba.njit`. A function of k > 1 numbers takes
        k columns.
    invalid : {"nan", "raise"}
        Where a function is not defined: whether the feature is NaN, or an error names the first such row.
        Not defined are log, log2, log10 of x <= 0, log1p of x <= -1, sqrt of x < 0, reciprocal of 0, sin, cos and tan
        of infinities; of your own functions, whatever makes NaN from numbers. NaN in X is not counted.
    return_invalid : bool
        Whether to return also, for each feature, in how many rows it was not defined.
    out : ndarray, optional
        Where to write: shape (N, M), of the result's dtype.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (N, M)
        The features, in the order of `functions`: a function of one number gives one for each of its columns, a
        function of several gives one. With `return_invalid` (features, counts), counts int64 of shape (M,).

    Raises
    ------
    InputError
        For an unknown name, a column that is not there, a function that Numba cannot compile, and with
        ``invalid="raise"`` for the first row where a function is not defined.
    InputTypeError
        For an X that is not float32, float64, integers or bool, or a function of another kind.

    Notes
    -----
    Blocks of rows that fit in the cache are transposed to columns, and the features' columns back to rows: X is read
    once and the result written once. Named functions are NumPy's, and have its bits; your functions see
    float64, and their result is rounded to the dtype. Each of yours is compiled once a process, and kept on disk (in
    NUMBA_CACHE_DIR, or in fastdl of the user's cache folder) where a folder is writable. Rows are independent, so
    chunks of a stream give the rows of the whole: ``run(chunks, lambda chunk: feature_map(chunk, functions))``.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.feature_map([[1.0, 4.0], [2.0, 9.0]], ["identity", ("sqrt", 1), (lambda a, b: a * b, (0, 1))])
    array([[ 1.,  4.,  2.,  4.],
           [ 2.,  9.,  3., 18.]])
    >>> fastdl.feature_map([1.0, 0.0, -1.0], "log", return_invalid=True)
    (array([[ 0.],
           [nan],
           [nan]]), array([2]))
    """
    if threads is ONE and invalid == "nan" and not return_invalid:
        small = _function_blocks.few(X, functions, out)
        if small is not None:
            return small
    X = _check.array("X", X, ("f", "i", "u", "b"), (1, 2))
    X = X if X.dtype.kind == "f" else X.astype(np.float64)
    _check.dtype("X", X.dtype, FLOATS)
    _check.one_of("invalid", invalid, ("nan", "raise"))
    X = X if X.ndim == 2 else X.reshape(-1, 1)
    steps = _function_blocks.steps(functions, X.shape[1])
    result = _check.out("out", out, (len(X), sum(s.width for s in steps)), X.dtype, X)
    counts = np.zeros(result.shape[1], np.int64)
    if result.size:
        block = _function_blocks.FunctionBlock(steps, X, result)
        counts += sum(split(len(X), threads, block, block.span))
    if invalid == "raise" and counts.any():
        raise _function_blocks.NotDefined(steps, counts, X, result)
    return (result, counts) if return_invalid else result
