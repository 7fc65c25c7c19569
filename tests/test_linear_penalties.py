"""Ridge, lasso, elastic net and the sums behind them: against scikit-learn, statsmodels and exact rationals."""

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest

import fastdl


def problem(n=200, d=7, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-1, 2, d) + 3
    w = rng.standard_normal(d) * (rng.random(d) < 0.6) / X.std(axis=0)
    return X, X @ w + 5 + rng.standard_normal(n), rng.integers(0, 3, n).astype(float)


@pytest.mark.parametrize("l2", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_ridge_equals_scikit_learn(l2, intercept, weighted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, s = problem()
    s = s if weighted else None
    fit = fastdl.fit_elastic_net(X, y, l2=l2, intercept=intercept, sample_weight=s)
    peer = linear_model.Ridge(l2, fit_intercept=intercept, solver="svd").fit(X, y, sample_weight=s)
    np.testing.assert_allclose(fit.w, peer.coef_, rtol=1e-10, atol=1e-10 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(fit.b, peer.intercept_, rtol=1e-10)
    assert fit.converged and fit.certificate.gap < 1e-11
    state = fastdl.GramAccumulator(l2, intercept=intercept).update((X, y, s)).finish()
    np.testing.assert_allclose(state.w, fit.w, rtol=1e-12)


@pytest.mark.parametrize("l1", [0.1, 30.0, 3000.0])
@pytest.mark.parametrize("l2", [0.0, 2.0])
def test_lasso_and_elastic_net_equal_scikit_learn(l1, l2):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _ = problem()
    fit = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2)
    n = len(y)
    alpha, ratio = l1 / (2 * n) + l2 / n, l1 / (l1 + 2 * l2)
    peer = linear_model.ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-13, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(fit.w, peer.coef_, atol=1e-7 * np.abs(peer.coef_).max(initial=1e-6))
    assert fit.certificate.gap < 1e-10
    assert ((fit.w == 0) == (np.abs(peer.coef_) < 1e-12)).all()


@pytest.mark.parametrize("seed", range(60))
def test_the_bound_is_below_the_exact_optimum(seed):
    """Of one column, in rationals: the least of a parabola, or that of w = 0."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    x, y = rng.integers(-3, 4, n) * 10.0 ** rng.integers(-30, 30), rng.integers(-3, 4, n) + rng.choice([0.0, 1e6])
    l1, l2 = (float(rng.choice([0, 2.0 ** int(rng.integers(-20, 20))])) for _ in range(2))
    if l1 == l2 == 0:
        l2 = 1.0
    fit = fastdl.fit_elastic_net(x[:, None], y, l1=l1, l2=l2)
    exact_x, exact_y = ([Fraction(float(v)) for v in a] for a in (x, y))
    mean_x, mean_y = sum(exact_x) / n, sum(exact_y) / n
    xx = sum((v - mean_x) ** 2 for v in exact_x) + Fraction(l2)
    xy = sum((v - mean_x) * (u - mean_y) for v, u in zip(exact_x, exact_y))
    yy = sum((u - mean_y) ** 2 for u in exact_y)
    z = max(abs(xy) - Fraction(l1) / 2, 0)
    least = yy - (z * z / xx if z else 0)
    w, b = Fraction(float(fit.w[0])), Fraction(fit.b)
    loss = sum((u - b - w * v) ** 2 for v, u in zip(exact_x, exact_y)) + Fraction(l2) * w * w + Fraction(l1) * abs(w)
    assert Fraction(fit.certificate.lower) <= least
    assert abs(loss - Fraction(fit.loss)) <= Fraction(1e-12) * loss + Fraction(
        1e-16 * (n * 1e12 if y.max() > 1e5 else n)
    )


def test_wide_data():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 80)), rng.standard_normal(30)
    for penalty in ({"l1": 5.0}, {"l2": 0.1}, {"l1": 0.01, "l2": 1e-3}):
        fit = fastdl.fit_elastic_net(X, y, **penalty)
        assert fit.converged and fit.certificate.gap < 1e-8


def test_a_path_chooses_as_fits_of_the_folds_do():
    X, y, s = problem(150, 5)
    folds = np.arange(150) % 5
    for name in ("l1", "l2"):
        values = np.logspace(3, -3, 7)
        path = fastdl.fit_elastic_net(X, y, **{name: values}, folds=folds, sample_weight=s)
        for i, value in enumerate(values):
            alone = fastdl.fit_elastic_net(X, y, **{name: value}, sample_weight=s)
            np.testing.assert_allclose(path.fits[i].w, alone.w, rtol=1e-9, atol=1e-12)
            for k in range(5):
                rest = fastdl.fit_elastic_net(
                    X[folds != k], y[folds != k], **{name: value}, sample_weight=s[folds != k]
                )
                test = folds == k
                error = np.average((y[test] - rest.predict(X[test])) ** 2, weights=s[test])
                np.testing.assert_allclose(path.test_losses[k, i], error, rtol=1e-8)
        assert path.best is path.fits[int(path.test_losses.mean(axis=0).argmin())]


def test_accumulator_any_chunks_and_bytes_give_the_same_bits():
    X, y, s = problem(70_000, 3)
    want = fastdl.GramAccumulator().update((X, y, s)).finish()
    state, start = fastdl.GramAccumulator(), 0
    for size in (1, 10_000, 50_001, 7, 99_999):
        state.update((X[start : start + size], y[start : start + size], s[start : start + size]))
        state = pickle.loads(pickle.dumps(fastdl.GramAccumulator.from_bytes(state.to_bytes())))
        start += size
    got = state.finish()
    assert (got.w == want.w).all() and got.b == want.b and got.loss == want.loss and got.count == np.count_nonzero(s)


def test_accumulator_merges_and_takes_many_targets():
    X, y, s = problem(5000, 4)
    Y = np.column_stack([y, X[:, 0] - y, y**2])
    whole = fastdl.GramAccumulator().update((X, Y, s)).finish()
    parts = [
        fastdl.GramAccumulator().update((X[i : i + 700], Y[i : i + 700], s[i : i + 700])) for i in range(0, 5000, 700)
    ]
    state = fastdl.GramAccumulator()
    for part in parts:
        state.merge(part)
    merged = state.finish()
    np.testing.assert_allclose(merged.w, whole.w, rtol=1e-11)
    for k in range(3):
        fit = fastdl.fit_lp(X, Y[:, k], sample_weight=s)
        np.testing.assert_allclose(whole.w[k], fit.w, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(whole.b[k], fit.b, rtol=1e-10)
        np.testing.assert_allclose(whole.loss[k], fit.loss, rtol=1e-9)


def test_standard_errors_equal_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    X, y, _ = problem()
    fit = fastdl.GramAccumulator().update((X, y)).finish()
    peer = api.OLS(y, api.add_constant(X)).fit()
    np.testing.assert_allclose(fit.standard_errors, peer.bse, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "not both be 0"),
        ({"l1": -1}, "must not be negative"),
        ({"l1": [1, 2], "l2": [1, 2, 3]}, "one length"),
        ({"l2": 1, "folds": [0, 0]}, "at least two folds"),
        ({"l2": np.nan}, "finite"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(fastdl.errors.InputError, match=message):
        fastdl.fit_elastic_net([[1.0], [2.0]], [1.0, 2.0], **options)


@pytest.mark.parametrize("seed", range(12))
def test_a_small_lasso_of_as_many_columns_as_rows_ends_at_its_least(seed):
    """Dependent columns, and residuals of a thousandth of y: once 233.96 instead of 0.226."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng([seed, 8])
    n, d = int(rng.integers(10, 40)), int(rng.integers(10, 40))
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-2, 3, d) + rng.standard_normal(d)
    if seed % 3 == 0:
        X[:, 1], X[:, 2] = X[:, 0], 2 * X[:, 0]
    y, l1 = X @ rng.standard_normal(d) + rng.standard_normal(n), float(10.0 ** rng.uniform(-2, 1))
    fit = fastdl.fit_elastic_net(X, y, l1=l1)
    assert fit.converged and fit.certificate.gap <= 1e-8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not converge
        peer = linear_model.Lasso(alpha=l1 / (2 * n), tol=1e-12, max_iter=20_000).fit(X, y)
    other = ((y - peer.predict(X)) ** 2).sum() + l1 * np.abs(peer.coef_).sum()
    assert fit.certificate.lower <= other and fit.loss <= other * (1 + 1e-9)


@pytest.mark.parametrize("penalty", [{"l1": 512.0}, {"l2": 512.0}, {"l1": 0.5, "l2": 0.004}])
@pytest.mark.filterwarnings("ignore::fastdl.errors.NotConverged")
def test_penalties_beside_weights_of_any_size_and_a_constant_column(penalty):
    """The penalty is nothing beside the weights: what is left is least squares, whose residuals are orthogonal."""
    X = np.array([[1.0, -2.0, 7.0], [0.0, -2.0, 7.0], [1.0, -1.0, 7.0], [0.0, -1.0, 7.0]])
    y, s = np.array([1.0, -2.0, 2.0, -2.0]), np.array([1.0, 3.0, 2.0, 3.0])
    fit = fastdl.fit_elastic_net(X, y, sample_weight=s * 2.0**500, **penalty)
    r = y - X @ fit.w - fit.b
    np.testing.assert_allclose([s @ r, *(X[:, :2].T @ (s * r))], 0, atol=1e-12)
    assert fit.w[2] == 0
    assert fit.loss == pytest.approx(float(s @ r**2) * 2.0**500)
    assert fit.certificate.lower <= fit.loss
