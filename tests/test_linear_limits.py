"""Fits at the limits: tiny and huge units, one far y, fewer rows than columns, custom losses in any unit."""

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fastdl


def rows(n=50, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ np.arange(1.0, d + 1) + 1 + rng.normal(size=n)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "momentum"])
@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-5, 1.0, 1e6])
def test_a_custom_loss_in_any_unit(unit, optimizer):
    pytest.importorskip("scipy")
    X, y = rows(100, 2)
    square = fastdl.custom_loss(lambda r: r * r, lambda r: 2 * r)
    A = np.column_stack([np.ones(len(y)), X])
    least = ((y - A @ np.linalg.lstsq(A, y, rcond=None)[0]) ** 2).sum()
    fit = fastdl.fit_lp(X, y * unit, square, optimizer=optimizer)
    assert fit.loss / unit**2 == pytest.approx(least, rel=1e-6)
    assert not fit.converged  # nothing is known of a loss of the user's own


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
def test_too_small_for_digits_is_said(p):
    X, y = rows()
    with pytest.raises(fastdl.errors.InputError, match="column 0 of X varies by less than"):
        fastdl.fit_lp(X * 1e-309, y, p)
    with pytest.raises(fastdl.errors.InputError, match="y varies by less than"):
        fastdl.fit_lp(X, y * 1e-310, p)
    small = fastdl.fit_lp(X * 2.0**-990, y, p)
    np.testing.assert_allclose(small.w * 2.0**-990, fastdl.fit_lp(X, y, p).w, rtol=1e-6)
    constant = np.column_stack([X, np.full(len(y), 1e-310), np.zeros(len(y))])
    assert fastdl.fit_lp(constant, y, p).w[3:].tolist() == [0, 0]


@pytest.mark.parametrize(("n", "d"), [(1, 5), (2, 3), (20, 90), (40, 300)])
@pytest.mark.parametrize("intercept", [True, False])
def test_fewer_rows_than_columns(n, d, intercept):
    rng = np.random.default_rng(n)
    X, y = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 3, d), rng.normal(size=n) + 5
    X[:, -1] = X[:, 0]  # and some that others determine
    fit = fastdl.fit_lp(X, y, intercept=intercept)
    mean = X.mean(axis=0) * intercept
    w = np.linalg.lstsq(X - mean, y - y.mean() * intercept, rcond=None)[0]
    np.testing.assert_allclose(fit.w, w, rtol=1e-8, atol=1e-10 * np.abs(w).max(initial=0))
    assert fit.loss == 0
    assert fit.converged
    np.testing.assert_allclose(fit.predict(X), y, rtol=1e-10)


def test_columns_of_far_scales_that_two_rows_leave_open():
    X = np.array([[-1.9e81, -1.16e-69], [-3.8e81, 5.8e-70]])
    y = np.array([0.0, -5.7e45])
    fit = fastdl.fit_lp(X, y)
    np.testing.assert_allclose(fit.predict(X), y, atol=1e-12 * 5.7e45)


def least_through_two_rows(x, y, p):
    """(loss, w, b) of the best line through two rows, in rationals and 330 digits."""
    best = None
    x, y = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()]
    with mpmath.workdps(330):
        for i, j in itertools.combinations(range(len(x)), 2):
            if x[i] != x[j]:
                w = (y[j] - y[i]) / (x[j] - x[i])
                r = [abs(v - w * u - (y[i] - w * x[i])) for u, v in zip(x, y)]
                loss = sum((mpmath.mpf(a.numerator) / a.denominator) ** p for a in r)
                if best is None or loss < best[0]:
                    best = loss, float(w), float(y[i] - w * x[i])
    return best


# For p < 1 as far as the loss of the far row leaves digits of float64 to tell the others' apart by.
@pytest.mark.parametrize(
    ("p", "far"),
    [(p, far) for p in (0.5, 0.9, 1.0) for far in (1e3, 1e14, 1e17, 1e20, 1e300) if p == 1 or far**p < 1e16],
)
def test_one_far_y_does_not_take_the_digits_of_the_others(p, far):
    rng = np.random.default_rng(4)
    x = np.round(rng.uniform(0, 10, 12), 2)
    y = np.round(2 * x + 1 + rng.normal(0, 0.5, 12), 2)
    y[5] = far
    loss, w, b = least_through_two_rows(x, y, p)
    fit = fastdl.fit_lp(x[:, None], y, p)
    assert fit.w[0] == pytest.approx(w, rel=1e-9)
    assert fit.b == pytest.approx(b, rel=1e-9)
    assert fit.certificate.lower <= float(loss) * (1 + 1e-12)


def test_one_far_y_among_many_rows():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 2))
    y = X @ [1.0, 2.0] + 1 + np.where(rng.random(3000) < 0.5, 0, rng.normal(size=3000))
    y[7] = 1e20
    fit = fastdl.fit_lp(X, y, 0.5)
    np.testing.assert_allclose([*fit.w, fit.b], [1, 2, 1], rtol=1e-9)


def test_a_degree_is_selected_beside_one_far_y():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, 200)
    y = x**3 - x + 0.01 * rng.normal(size=200)
    far = y.copy()
    far[7] = 1e20
    assert fastdl.select_degree(x, far, range(8), p=1, seed=0).best == fastdl.select_degree(x, y, range(8), p=1).best


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2])
def test_a_model_through_every_row_does_so_in_floats(p):
    X = [[-2.087037931660978, -0.7603305362762122], [-2.08780159818606, -1.7867817665146495]]
    y = [0.060331355878608196, 1e20]
    fit = fastdl.fit_lp(X, y, p)
    assert fit.loss == 0 and fit.certificate.kind == "interpolation"
    model = [Fraction(float(fit.b)), *map(Fraction, fit.w.tolist())]
    off = [Fraction(t) - model[0] - sum(w * Fraction(v) for w, v in zip(model[1:], x)) for x, t in zip(X, y)]
    assert sum(map(abs, off)) <= 1e20 * 2**-48


def test_a_value_that_is_not_finite_is_named_by_its_column():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"age": [1.0, 2.0, np.nan], "dose": [1.0, 2.0, 3.0]})
    y = [1.0, 2.0, 3.0]
    for fit in (
        lambda: fastdl.fit_lp(table, y, 1),
        lambda: fastdl.fit_quantile(table, y),
        lambda: fastdl.fit_quantile(table, y, l1=1.0),
        lambda: fastdl.fit_quantile(table, y, l2=1.0),
        lambda: fastdl.fit_huber(table, y, 1.0),
        lambda: fastdl.fit_logistic(table, [0, 1, 0]),
        lambda: fastdl.fit_network_classifier(table, [0, 1, 0]),
    ):
        with pytest.raises(fastdl.errors.InputError, match="got nan in row 2, column 'age'"):
            fit()
