"""Columns of numbers to more columns: polynomial bases, products of columns, and functions of them."""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any, Literal, overload

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl.features import _function_blocks as plans
from fastdl.reference import features as reference

Array = np.ndarray
kernel = _kernels.load("features")

BASES = ("monomial", "chebyshev", "legendre")

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_FEW = 4  # columns side by side, on average, below which a loop over them costs more than it does
_BLOCK = 1 << 20  # values of a result: large enough to hide the cost of a turn, small enough for an even split


def vandermonde(
    x: Any,
    degree: int,
    *,
    basis: str = "monomial",
    domain: tuple[float, float] | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Polynomials of degree 0 to `degree` of each number: the columns of a least-squares fit.

    Parameters
    ----------
    x : array_like, any shape
        Floats keep their dtype; integers and bool become float64. NaN and infinities go through the formula.
    degree : int
        The highest degree, at least 0.
    basis : {"monomial", "chebyshev", "legendre"}
        Ascending powers 1, x, x^2, ...; Chebyshev polynomials of the first kind; Legendre polynomials.
    domain : (low, high), optional
        Mapped to -1 and 1 before the basis is evaluated, exactly at both ends; x may lie outside. By default x is
        taken as it is.
    out : ndarray, optional
        Where to write: shape (*x.shape, degree + 1), of the result's dtype.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (*x.shape, degree + 1)
        Column k is the polynomial of degree k: ``x^k = x^(k-1) x``; ``T_k = 2 x T_(k-1) - T_(k-2)``;
        ``P_k = x P_(k-1) + (k-1)/k (x P_(k-1) - P_(k-2))``, rounded after each operation, on any machine.

    Raises
    ------
    InputError
        For a negative degree, an unknown basis, a domain without width or an `out` that does not fit.
    InputTypeError
        For an x that is not real numbers.

    Notes
    -----
    Powers of x grow dependent quickly: beyond a degree of some ten, use Chebyshev or Legendre columns with the domain
    of the data. Rows are independent, so chunks of a stream give the rows of the whole (see the example). A large fresh
    result takes longer to come from the system than to be filled: in a loop, give the same `out` again.

    References
    ----------
    Abramowitz and Stegun, "Handbook of mathematical functions", 22.7: the recurrences.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.vandermonde([1, 2, 3], 3)
    array([[ 1.,  1.,  1.,  1.],
           [ 1.,  2.,  4.,  8.],
           [ 1.,  3.,  9., 27.]])
    >>> fastdl.vandermonde([0, 5, 10], 2, basis="chebyshev", domain=(0, 10))
    array([[ 1., -1.,  1.],
           [ 1.,  0., -1.],
           [ 1.,  1.,  1.]])
    >>> chunks = ([0.5, 2.0], [3.0])
    >>> [len(v) for v in fastdl.streaming.run(chunks, lambda chunk: fastdl.vandermonde(chunk, 3))]
    [2, 1]
    """
    x = _floats("x", x)
    degree = _check.integer("degree", degree, 0)
    _check.one_of("basis", basis, BASES)
    low, high = (-1.0, 1.0) if domain is None else _domain(domain, x.dtype)
    result = _check.out("out", out, (*x.shape, degree + 1), x.dtype, x)
    if kernel is None or x.dtype not in _FLOATS:
        with np.errstate(all="ignore"):
            result[...] = reference.vandermonde(x, degree, basis=basis, domain=domain)
        return result
    flat, rows = x.reshape(-1), result.reshape(-1, degree + 1)
    which, ratio = BASES.index(basis), _ratio(degree + 1, x.dtype.char)
    split(
        len(flat),
        threads,
        lambda s: kernel.vandermonde(flat[s], ratio, which, rows[s], domain is not None, low, high),
        max(1, _BLOCK // (degree + 1)),
    )
    return result


@cache
def _ratio(count: int, char: str) -> Array:
    """k / (k + 1) for k = 1 to count, divided in the dtype: the factors of Legendre's recurrence."""
    k = np.arange(1, count + 1, dtype=char)
    return k / (k + np.ones(1, char))


def _domain(domain: Any, dtype: np.dtype) -> tuple[float, float]:
    try:
        low, high = domain
    except (TypeError, ValueError):
        raise _check.InputError(f"domain must be a pair (low, high), got {domain!r}") from None
    low, high = _check.number("domain[0]", low), _check.number("domain[1]", high)
    with np.errstate(over="ignore"):
        width = dtype.type(high) - dtype.type(low)
    if not (width > 0 and np.isfinite(width)):
        raise _check.InputError(f"domain must have low < high and a width within {dtype}, got {(low, high)}")
    return low, high


def _floats(name: str, value: Any, ndim: int | tuple[int, ...] | None = None) -> Array:
    """`value` as contiguous floats: their own dtype, or float64 for integers and bool."""
    x = _check.array(name, value, ("f", "i", "u", "b"), ndim)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def polynomial_features(
    X: Any,
    degree: int,
    *,
    interaction_only: bool = False,
    include_bias: bool = True,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """All products of up to `degree` columns, in scikit-learn's column order and with its bits.

    Parameters
    ----------
    X : array_like, shape (N, D)
        Floats keep their dtype; integers and bool become float64. NaN and infinities go through the products.
    degree : int
        The largest number of factors, at least 0.
    interaction_only : bool
        Whether the factors of a product must be different columns.
    include_bias : bool
        Whether there is a column of ones: the product of no factors.
    out : ndarray, optional
        Where to write: shape (N, M), of the result's dtype.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (N, M)
        By number of factors, then in lexical order of the columns: for two columns and degree 2 these are
        1, a, b, a^2, a b, b^2. M is C(D + degree, degree) less the bias, fewer with `interaction_only`. Each column is
        one multiplication from an earlier one.

    Raises
    ------
    InputError
        For an X that is not of two dimensions, a negative degree, no column at all (degree 0 without bias), or an `out`
        that does not fit.
    InputTypeError
        For an X that is not real numbers.

    References
    ----------
    Pedregosa et al., "Scikit-learn: machine learning in Python", 2011: `sklearn.preprocessing.PolynomialFeatures`.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.polynomial_features([[2, 3], [4, 5]], 2)
    array([[ 1.,  2.,  3.,  4.,  6.,  9.],
           [ 1.,  4.,  5., 16., 20., 25.]])
    >>> fastdl.polynomial_features([[2, 3], [4, 5]], 2, interaction_only=True, include_bias=False)
    array([[ 2.,  3.,  6.],
           [ 4.,  5., 20.]])
    """
    X = _floats("X", X, 2)
    degree = _check.integer("degree", degree, 0)
    if degree == 0 and not include_bias:
        raise _check.InputError("degree must be at least 1 without the bias, got 0: there would be no column")
    n, d = X.shape
    bias = bool(include_bias)
    columns = (sum(comb(d, k) for k in range(degree + 1)) if interaction_only else comb(d + degree, degree)) - 1 + bias
    result = _check.out("out", out, (n, columns), X.dtype, X)
    if n == 0 or columns == 0:
        return result
    if kernel is None or X.dtype not in _FLOATS or d == 0 or degree == 0:
        with np.errstate(all="ignore"):
            result[...] = reference.polynomial_features(
                X, degree, interaction_only=interaction_only, include_bias=include_bias
            )
        return result
    plan = _products(d, degree, bool(interaction_only), bias)
    split(
        n,
        threads,
        lambda s: kernel.polynomial_features(X[s], plan, result[s], bias),
        max(1, _BLOCK // columns),
    )
    return result


@cache
def _products(d: int, degree: int, interaction_only: bool, bias: bool) -> Array:
    """(to, from, length, factor): the columns from..from+length times column `factor` of X stand at to..to+length.

    Where lengths are short, (from, factor) of each single column.

    The products of k factors that begin with column j are column j times the products of k - 1 factors that begin with
    j or later (later than j for interactions): these stand side by side.
    """
    steps: list[tuple[int, ...]] = []
    starts = [*range(bias, bias + d), bias + d]  # where the products that begin with column j start; the end
    end = bias + d
    for _ in range(2, degree + 1):
        begins = []
        for j in range(d):
            begins.append(end)
            first = starts[j + 1] if interaction_only else starts[j]
            if starts[d] > first:
                steps.append((end, first, starts[d] - first, j))
                end += starts[d] - first
        starts = [*begins, end]
    if end - bias - d < _FEW * len(steps):
        steps = [(first + k, j) for _, first, length, j in steps for k in range(length)]
    plan = np.array(steps, np.intp).reshape(-1, len(steps[0]) if steps else 4)
    plan.flags.writeable = False
    return plan


@overload
def feature_map(
    X: Any,
    functions: Any,
    *,
    invalid: str = "nan",
    return_invalid: Literal[False] = False,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array: ...
@overload
def feature_map(
    X: Any,
    functions: Any,
    *,
    invalid: str = "nan",
    return_invalid: Literal[True],
    out: Array | None = None,
    threads: int | None = 1,
) -> tuple[Array, Array]: ...
def feature_map(
    X: Any,
    functions: Any,
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
        What stands alone is applied to every column, a tuple to the columns it names (one index or several; negative
        ones count from the end). Names: identity, square, cube, sqrt, cbrt, abs, sign, reciprocal, exp, expm1, log,
        log1p, log2, log10, sin, cos, tan, tanh, arctan. Functions: in plain Python, from numbers to a number, compiled
        by Numba; NumPy's ufuncs; functions compiled by `numba.njit`. A function of k > 1 numbers takes k columns.
    invalid : {"nan", "raise"}
        What happens where a function is not defined: the feature is NaN, or an error names the first such row.
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
    Blocks of rows that fit in the cache are turned into columns, the functions fill columns, and these leave as rows:
    X is read once and the result written once. Named functions are NumPy's, and have its bits; your functions see
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
    X = _floats("X", X, (1, 2))
    _check.dtype("X", X.dtype, _FLOATS)
    _check.one_of("invalid", invalid, ("nan", "raise"))
    X = X if X.ndim == 2 else X.reshape(-1, 1)
    steps = plans.steps(functions, X.shape[1])
    result = _check.out("out", out, (len(X), sum(s.width for s in steps)), X.dtype, X)
    counts = np.zeros(result.shape[1], np.int64)
    if result.size:
        if kernel is None:
            result[...] = reference.feature_map(X, [(s.function, s.columns) for s in steps])
            inputs = [[c] if not callable(s.function) else s.columns for s in steps for c in s.columns[: s.width]]
            missing = np.isnan(result)
            counts[:] = [(missing[:, k] & ~np.isnan(X[:, i]).any(axis=1)).sum() for k, i in enumerate(inputs)]
        else:
            block = plans.Block(steps, X, result)
            counts += sum(split(len(X), threads, block, block.span))
    if invalid == "raise" and counts.any():
        raise plans.NotDefined(steps, counts, X, result)
    return (result, counts) if return_invalid else result
