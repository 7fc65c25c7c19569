"""Lower bounds and losses of hostile data sets, each once wrong, against exact arithmetic."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fastdl
from tests.fuzz import fits
from tests.fuzz._exact_fits import ExactRows

#: (p, X, y): nearly dependent columns, far clusters, a far y at a far x.
LOW_POWERS = [
    (0.5, [[2, -1], [1, -1], [100000001, 100000002], [-2, -2], [0, -2], [1, 0]], [2, 0, -2, 0, -1, 2]),
    (0.5, [[1.247482733912847], [-1.458822239006094], [1e8]], [-1.347250165338197, -0.8613079650258768, 1e20]),
    (0.1, [[22.3, 72.140000001], [16, 60.799999999], [21.9, 71.42], [15.7, 60.26], [19.2, 66.56]], [-2, -1, -2, 1, 1]),
    (0.9, [[1], [1], [-1], [-2], [0]], [2, 2, 1, 0, -2]),
    (0.5, [[1e8], [0.3200557540721651], [-0.7877902282474625]], [0.036328724413027674, 0.6289083857698873, -1e300]),
]
HIGH_POWERS = [
    (10.0, [[-1], [1e8], [-0.8], [1], [0.5], [1.4], [-0.5]], [2, 1e20, 1.3, -0.5, -1, -1, 0.5]),
    (1.5, [[-0.9], [0.4], [-1], [0.5], [-0.3], [-0.2], [0.9], [1e8]], [1.6, -1, 0.6, 0.1, -0.3, -1.8, 1, 1e20]),
    (3.0, [[-0.8], [-0.1], [-9999]], [-0.6, -0.2, 1e20]),
    (3.0, [[10001], [-2], [9998]], [1, 2, 1]),
]


@pytest.mark.parametrize(("p", "X", "y"), LOW_POWERS)
def test_powers_below_1_have_a_true_bound_and_name_the_rows_they_go_through(p, X, y):
    exact, fit = ExactRows(X, y, np.ones(len(y))), fastdl.fit_lp(X, y, p)
    assert Fraction(fit.certificate.lower) <= exact.least_power(p)
    assert fit.certificate.upper == fit.loss
    residuals = exact.residuals([Fraction(float(v)) for v in (fit.b, *fit.w)])
    size = exact.sizes([Fraction(float(v)) for v in (fit.b, *fit.w)])
    assert len(fit.rows) >= fit.rank
    assert all(abs(residuals[i]) <= size[i] * Fraction(16, 2**52) for i in fit.rows)
    with mpmath.workdps(50):
        others = [abs(r) for i, r in enumerate(residuals) if i not in fit.rows]
        own = sum((mpmath.mpf(r.numerator) / r.denominator) ** mpmath.mpf(p) for r in others)
        assert abs(own - fit.loss) <= own * mpmath.mpf(10) ** -13


def test_rows_are_numbered_as_they_are_given():
    X, y, s = [[0.0], [5.0], [1.0], [2.0], [3.0]], [1.0, 9.0, 2.0, 3.0, 7.0], [1.0, 0.0, 1.0, 1.0, 1.0]
    assert fastdl.fit_lp(X, y, 0.5, sample_weight=s).rows.tolist() == [0, 2, 3]
    chunks = [(X[:2], y[:2], s[:2]), (X[2:], y[2:], s[2:])]
    assert fastdl.fit_lp(chunks, p=0.5).rows.tolist() == [0, 2, 3]
    assert fastdl.fit_lp(X[2:4], y[2:4], 0.5).rows.tolist() == [0, 1]
    assert fastdl.fit_lp(X, y, 1).rows is None


@pytest.mark.parametrize(("p", "X", "y"), HIGH_POWERS)
def test_powers_above_1_have_a_true_bound_beside_a_far_row(p, X, y):
    exact, fit = ExactRows(X, y, np.ones(len(y))), fastdl.fit_lp(X, y, p)

    def terms(r):
        u, power = abs(r), mpmath.mpf(p)
        return u**power, power * u ** (power - 1) * mpmath.sign(r), power * (power - 1) * u ** (power - 2)

    least = exact.descend([Fraction(float(v)) for v in (fit.b, *fit.w)], terms, steps=8)
    assert Fraction(fit.certificate.lower) <= least <= Fraction(fit.loss) * (1 + Fraction(1, 10**12))
    assert fit.certificate.gap <= 1e-7


def test_a_power_beyond_the_largest_float_is_infinite():
    X, y = [[-1.3], [-0.5], [-9999.0], [0.3]], [0.2, 1e300, 0.1, 0.4]
    assert fastdl.fit_lp(X, y, 3.0).loss == np.inf


@pytest.mark.parametrize("seed", [1, 2])
def test_some_data_sets_of_the_fuzzing(seed):
    assert not fits.failures(seed, 0)


def rounded_columns():
    """A temperature in two units, of which rounding leaves the second one more direction."""
    rng = np.random.default_rng(0)
    celsius = np.round(rng.normal(15, 8, 10), 1)
    return np.column_stack([celsius, celsius * 9 / 5 + 32]), np.round(2 * celsius + rng.standard_normal(10), 3)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_a_gap_above_the_tolerance_is_warned_of(p):
    X, y = rounded_columns()
    with pytest.warns(
        fastdl.errors.NotConverged, match=r"fit_lp stopped with a gap of .* the columns have rank 2 of 3"
    ):
        fit = fastdl.fit_lp(X, y, p)
    assert not fit.converged
    assert fastdl.fit_lp(X[:, :1], y, p).converged


def test_quantiles_say_whether_they_converged():
    X, y = rounded_columns()
    with pytest.warns(fastdl.errors.NotConverged, match="fit_quantile stopped with a gap of"):
        assert not fastdl.fit_quantile(X, y).converged
    assert fastdl.fit_quantile(X[:, :1], y).converged


@pytest.mark.parametrize("far", [1e14, 1e20, 1e100])
def test_the_degree_is_chosen_by_the_rows_that_tell_degrees_apart(far):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 300)
    y = 1 + 2 * x - 3 * x**3 + rng.normal(0, 0.05, 300)
    y[17] = far
    assert fastdl.select_degree(x, y, range(8), p=1).best == 3


@pytest.mark.parametrize(
    ("seed", "number"),
    [
        (11, 828),  # a loss that has only some of the digits of a float
        (21, 16914),  # quantiles: a loss of 1e-7 beside nearly dependent columns of 1e6
        (21, 96509),  # p > 1: slopes beyond the largest float
        (21, 177859),  # p < 1: weights of 1e7, whose rounding is more than y
    ],
)
@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")
def test_data_that_once_came_out_wrong(seed, number):
    assert fits.failure(seed, number) is None
