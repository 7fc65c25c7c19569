"""Weights of very different sizes: bounds below the exact least loss, and losses that are those of the floats."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

import fastdl
from tests.fuzz._exact_fits import ExactRows
from tests.fuzz._fit_problems import Judged

HEAVY = 2.0**51
E = 2.0**-32
#: (p, intercept, X, y, s), each once with a bound above the least loss or the loss of another model.
CASES = [
    (2, True, [[-2], [0], [-2], [1]], [-2, 2, 1, -2], [HEAVY, 1, 1, 1]),
    (2, True, [[-1, -3], [-1, -3 - E / 2048], [2, 6], [1, 3], [0, -E / 1024]], [-1, -1, 1, 0, 2], [1, HEAVY, 1, 1, 1]),
    (2, True, [[0, -E], [0, E], [0, -E], [1, 3 - 2 * E], [2, 6]], [0, 2, -1, 0, 1], [1, 1, 1, 1, 2.0**29]),
    (2, True, [[-0.46], [-0.58], [2.3]], [1e20, 0.64, -0.2], [HEAVY, 1, 1]),
    (2, False, [[3.15e9, 5670000032], [1.44e9, 2592000032], [2.07e9, 3726000032]], [-2, 1, 1], [1, 1, HEAVY]),
    (2, True, [[2, 6, 1], [0, -512 * E, 1], [0, 1024 * E, -2], [-1, -3, 2]], [-2, 2, 0, 0], [1, 1, 1, 2.0**-57]),
    (8.0, False, [[-1], [2]], [0, 2], [2.0**36, 1]),
    (3.0, True, [[0, -E], [2, 6 + E / 2], [-1, -3]], [-2, -1, 0], [1, HEAVY, 1]),
    (3.0, True, [[1e8, 1e8], [1e8, 1e8 + 2], [1e8 + 2, 1e8], [0, -1], [-1, 1]], [1, 1, 1, -1, -1], [1e8, 1, 1, 1, 1]),
    (0.3, True, [[2, 0, -2], [1, 2, 0], [-2, -2, 1], [2, -2, 1], [2, -1, -1]], [-1, 2, 0, 2, 0], [1, 1, 1, 1, 2.0**57]),
]  # fmt: skip


@pytest.mark.parametrize(("p", "intercept", "X", "y", "s"), CASES)
def test_one_heavy_row(p, intercept, X, y, s):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastdl.errors.NotConverged)  # a wide gap is what is known
        fit = fastdl.fit_lp(X, y, p, sample_weight=s, intercept=intercept)
    judged = Judged("", fit, ExactRows(X, y, s, intercept), p=float(p))
    least, own = judged.least(), judged.own_loss()
    assert Fraction(fit.certificate.lower) <= min(least, own)
    assert abs(own - Fraction(fit.loss)) <= own / 10**9 + judged.rounding()


def test_penalties_beside_a_heavy_row():
    X, y, s = [[1.0], [9998.0], [10000.0]], [2.0, -2.0, -1.0], [1.0, 1.0, 2.0**50]
    for l1, l2 in ((4.0, 0.0), (0.0, 0.5), (0.25, 2.0**-20)):
        fit = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2, sample_weight=s)
        least = ExactRows(X, y, s).least_elastic_net(Fraction(l1), Fraction(l2))
        assert Fraction(fit.certificate.lower) <= least <= Fraction(fit.loss) * (1 + Fraction(1, 10**9))


def test_a_lasso_of_quantiles_whose_columns_depend_but_for_rounding_claims_no_proof():
    """Rows of 1e60 through which weights of all columns go: the penalty is nothing beside what rounding leaves."""
    X = [[19.3, 66.74000000000001, 0.0], [12.9, 55.22, -2.0], [30.0, 86.0, 2.0], [17.0, 62.6, -1.0]]
    y, s = [1.0, -2.0, 1.0, 0.0], [1e60, 1e60, 2e60, 2e60]
    with pytest.warns(fastdl.errors.NotConverged):
        fit = fastdl.fit_quantile(X, y, 0.25, l1=2.0, sample_weight=s)
    exact = ExactRows(X, y, s)
    assert Fraction(fit.certificate.lower) <= exact.least_piecewise_linear(8, 24, 32 * Fraction(2)) / 32


def test_several_targets_have_the_bits_of_each_beside_a_heavy_row():
    rng = np.random.default_rng(3)
    X, Y, s = rng.standard_normal((50, 2)) + 5, rng.standard_normal((50, 3)), np.ones(50)
    Y[7] += [0, 1e3, 0]
    s[7] = 2.0**40
    many = fastdl.fit_lp(X, Y, sample_weight=s)
    for j in range(3):
        one = fastdl.fit_lp(X, Y[:, j], sample_weight=s)
        np.testing.assert_array_equal(many.w[j], one.w)
        assert many.targets[j].certificate == one.certificate


def test_a_high_power_of_small_targets_with_large_weights():
    """1e-32 to the tenth is below the least float, times 1e27 it is not."""
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((20, 1)), rng.standard_normal(20)
    one = fastdl.fit_lp(X, y, 10.0)
    fit = fastdl.fit_lp(X, y * 2.0**-105, 10.0, sample_weight=np.full(20, 2.0**90))
    np.testing.assert_allclose(fit.w * 2.0**105, one.w, rtol=1e-6)
    np.testing.assert_allclose(fit.loss * 2.0**960, one.loss, rtol=1e-8)
    assert fit.certificate.gap < 1e-7


def test_one_dimension_is_one_column():
    x, y = np.array([0.0, 1, 2, 3, 5]), np.array([1.0, 3, 4, 7, 12])
    for fit in (
        fastdl.fit_lp(x, y), fastdl.fit_lp(x, y, 1), fastdl.fit_quantile(x, y, 0.3), fastdl.fit_quantile(x, y, l2=1.0),
        fastdl.fit_huber(x, y), fastdl.fit_elastic_net(x, y, l1=1.0),
    ):  # fmt: skip
        np.testing.assert_array_equal(fit.predict(x), fit.predict(x[:, None]))
    np.testing.assert_array_equal(fastdl.fit_lp(x, y).w, fastdl.fit_lp(x[:, None], y).w)
    assert fastdl.fit_logistic(x, y > 3).predict(x).shape == (5,)
    assert fastdl.lp_loss(x, y, [2.0], 1.0) == fastdl.lp_loss(x[:, None], y, [2.0], 1.0)
    network = fastdl.fit_network(x, y, (2,), epochs=1)
    np.testing.assert_array_equal(network.predict(x), network.predict(x[:, None]))
