"""Columns far from 0, whose mean is no float: bounds against exact rationals, losses against sums of 60 digits."""

import warnings
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fastdl
from fastdl.errors import NotConverged


def far_column(seed):
    """A column of 2^35 to 2^51 and small whole numbers, targets, and weights or None."""
    rng = np.random.default_rng(seed)
    n, base = int(rng.integers(3, 40)), 2.0 ** int(rng.integers(35, 52))
    steps = rng.integers(0, 3, n) if rng.random() < 0.5 else (np.arange(n) == 0) * 1
    x = base + steps * float(rng.choice([1, 2, 0.5])) * max(1, base * 2**-52)
    return x, rng.normal(size=n), None if seed % 2 else 10.0 ** (rng.choice([1, 4, 8]) * rng.uniform(-1, 1, n))


def least_squares(x, y, s):
    """The least sum of squares of a line, as a Fraction; None where all x are equal."""
    s, x, y = ([Fraction(float(v)) for v in values] for values in (s, x, y))
    weight = sum(s)
    mx, my = (sum(a * b for a, b in zip(s, values)) / weight for values in (x, y))
    xx = sum(a * (b - mx) ** 2 for a, b in zip(s, x))
    xy = sum(a * (b - mx) * (c - my) for a, b, c in zip(s, x, y))
    return None if xx == 0 else sum(a * (c - my) ** 2 for a, c in zip(s, y)) - xy**2 / xx


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_no_bound_is_above_the_least_squares(first):
    # The factor of the columns about their exact mean was taken for that about its float: one bound of seven was false.
    for seed in range(first, first + 100):
        x, y, s = far_column(seed)
        least = least_squares(x, y, np.ones(len(y)) if s is None else s)
        if least is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConverged)
            fit = fastdl.fit_lp(x, y, 2, sample_weight=s)
        assert Fraction(fit.certificate.lower) <= least * (1 + Fraction(1, 10**15)), seed


def loss_of(fit, X, y, s, p):
    """The loss of a fit's floats in 60 digits."""
    with mpmath.workdps(60):
        total = mpmath.mpf(0)
        for row, target, weight in zip(X, y, s):
            r = (
                mpmath.mpf(target)
                - mpmath.mpf(fit.b)
                - mpmath.fsum(mpmath.mpf(a) * mpmath.mpf(b) for a, b in zip(row, fit.w))
            )
            total += mpmath.mpf(weight) * abs(r) ** mpmath.mpf(p)
        return total


@pytest.mark.parametrize("p", [1, 1.2, 2, 8])
@pytest.mark.parametrize("seed", range(40))
def test_the_loss_is_that_of_the_floats_returned(seed, p):
    rng = np.random.default_rng([3, seed])
    n, d = int(rng.integers(4, 11)), int(rng.integers(1, 3))  # more rows than a model goes through
    X, y = rng.normal(size=(n, d)) + 10.0 ** rng.integers(3, 15), rng.standard_t(1.5, size=n)
    if seed % 2:
        X[0] *= 10.0 ** rng.integers(5, 40)
    y[0] *= 10.0 ** rng.integers(0, 30)
    s = 10.0 ** rng.uniform(-9, 9, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        fit = fastdl.fit_lp(X, y, p, sample_weight=s)
    want = loss_of(fit, X, y, s, p)
    assert abs(fit.loss - want) <= 1e-9 * want
