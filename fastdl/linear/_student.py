"""Quantiles of the normal and of Student's distribution, without SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist

_EXPANDED = 2000  # degrees of freedom above which the expansion about the normal quantile has a float32's digits


def normal_quantile(probability: float) -> float:
    """The quantile of the normal distribution (Wichura's AS 241, in the standard library)."""
    return NormalDist().inv_cdf(probability)


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution, for any degrees of freedom above 0.

    Found by bisection of the distribution function, a regularised incomplete beta function (DLMF 8.17); for many
    degrees of freedom by the expansion of Hill, "Student's t-quantiles" (1970).
    """
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    if freedom > _EXPANDED:
        z, v = normal_quantile(probability), freedom
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
        return z + (first + (second + (third + fourth / v) / v) / v) / v
    low, high = 0.0, 1.0
    while _above(high, freedom) > 1 - probability:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _above(middle, freedom) > 1 - probability else (low, middle)
    return (low + high) / 2


def _above(t: float, freedom: float) -> float:
    """The probability that Student's t is above t >= 0."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b), by its continued fraction (DLMF 8.17.22) and Lentz's method."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 2000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * value
