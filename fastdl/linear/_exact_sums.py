"""Residuals and sums as if in twice the precision, for fits whose columns nearly depend on each other.

Dekker's product and Knuth's sum give the rounding error of an operation as a second float (Ogita, Rump and Oishi,
"Accurate sum and dot product", 2005). They cost some twenty times a plain pass, and are used only where rounding in a
plain pass would leave no correct digit of a lower bound.
"""

from __future__ import annotations

import math

import numpy as np

from fastdl._typing import Array

_SPLIT = float(2**27 + 1)  # Dekker: halves of 26 bits, whose products are exact


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum, and its rounding error (Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded product, and its rounding error (Dekker's two-product); NaN beyond 1e300."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: Array) -> tuple[Array, Array]:
    wide = _SPLIT * a
    high = wide - (wide - a)
    return high, a - high


def residuals(X: Array, y: Array, w: Array, b: float) -> Array:
    """Y - X w - b, each rounded about once."""
    high, low = residual_pairs(X, y, w, b)
    return high + low


def residual_pairs(X: Array, y: Array, w: Array, b: float) -> tuple[Array, Array]:
    """Y - X w - b as pairs of floats whose sum is the residual, for corrections far smaller than the residuals."""
    high, low = np.array(y, np.float64), np.zeros(len(y))
    for j in range(X.shape[1]):
        product, error = two_product(X[:, j], w[j : j + 1])
        high, lost = two_sum(high, -product)
        low += lost - error
    high, lost = two_sum(high, np.full(len(y), -b))
    return two_sum(high, low + lost)


def total(terms: Array) -> float:
    """The exact sum, rounded once; NaN where it, or a term, is beyond the range of floats."""
    try:
        return math.fsum(terms)
    except (OverflowError, ValueError):  # a sum above the largest float, and infinities of both signs
        return math.nan


def products(X: Array, shift: Array, g: Array) -> Array:
    """The sum of g, and of g times each column less its shift, each rounded about once."""
    totals = [total(g)]
    for j in range(X.shape[1]):
        z, rest = two_sum(X[:, j], np.full(len(g), -shift[j]))
        product, error = two_product(z, g)
        totals.append(total(product) + total(error + rest * g))
    return np.array(totals)
