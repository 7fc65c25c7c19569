"""Polynomials: of one variable as a Chebyshev series, of several as products of columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike
from fastdl.features.products import polynomial_features
from fastdl.reference import _selection_kernels

kernel = _kernels.load("selection_polynomials") or _selection_kernels

_BLOCK = 1 << 18  # values of a block that a thread evaluates


class Polynomial:
    """A polynomial: a Chebyshev series on an interval.

    Attributes
    ----------
    coefficients : ndarray of float64, (degree + 1,)
        Coefficients of T_0, T_1, ... at ``t = ((x - low) - (high - x)) / (high - low)``.
    domain : (float, float)
        low and high, which t maps to -1 and 1.

    Examples
    --------
    >>> import fastdl
    >>> f = fastdl.Polynomial([1.0, 2.0], domain=(0, 10))
    >>> f.predict([0, 5, 10])
    array([-1.,  1.,  3.])
    >>> f.monomial()
    array([-1. ,  0.4])
    """

    def __init__(self, coefficients: ArrayLike, domain: tuple[float, float] = (-1.0, 1.0)):
        self.coefficients = _check.array("coefficients", coefficients, ("f", "i", "u"), 1).astype(float)
        if not len(self.coefficients):
            raise _check.InputError("coefficients must not be empty")
        self.domain = interval(domain)

    @property
    def degree(self) -> int:
        """The number of coefficients less one."""
        return len(self.coefficients) - 1

    def __repr__(self) -> str:
        return f"Polynomial(degree={self.degree}, domain={self.domain})"

    def predict(self, x: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The values at x, float64 of its shape, by Clenshaw's recurrence; outside the domain it extrapolates.

        Raises
        ------
        InputTypeError
            For an x that is not real numbers.
        """
        x = real(_check.array("x", x, ("f", "i", "u", "b")))
        values = _check.out("out", out, x.shape, np.float64, x)

        def run(some: Array, to: Array) -> None:
            kernel.series(some, *self.domain, self.coefficients, to)

        _threads.split_rows(run, (x.ravel(), values.ravel()), threads, _BLOCK)
        return values

    def monomial(self) -> Array:
        """The coefficients of 1, x, x^2, ..., each exactly rounded, float64.

        Warns
        -----
        UserWarning
            Where the terms are so much larger than their sum on the domain that adding them loses more than half the
            digits. The terms grow like (1 + sqrt 2)^degree, and far faster where the domain is away from zero: to
            evaluate, use `predict`.
        """
        low, high = map(Fraction, self.domain)
        t = [-(low + high) / (high - low), 2 / (high - low)]  # t as a polynomial of x
        total, v, u = [Fraction(0)], [Fraction(1)], t
        for c in map(Fraction, self.coefficients):
            total = _plus(total, [c * a for a in v])
            v, u = u, _plus([2 * a for a in _times(t, u)], [-a for a in v])
        far = max(abs(low), abs(high))
        terms = sum(abs(a) * far**k for k, a in enumerate(total))
        size = sum(abs(Fraction(c)) for c in self.coefficients)
        digits = float(np.log10(float(terms / size))) if size else 0.0
        if digits > 8:
            warnings.warn(
                f"the terms of these monomials cancel: about {digits:.0f} digits of 16 are lost when they are added; "
                "use predict, or numpy.polynomial.Chebyshev(coefficients, domain)",
                stacklevel=2,
            )
        return np.array([float(a) for a in total])


def _plus(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    size = max(len(a), len(b))
    return [x + y for x, y in zip(a + [Fraction(0)] * (size - len(a)), b + [Fraction(0)] * (size - len(b)))]


def _times(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    product = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for k, y in enumerate(b):
            product[i + k] += x * y
    return product


def real(x: Array) -> Array:
    """float32 or float64 as they are, other numbers as float64."""
    return x if x.dtype in (np.dtype(np.float32), np.dtype(np.float64)) else x.astype(np.float64)


def interval(domain: Iterable[float]) -> tuple[float, float]:
    """The pair (low, high) of a domain, after a check."""
    try:
        low, high = domain
    except (TypeError, ValueError):
        raise _check.InputError(f"domain must be a pair (low, high), got {domain!r}") from None
    low, high = _check.number("domain[0]", low), _check.number("domain[1]", high)
    if not 0 < high - low < np.inf:
        raise _check.InputError(f"domain must have low < high, got {(low, high)}")
    return low, high


class ProductPolynomial:
    """A polynomial of several columns: all products of up to `degree` of them, each column mapped to [-1, 1].

    Attributes
    ----------
    degree : int
        The highest number of factors.
    coefficients : ndarray of float64
        Coefficients of the columns that `polynomial_features` makes, the column of ones first.
    low, high : ndarray of float64, (D,)
        The values of each column that are mapped to -1 and 1.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 2, (200, 2))
    >>> y = X[:, 0] * X[:, 1] + rng.normal(0, 0.01, 200)
    >>> choice = fastdl.select_degree(X, y, range(4))
    >>> choice.best, choice.model.predict([[1.0, 2.0]]).round(1)
    (2, array([2.]))
    """

    def __init__(self, coefficients: Array, degree: int, low: Array, high: Array):
        self.coefficients, self.degree, self.low, self.high = coefficients, degree, low, high

    def predict(self, X: ArrayLike, *, threads: int | None = 1) -> Array:
        """The values, float64 (N,), of X (N, D)."""
        X = _check.floats("X", X, 2).astype(np.float64, copy=False)
        if X.shape[1] != len(self.low):
            raise _check.InputError(f"X must have {len(self.low)} columns, got shape {X.shape}")
        return product_columns(X, self.degree, self.low, self.high, threads) @ self.coefficients


def product_columns(X: Array, degree: int, low: Array, high: Array, threads: int | None = 1) -> Array:
    """All products of up to `degree` columns of X, each mapped from [low, high] to [-1, 1]; ones first."""
    span = np.where(high > low, high - low, 1.0)
    return polynomial_features(((X - low) - (high - X)) / span, degree, threads=threads)
