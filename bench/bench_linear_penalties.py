"""Quantiles, penalties, probabilities, rows in pieces: fastdl, scikit-learn and statsmodels on the same rows."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl


@lru_cache(2)
def rows(n, d):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, X @ (rng.standard_normal(d) * (np.arange(d) % 2)) + 2 + rng.standard_t(3, n)


def near(want, rtol):
    """Losses, or whatever is least at the best model."""
    return lambda got: np.testing.assert_allclose(got, want, rtol=rtol)


def check_loss(X, y, w, b, tau):
    r = y - X @ w - b
    return np.maximum(tau * r, (tau - 1) * r).sum()


@pytest.mark.parametrize("n", [10_000, 100_000])
@pytest.mark.parametrize("who", ["fastdl", "QuantileRegressor(highs)", "statsmodels QuantReg"])
def bench_quantile(compare, n, who):
    X, y = rows(n, 10)
    tau = 0.9
    if who == "fastdl":
        run = lambda: fastdl.fit_quantile(X, y, tau)
        model = lambda fit: (fit.w, fit.b)
    elif who.startswith("Quantile"):
        if n > 10_000:
            pytest.skip("minutes")
        estimator = pytest.importorskip("sklearn.linear_model").QuantileRegressor(quantile=tau, alpha=0, solver="highs")
        run = lambda: estimator.fit(X, y)
        model = lambda fit: (fit.coef_, fit.intercept_)
    else:
        quantiles = pytest.importorskip("statsmodels.regression.quantile_regression")
        A = np.column_stack([np.ones(n), X])
        run = lambda: quantiles.QuantReg(y, A).fit(q=tau).params
        model = lambda beta: (beta[1:], beta[0])
    least = fastdl.fit_quantile(X, y, tau).loss
    check = lambda fit: near(least, 1e-4)(check_loss(X, y, *model(fit), tau))
    compare(f"quantile 0.9, {n} x 10 float64", who, run, items=n, moved=80, limit="read", check=check)


@pytest.mark.parametrize("share", [0.5, 1.0], ids=["elastic net", "lasso"])
@pytest.mark.parametrize("who", ["fastdl", "scikit-learn"])
def bench_elastic_net(compare, share, who):
    X, y = rows(100_000, 64)
    n, alpha = len(X), 0.1
    l1, l2 = 2 * n * alpha * share, n * alpha * (1 - share)
    if who == "fastdl":
        run = lambda: fastdl.fit_elastic_net(X, y, l1=l1, l2=l2)
        model = lambda fit: (fit.w, fit.b)
    else:
        linear_model = pytest.importorskip("sklearn.linear_model")
        estimator = linear_model.ElasticNet(alpha=alpha, l1_ratio=share, tol=1e-8)
        run = lambda: estimator.fit(X, y)
        model = lambda fit: (fit.coef_, fit.intercept_)

    def value(fit):
        w, b = model(fit)
        return ((y - X @ w - b) ** 2).sum() + l1 * np.abs(w).sum() + l2 * w @ w

    best = fastdl.fit_elastic_net(X, y, l1=l1, l2=l2)
    least = ((y - X @ best.w - best.b) ** 2).sum() + l1 * np.abs(best.w).sum() + l2 * best.w @ best.w
    check = lambda fit: near(least, 1e-6)(value(fit))
    name = "lasso" if share == 1 else "elastic net"
    compare(f"{name}, 100000 x 64 float64", who, run, items=n, moved=512, limit="read", check=check)


@pytest.mark.parametrize(("n", "classes"), [(200_000, 2), (100_000, 5)])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "scikit-learn lbfgs", "scikit-learn newton-cholesky"])
def bench_logistic(compare, n, classes, who):
    """Both to weights near the least loss: at scikit-learn's usual tolerance of 1e-4 they have two digits."""
    X, _ = rows(n, 20)
    rng = np.random.default_rng(1)
    label = (X @ rng.normal(0, 0.7, (20, classes)) + rng.gumbel(size=(n, classes))).argmax(axis=1)
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_logistic(X, label, threads=2 if "2" in who else 1)
    else:
        linear_model = pytest.importorskip("sklearn.linear_model")
        estimator = linear_model.LogisticRegression(C=1.0, solver=who.split()[1], tol=1e-10, max_iter=1000)
        run = lambda: estimator.fit(X, label)
    want = fastdl.fit_logistic(X, label).predict_proba(X[:1000])
    check = lambda fit: np.testing.assert_allclose(fit.predict_proba(X[:1000]), want, atol=1e-5)
    name = f"logistic regression, {n} x 20 float64, {classes} classes"
    compare(name, who, run, items=len(X), moved=160, limit="read", check=check)


@pytest.mark.parametrize("who", ["fastdl", "scikit-learn", "statsmodels RLM", "scipy L-BFGS-B, NumPy's loss"])
def bench_huber(compare, who):
    """scikit-learn fits a scale too, and is compared at the delta that it comes to; statsmodels with a scale of 1."""
    X, y = rows(100_000, 10)
    linear_model = pytest.importorskip("sklearn.linear_model")
    estimator = linear_model.HuberRegressor(epsilon=1.345, alpha=0, tol=1e-8, max_iter=1000)
    delta = 1.345 * estimator.fit(X, y).scale_

    def loss(v):
        r = y - X @ v[1:] - v[0]
        clipped = np.clip(r, -delta, delta)
        return (clipped * (r - clipped / 2)).sum() / len(y), -np.append(clipped.sum(), clipped @ X) / len(y)

    if who == "fastdl":
        run = lambda: fastdl.fit_huber(X, y, delta)
        value = lambda fit: loss(np.append(fit.b, fit.w))[0]
    elif who == "scikit-learn":
        run = lambda: estimator.fit(X, y)
        value = lambda fit: loss(np.append(fit.intercept_, fit.coef_))[0]
    elif who.startswith("statsmodels"):
        robust = pytest.importorskip("statsmodels.robust.robust_linear_model")
        norms = pytest.importorskip("statsmodels.robust.norms")
        model = robust.RLM(y, np.column_stack([np.ones(len(y)), X]), M=norms.HuberT(delta))
        run = lambda: model.fit(scale_est=lambda *_: 1.0, tol=1e-8)
        value = lambda fit: loss(fit.params)[0]
    else:
        optimize = pytest.importorskip("scipy.optimize")
        run = lambda: optimize.minimize(loss, np.zeros(11), jac=True, method="L-BFGS-B", options={"gtol": 1e-9}).fun
        value = lambda fun: fun
    best = fastdl.fit_huber(X, y, delta)
    check = lambda fit: near(loss(np.append(best.b, best.w))[0], 1e-6)(value(fit))
    compare("Huber, 100000 x 10 float64", who, run, items=len(X), moved=80, limit="read", check=check)


@pytest.mark.parametrize("who", ["fastdl", "NumPy"])
def bench_gram_accumulator(compare, who):
    """Least squares of rows that come in chunks of 10,000."""
    X, y = rows(100_000, 64)
    chunks = [(X[i : i + 10_000], y[i : i + 10_000]) for i in range(0, len(X), 10_000)]

    def ours():
        state = fastdl.GramAccumulator()
        for chunk in chunks:
            state.update(chunk)
        return state.finish().w

    def numpys():
        total = np.zeros((66, 66))
        for Xs, ys in chunks:
            A = np.column_stack([np.ones(len(Xs)), Xs, ys])
            total += A.T @ A
        return np.linalg.solve(total[:-1, :-1], total[:-1, -1])[1:]

    run = ours if who == "fastdl" else numpys
    check = lambda w: np.testing.assert_allclose(w, ours(), rtol=1e-6, atol=1e-8)
    limit = "float64 products"
    compare("least squares in chunks, 100000 x 64", who, run, items=len(X), moved=65 * 66 / 2, limit=limit, check=check)
