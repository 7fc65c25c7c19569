"""Quantile fits: against HiGHS, quantreg's published figures and exact rationals."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

import fastdl
from tests.fuzz._exact_fits import ExactRows


def highs(X, y, tau, s):
    optimize = pytest.importorskip("scipy.optimize")
    (n, d), free = X.shape, (None, None)
    A = np.column_stack([np.ones(n), X, np.eye(n), -np.eye(n)])
    cost = np.concatenate([np.zeros(d + 1), tau * s, (1 - tau) * s])
    done = optimize.linprog(cost, A_eq=A, b_eq=y, bounds=[free] * (d + 1) + [(0, None)] * (2 * n), method="highs")
    return done.fun


@pytest.mark.parametrize("seed", range(25))
def test_equals_highs(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(5, 80)), int(rng.integers(1, 4))
    X, y = rng.standard_normal((n, d)), rng.standard_t(2, n) * 10
    s = rng.integers(1, 4, n).astype(float)
    taus = [0.05, 0.25, 0.5, 0.9]
    for fit in fastdl.fit_quantile(X, y, taus, sample_weight=s):
        np.testing.assert_allclose(fit.loss, highs(X, y, fit.tau, s), rtol=1e-9)
        assert fit.certificate.gap < 1e-9, fit.certificate


@pytest.mark.parametrize("seed", range(60))
def test_the_bound_is_below_the_exact_optimum_of_small_integers(seed):
    rng = np.random.default_rng(seed)
    n, tau = int(rng.integers(2, 9)), float(rng.choice([0.125, 0.5, 0.75]))
    x, y = rng.integers(-2, 3, n), rng.integers(-2, 3, n)
    if len(set(x.tolist())) < 2:
        return
    fit = fastdl.fit_quantile(x[:, None].astype(float), y.astype(float), tau)

    def loss(w, b):
        r = [int(v) - b - w * int(u) for u, v in zip(x, y)]
        return sum(Fraction(tau) * v if v > 0 else (Fraction(tau) - 1) * v for v in r)

    lines = [Fraction(int(y[j] - y[i]), int(x[j] - x[i])) for i, j in combinations(range(n), 2) if x[i] != x[j]]
    pairs = [(i, j) for i, j in combinations(range(n), 2) if x[i] != x[j]]
    least = min(loss(w, int(y[i]) - w * int(x[i])) for w, (i, _) in zip(lines, pairs))
    assert Fraction(fit.certificate.lower) <= least
    assert abs(loss(Fraction(float(fit.w[0])), Fraction(fit.b)) - least) <= Fraction(1, 10**12)
    assert fit.certificate.gap < 1e-9 or least == 0


def test_quantreg_s_figures_for_stackloss():
    """rq(stack.loss ~ stack.x, tau): the vignette of R's quantreg gives the median fit."""
    rows = """80 27 89 42;80 27 88 37;75 25 90 37;62 24 87 28;62 22 87 18;62 23 87 18;62 24 93 19;62 24 93 20;
    58 23 87 15;58 18 80 14;
    58 18 89 14;58 17 88 13;58 18 82 11;58 19 93 12;50 18 89 8;50 18 86 7;50 19 72 8;50 19 79 8;50 20 80 9;
    56 20 82 15;70 20 91 15"""
    data = np.array([[float(v) for v in row.split()] for row in rows.split(";")])
    fit = fastdl.fit_quantile(data[:, :3], data[:, 3], 0.5)
    np.testing.assert_allclose([fit.b, *fit.w], [-39.68986, 0.83188, 0.57391, -0.06087], atol=5e-6)


def test_shares_below_and_refusals():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2001, 2)), rng.standard_normal(2001)
    for fit in fastdl.fit_quantile(X, y, (0.1, 0.9)):
        assert abs((y < fit.predict(X)).mean() - fit.tau) < 0.003
    with pytest.raises(fastdl.errors.InputError, match="above 0 and below 1"):
        fastdl.fit_quantile(X, y, [0.5, 1.0])
    with pytest.raises(fastdl.errors.InputError, match="lengths"):
        fastdl.fit_quantile(X, y[:5])


def lasso_by_highs(X, y, tau, s, l1, intercept):
    """The least of check loss and penalty: w = u - v of u, v >= 0."""
    optimize = pytest.importorskip("scipy.optimize")
    n, d = X.shape
    A = np.column_stack([np.full(n, float(intercept)), X, -X, np.eye(n), -np.eye(n)])
    cost = np.concatenate([[0.0], np.full(2 * d, l1), tau * s, (1 - tau) * s])
    bounds = [(None, None)] + [(0, None)] * (2 * d + 2 * n)
    return optimize.linprog(cost, A_eq=A, b_eq=y, bounds=bounds, method="highs").fun


@pytest.mark.parametrize("seed", range(40))
def test_lasso_equals_highs(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 80)), int(rng.integers(1, 9))
    X, y = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-3, 4, d), rng.standard_t(2, n) * 10
    if seed % 4 == 0:
        X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, n).astype(float)
    s, l1, intercept = rng.integers(1, 4, n).astype(float), float(10.0 ** rng.uniform(-3, 2)), bool(seed % 3)
    for fit in fastdl.fit_quantile(X, y, [0.1, 0.5, 0.8], sample_weight=s, l1=l1, intercept=intercept):
        want = lasso_by_highs(X, y, fit.tau, s, l1, intercept)
        r = y - fit.predict(X)
        again = (s * np.where(r > 0, fit.tau * r, (fit.tau - 1) * r)).sum() + l1 * np.abs(fit.w).sum()
        np.testing.assert_allclose(fit.loss, again, rtol=1e-12)
        np.testing.assert_allclose(fit.loss, want, rtol=1e-8, atol=1e-9)
        assert fit.certificate.lower <= want * (1 + 1e-9) + 1e-9
        assert fit.certificate.gap < 1e-8 or want < 1e-9, fit.certificate


def test_lasso_of_copied_columns_and_of_more_columns_than_rows():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((30, 50))
    X[:, 1] = X[:, 0]
    X[:, 2] = 2 * X[:, 0]
    y = X[:, 0] * 3 + rng.standard_normal(30)
    fit = fastdl.fit_quantile(X, y, l1=3.0)
    assert fit.certificate.gap < 1e-9
    assert np.count_nonzero(fit.w) < 30
    assert not fit.w[:2].any()  # the third is the same column, at half the penalty
    np.testing.assert_allclose(fit.loss, lasso_by_highs(X, y, 0.5, np.ones(30), 3.0, True), rtol=1e-9)
    heavy = fastdl.fit_quantile(X, y, l1=1e6)
    assert not heavy.w.any()
    assert heavy.b == np.median(y) or heavy.certificate.gap < 1e-9


def test_lasso_equals_scikit_learn_s_quantile_regressor():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    peer = linear_model.QuantileRegressor(quantile=0.3, alpha=0.05).fit(X, y)
    fit = fastdl.fit_quantile(X, y, 0.3, l1=0.05 * 60)
    np.testing.assert_allclose(fit.w, peer.coef_, atol=1e-8)
    assert fit.l1 == pytest.approx(3.0)


@pytest.mark.parametrize("tau", [0.03125, 0.25, 0.5, 0.75])
def test_the_bound_of_a_loss_far_below_the_values(tau):
    """Losses of 1e-7 beside values of 1e6: the bound is of the columns as given, not of their orthonormal form."""
    X = [[2.0, 0.0], [999999.0, 999998.0], [1000001.0, 999998.0], [-2.0, -2.0]]
    y = [0.0, 0.0, -1.0, 1.0]
    with pytest.warns(fastdl.errors.NotConverged):
        fit = fastdl.fit_quantile(X, y, tau)
    rows, exact = ExactRows(np.array(X), np.array(y), np.ones(4, int)), int(tau * 32)
    least = rows.least_piecewise_linear(exact, 32 - exact) / 32
    assert least * (1 - Fraction(1, 10**9)) <= Fraction(fit.certificate.lower) <= least <= Fraction(fit.loss)


def least_with_squares(X, y, tau, s, *, l1, l2, intercept):
    """Of the dual problem, by SciPy's sequential quadratic programming."""
    optimize = pytest.importorskip("scipy.optimize")
    n = len(y)
    # Maximise <y, a> - sum max(|X'a| - l1, 0)^2 / (4 l2) for s (tau - 1) <= a <= s tau of sum 0.
    bounds, ones = list(zip(s * (tau - 1), s * tau)), np.ones(n)

    def negative(a):
        over = np.maximum(np.abs(X.T @ a) - l1, 0)
        value = -(y @ a) + (over * over).sum() / (4 * l2)
        return value, -y + X @ (over * np.sign(X.T @ a)) / (2 * l2)

    constraints = [{"type": "eq", "fun": lambda a: ones @ a, "jac": lambda a: ones}] if intercept else []
    options = {"maxiter": 2000, "ftol": 1e-14}
    done = optimize.minimize(
        negative, np.zeros(n), jac=True, bounds=bounds, constraints=constraints, method="SLSQP", options=options
    )
    return -done.fun


@pytest.mark.parametrize("seed", range(12))
def test_penalties_of_squares_reach_the_least_loss(seed):
    rng = np.random.default_rng(seed)
    n, d, tau = int(rng.integers(3, 25)), int(rng.integers(1, 4)), float(rng.choice([0.2, 0.5, 0.75]))
    X, y, s = rng.standard_normal((n, d)) + 1, rng.standard_t(2, n), rng.integers(1, 4, n).astype(float)
    l1, l2, intercept = float(rng.choice([0.0, 1.0])), float(10.0 ** rng.uniform(-1, 2)), bool(seed % 3)
    fit = fastdl.fit_quantile(X, y, tau, l1=l1, l2=l2, sample_weight=s, intercept=intercept)
    r = y - fit.predict(X)
    own = (s * np.where(r > 0, tau * r, (tau - 1) * r)).sum() + l1 * np.abs(fit.w).sum() + l2 * (fit.w**2).sum()
    assert fit.loss == pytest.approx(own, rel=1e-12)
    assert fit.certificate.gap < 1e-8 and fit.certificate.kind == "dual" and fit.l2 == l2
    least = least_with_squares(X, y, tau, s, l1=l1, l2=l2, intercept=intercept)
    assert fit.loss == pytest.approx(least, rel=1e-6)
    assert fit.certificate.lower >= least * (1 - 1e-6)


@pytest.mark.parametrize(("scale", "unit", "weight"), [(1e-9, 1e9, 1.0), (1e6, 1e-12, 1e-200), (1.0, 1e100, 1e150)])
def test_penalties_of_squares_know_no_units(scale, unit, weight):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((200, 3)), rng.standard_t(2, 200)
    base = fastdl.fit_quantile(X, y, 0.3, l1=2.0, l2=3.0)
    assert base.certificate.gap < 1e-10
    fit = fastdl.fit_quantile(
        X * scale, y * unit, 0.3, l1=2.0 * weight * scale, l2=3.0 * weight * scale * (scale / unit),
        sample_weight=np.full(200, weight),
    )  # fmt: skip
    np.testing.assert_allclose(fit.w * scale / unit, base.w, rtol=1e-6, atol=1e-9)
    assert fit.certificate.gap < 1e-8


def test_a_path_of_penalties_and_many_columns():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 60))
    X[:, 1] = X[:, 0]
    y = X[:, 0] * 3 + rng.standard_normal(40)
    fits = fastdl.fit_quantile(X, y, 0.5, l1=[0.0, 2.0, 0.0], l2=[1.0, 1.0, 50.0])
    assert [(fit.l1, fit.l2) for fit in fits] == [(0.0, 1.0), (2.0, 1.0), (0.0, 50.0)]
    assert all(fit.certificate.gap < 1e-8 for fit in fits)
    assert fits[0].w[0] == pytest.approx(fits[0].w[1], rel=1e-6)  # of equal columns squares share the weight
    assert 0 < np.count_nonzero(fits[1].w) < 60
    assert (fits[2].w ** 2).sum() < (fits[0].w ** 2).sum()
    with pytest.raises(fastdl.errors.InputError, match="of one tau"):
        fastdl.fit_quantile(X, y, [0.3, 0.5], l2=[1.0, 2.0])
    with pytest.raises(fastdl.errors.InputError, match="must not be negative"):
        fastdl.fit_quantile(X, y, l2=-1.0)
    none = fastdl.fit_quantile(X[:0], y[:0], l2=1.0)
    assert none.loss == 0 and not none.w.any()
    constant = fastdl.fit_quantile(X[:, :0], y, 0.5, l2=1.0)
    assert constant.loss == pytest.approx(np.abs(y - np.median(y)).sum() / 2)
    zero = fastdl.fit_quantile(X[:, :0], y, 0.5, l2=1.0, intercept=False)
    assert zero.loss == pytest.approx(np.abs(y).sum() / 2)


@pytest.mark.parametrize("tau", [1e-3, 0.03, 0.97])
@pytest.mark.parametrize("seed", range(8))
def test_penalties_of_squares_reach_extreme_quantiles(tau, seed):
    # A start far from the middle of the borders once let the steps become so short that the method gave up.
    rng = np.random.default_rng([8, seed])
    n, d = int(rng.integers(20, 60)), int(rng.integers(1, 5))
    X, y = rng.standard_normal((n, d)) + rng.choice([0, 1, 100]), rng.standard_t(2, n)
    l1, l2 = float(rng.choice([0.0, 1.0])), float(10.0 ** rng.uniform(-3, 4))
    fit = fastdl.fit_quantile(X, y, tau, l1=l1, l2=l2, intercept=bool(seed % 4))
    assert fit.certificate.gap < 1e-8


@pytest.mark.parametrize(
    "preference", [[np.inf, np.inf, 1e153, 1e154, 0.0, 9e-154], [np.nan] * 6, [0.0] * 6, [1e308] * 6]
)
def test_rows_are_found_whatever_the_interior_point_method_prefers(preference):
    from fastdl.linear._matrix import DesignMatrix
    from fastdl.linear.methods._vertices import vertex

    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(6, 3)), rng.normal(size=6)
    A, s, g = DesignMatrix(X, 1), np.ones(6), np.zeros(4)
    proof = vertex(A, t, s, g, np.array(preference), np.zeros(6))
    assert proof is not None
    least = fastdl.fit_quantile(X, t, tau=0.5).loss * 2
    assert np.abs(A.minus(t, proof.gamma)).sum() == pytest.approx(least, rel=1e-12)
