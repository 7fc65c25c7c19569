"""Polynomial bases of numbers: the columns of a least-squares fit."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split_rows
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError
from fastdl.reference import features as reference

kernel = _kernels.load("features") or reference

BASES = ("monomial", "chebyshev", "legendre")
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))  # dtypes of the kernels; other floats go to the reference
BLOCK = 1 << 20  # values of a result in a block: some 500 microseconds; handing a block to a thread costs some 20


def vandermonde(
    x: ArrayLike,
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
        The interval that is mapped to [-1, 1] before the basis is evaluated, exactly at both ends; x may lie outside.
        By default x is not mapped.
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
        For a negative degree, an unknown basis, a domain without width, an `out` that does not fit, or a result that
        is larger than memory.
    InputTypeError
        For an x that is not real numbers.

    Notes
    -----
    Powers of x are soon nearly dependent: from a degree of about ten on, use Chebyshev or Legendre columns with the
    domain of the data. Rows are independent, so chunks of a stream give the same rows (see the example). Allocating a
    large result takes longer than filling it: in a loop, reuse the same `out`.

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
    x = _check.array("x", x, ("f", "i", "u", "b"))
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    degree = _check.integer("degree", degree, 0)
    _check.one_of("basis", basis, BASES)
    low, high = (-1.0, 1.0) if domain is None else _domain(domain, x.dtype)
    result = _check.out("out", out, (*x.shape, degree + 1), x.dtype, x)
    arrays = x.ravel(), result.reshape(-1, degree + 1)
    engine = kernel if x.dtype in FLOATS else reference
    ratio = _ratio(degree + 1, x.dtype.char) if basis == "legendre" else np.ones(1, x.dtype)

    def fill(some: Array, rows: Array) -> None:
        engine.fill_basis(some, ratio, rows, basis=BASES.index(basis), mapped=domain is not None, low=low, high=high)

    split_rows(fill, arrays, threads, max(1, BLOCK // (degree + 1)))
    return result


@cache
def _ratio(count: int, char: str) -> Array:
    """k / (k + 1) for k = 1 to count, divided in the dtype: the factors of Legendre's recurrence."""
    k = np.arange(1, count + 1, dtype=char)
    return k / (k + np.ones(1, char))


def _domain(domain: Iterable[float], dtype: np.dtype) -> tuple[float, float]:
    try:
        low, high = domain
    except (TypeError, ValueError):
        raise InputError(f"domain must be a pair (low, high), got {domain!r}") from None
    low, high = _check.number("domain[0]", low), _check.number("domain[1]", high)
    with np.errstate(over="ignore"):
        width = dtype.type(high) - dtype.type(low)
    if not (width > 0 and np.isfinite(width)):
        raise InputError(f"domain must have low < high and a width within {dtype}, got {(low, high)}")
    return low, high
