"""Bounds of fits whose columns depend on others, exactly or but for rounding, against exact rationals."""

from fractions import Fraction

import numpy as np
import pytest

import fastdl
from tests.fuzz._exact_fits import ExactRows

# What rounding left of columns is a gap that is warned of.
pytestmark = pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")

CLOSE = ([[100000002, 100000001], [2, 0], [99999999, 99999998]], [-2, 0, 0])


def celsius_and_fahrenheit(n, seed=0):
    rng = np.random.default_rng(seed)
    celsius = np.round(rng.normal(15, 8, n), 1)
    return np.column_stack([celsius, celsius * 9 / 5 + 32]), np.round(2 * celsius + rng.standard_normal(n), 3)


def least_loss(X, y, power):
    exact = ExactRows(X, y, np.ones(len(y)))
    if power == 1:
        return exact.least_piecewise_linear(1, 1)
    return sum(r * r for r in exact.residuals(exact.least_squares()))


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
def test_three_rows_have_a_model_through_all(p):
    fit = fastdl.fit_lp(*CLOSE, p)  # of weights of 1e8, which the last bits of the columns allow
    assert fit.rank == 2
    assert fit.certificate.lower == 0


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("p", [1, 2])
def test_rounding_of_a_column_counts_in_the_bound(p, intercept):
    for seed in range(5):
        X, y = celsius_and_fahrenheit(10, seed)
        if not intercept:
            X[:, 1] = X[:, 0] / 3
        fit = fastdl.fit_lp(X, y, p, intercept=intercept)
        if intercept:
            assert Fraction(fit.certificate.lower) <= least_loss(X, y, p)
        assert fit.rank == 1 + intercept
        assert 0 < fit.certificate.lower < fit.certificate.upper * (1 - 1e-6)


def test_the_bound_is_near_that_of_the_remainder():
    X, y = celsius_and_fahrenheit(200)
    fit, least = fastdl.fit_lp(X, y, 2), float(least_loss(X, y, 2))
    assert least * (1 - 1e-8) <= fit.certificate.lower <= least < fit.loss * (1 - 1e-6)


def test_chunks_weights_and_targets():
    X, y = celsius_and_fahrenheit(3000)
    weight = np.random.default_rng(1).integers(0, 3, 3000)
    fit = fastdl.fit_lp(X, y, 2, sample_weight=weight)
    repeated = fastdl.fit_lp(np.repeat(X, weight, 0), np.repeat(y, weight), 2)
    np.testing.assert_allclose(fit.certificate.lower, repeated.certificate.lower, rtol=1e-6)
    chunks = [(X[k : k + 700], y[k : k + 700], weight[k : k + 700]) for k in range(0, 3000, 700)]
    assert fastdl.fit_lp(chunks, p=2).certificate == fit.certificate
    both = fastdl.fit_lp(X, np.column_stack([y, y**2]), 2, sample_weight=weight)
    np.testing.assert_allclose(both.targets[0].certificate.lower, fit.certificate.lower, rtol=1e-6)
    assert both.targets[0].certificate.gap > 1e-6


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_exact_combinations_leave_the_bound(p):
    rng = np.random.default_rng(0)
    x = rng.integers(-50, 50, 500) / 8
    y = rng.standard_normal(500)
    for X in (
        np.eye(4)[rng.integers(0, 4, 500)],
        np.column_stack([x, 3 * x - 7]),
        np.column_stack([x, np.full(500, 0.1)]),
        np.column_stack([3 * x, x, 5 * x + 1]),
        np.column_stack([x, np.zeros(500)]),
    ):
        fit = fastdl.fit_lp(X, y, p)
        assert fit.rank < X.shape[1] + 1
        assert fit.certificate.gap <= 1e-8


def test_a_row_that_tells_columns_apart_comes_late():
    x = np.arange(40_000.0)
    X = np.column_stack([x, x])
    X[39_999, 1] += 2**-37  # the last bit
    y = np.random.default_rng(0).standard_normal(len(x))
    y[-1] = 3
    fit = fastdl.fit_lp(X, y, 2)
    assert fit.rank == 2
    without = fastdl.fit_lp(X[:-1, :1], y[:-1], 2).loss  # a model of large weights goes through the last row
    assert without * (1 - 1e-8) <= fit.certificate.lower <= without * (1 + 1e-12)


def test_quantiles_and_huber():
    X, y = celsius_and_fahrenheit(10)
    least = ExactRows(X, y, np.ones(len(y))).least_piecewise_linear(1, 3) / 4
    fit = fastdl.fit_quantile(X, y, 0.25)
    assert 0 < Fraction(fit.certificate.lower) <= least < Fraction(fit.loss)
    huber = fastdl.fit_huber(X, y, 100.0)  # no residual is beyond delta: half the squares
    assert 0 < Fraction(huber.certificate.lower) <= least_loss(X, y, 2) / 2 < Fraction(huber.loss)


@pytest.mark.parametrize("rows", [[[2.0, -2.0, -4.0], [-1.0, 1.0, 2.0]], [[k, 2.0 * k, 7.0 * k] for k in range(-2, 3)]])
def test_exact_dependence_is_found_among_many_rows(rows):
    # Rounding errors of a factorisation of block after block once grew with the rows, and passed for another column.
    rng = np.random.default_rng(131072)
    X = np.array(rows)[rng.integers(0, len(rows), 1_000_000)]
    fit = fastdl.fit_lp(X, rng.standard_normal(len(X)))
    assert fit.rank == 2
    assert np.abs(fit.w).max() < 1
