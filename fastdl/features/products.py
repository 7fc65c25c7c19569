"""Products of columns: the features of a polynomial in several variables."""

from __future__ import annotations

from functools import cache

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split_rows
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError
from fastdl.features.basis import BLOCK, FLOATS
from fastdl.reference import features as reference

kernel = _kernels.load("features") or reference

MAX_BYTES = 1 << 33
COLUMNS = 1 << 24  # of a result at most: the plan of the products is made of Python's integers, in seconds for so many
_MANY = 1 << 64
_FEW = 4  # columns side by side, on average, below which a loop over them costs more than it does


def polynomial_features(
    X: ArrayLike,
    degree: int,
    *,
    interaction_only: bool = False,
    include_bias: bool = True,
    max_bytes: int = MAX_BYTES,
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
    max_bytes : int
        A larger result is an error that says how much it takes, as the number of columns grows quickly.
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
        For an X that is not of two dimensions, a negative degree, no column at all (degree 0 without bias), an `out`
        that does not fit, or a result above `max_bytes` or of more than 2^24 columns.
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
    X = _check.array("X", X, ("f", "i", "u", "b"), 2)
    X = X if X.dtype.kind == "f" else X.astype(np.float64)
    degree = _check.integer("degree", degree, 0)
    if degree == 0 and not include_bias:
        raise InputError("degree must be at least 1 without the bias, got 0: there would be no column")
    n, d = X.shape
    bias = bool(include_bias)
    columns = count_columns(d, degree, bool(interaction_only)) - 1 + bias
    size = n * columns * X.itemsize
    if columns > COLUMNS or (out is None and size > _check.integer("max_bytes", max_bytes, 0)):
        limit = f"{COLUMNS} columns" if columns > COLUMNS else f"max_bytes={max_bytes}"
        raise InputError(
            f"{d} columns to degree {degree} make {_about(columns)} columns, {_about(size)} bytes in all, above {limit}"
        )
    result = _check.out("out", out, (n, columns), X.dtype, X)
    if n == 0 or columns == 0:
        return result
    if d == 0 or degree == 0:  # the bias alone
        result[...] = 1
        return result
    engine = kernel if X.dtype in FLOATS else reference
    plan = _products(d, min(degree, d) if interaction_only else degree, bool(interaction_only), bias)
    split_rows(
        lambda some, to: engine.fill_products(some, plan, to, bias), (X, result), threads, max(1, BLOCK // columns)
    )
    return result


def count_columns(d: int, degree: int, interaction_only: bool) -> int:
    """The number of products of up to `degree` of d columns, the empty product included; at most 2^64 is returned."""
    if not interaction_only:
        return _choose(d + degree, min(d, degree))
    total = 0
    for k in range(min(d, degree) + 1):
        total += _choose(d, k)
        if total >= _MANY:
            return _MANY
    return total


def _choose(n: int, k: int) -> int:
    """The binomial coefficient, or 2^64 if it is larger: it could have millions of digits."""
    total = 1
    for i in range(1, min(k, n - k) + 1):
        total = total * (n - i + 1) // i
        if total >= _MANY:
            return _MANY
    return total


def _about(value: int) -> str:
    return str(value) if value < _MANY else "more than 10^19"


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
