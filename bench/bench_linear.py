"""Fits: fastdl and peers on the same rows; each line says how far above fastdl's proven lower bound its loss ends."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl

SQUARES = [
    "fastdl", "fastdl 2 threads", "normal equations", "Ridge(alpha=0, cholesky)", "LinearRegression",
    "scikit-learn-intelex", "scikit-learn-intelex 2 threads", "lstsq",
]  # fmt: skip


@lru_cache(2)
def rows(n, d, dtype=np.float64, tails=3):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = X @ rng.standard_normal(d) + 2 + rng.standard_t(tails, n)
    return X.astype(dtype), y.astype(dtype)


def above(X, y, p, lower, fit):
    """How far the loss of (w, b) is above the bound, relatively, computed in float64."""
    w, b = fit
    r = y.astype(float) - X.astype(float) @ np.asarray(w, float) - float(b)
    return f"{(np.abs(r) ** p).sum() / lower - 1:.0e}"


def compared(compare, group, who, run, X, y, p, model):
    """Time run(), whose result model() turns into (w, b), and note its distance from the bound."""
    lower = fastdl.fit_lp(X, y, p, tol=1e-12).certificate.lower
    note = f"{above(X, y, p, lower, model(run()))} above the least loss"
    compare(group, who, run, items=len(X), moved=X.itemsize * X.shape[1], limit="read", note=note)


def normal_equations(X, y):
    """(w, b) by NumPy, in the dtype of X."""
    center, up = X.mean(axis=0), y.mean()
    Z = X - center
    w = np.linalg.solve(Z.T @ Z, Z.T @ (y - up))
    return w, up - center @ w


def plain(fit):
    return fit.w, fit.b


def sklearn_model(fit):
    return fit.coef_, fit.intercept_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [20, 64])
@pytest.mark.parametrize("who", SQUARES)
def bench_least_squares(compare, d, dtype, who):
    X, y = rows(1_000_000, d, dtype)
    model = plain
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_lp(X, y, threads=2 if "2" in who else 1)
    elif who == "normal equations":
        run, model = lambda: normal_equations(X, y), lambda fit: fit
    elif who.startswith("scikit-learn-intelex"):
        estimator = pytest.importorskip("sklearnex.linear_model").LinearRegression(n_jobs=2 if "2" in who else 1)
        run = lambda: estimator.fit(X, y)
        model = sklearn_model
    elif who == "lstsq":
        if d == 64:
            pytest.skip("takes minutes of memory for [1 X]")
        run = lambda: np.linalg.lstsq(np.column_stack([np.ones_like(y), X]), y, rcond=None)[0]
        model = lambda beta: (beta[1:], beta[0])
    else:
        linear_model = pytest.importorskip("sklearn.linear_model")
        estimator = linear_model.LinearRegression() if "Linear" in who else linear_model.Ridge(0, solver="cholesky")
        run = lambda: estimator.fit(X, y)
        model = sklearn_model
    compared(compare, f"p = 2, 1M x {d} {dtype}", who, run, X, y, 2, model)


@pytest.mark.parametrize("who", ["fastdl 2 threads", "normal equations", "scikit-learn-intelex 2 threads"])
def bench_least_squares_of_many_columns(compare, who):
    X, y = rows(200_000, 200, "float32")
    model = plain
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_lp(X, y, threads=2)
    elif who == "normal equations":
        run, model = lambda: normal_equations(X, y), lambda fit: fit
    else:
        estimator = pytest.importorskip("sklearnex.linear_model").LinearRegression(n_jobs=2)
        run = lambda: estimator.fit(X, y)
        model = sklearn_model
    compared(compare, "p = 2, 200k x 200 float32", who, run, X, y, 2, model)


@pytest.mark.parametrize("shape", [(100_000, 20), (1_000_000, 20)], ids=str)
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "pinball-qr pfn"])
def bench_least_absolute_of_twenty_columns(compare, shape, who):
    X, y = rows(*shape)
    model = plain
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_lp(X, y, 1, threads=2 if "2" in who else 1)
    else:
        estimator = pytest.importorskip("pinball").QuantileRegressor(0.5, method="pfn")
        if shape[0] > 100_000:
            pytest.skip("takes seconds")
        run = lambda: estimator.fit(X, y)
        model = sklearn_model
    compared(compare, f"p = 1, {shape[0]} x {shape[1]} float64", who, run, X, y, 1, model)


@pytest.mark.parametrize("shape", [(10_000, 10), (1_000_000, 10)], ids=str)
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "QuantileRegressor(highs)", "scipy linprog (highs-ipm)"])
def bench_least_absolute(compare, shape, who):
    X, y = rows(*shape)
    n, d = shape
    model = plain
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_lp(X, y, 1, threads=2 if "2" in who else 1)
    elif n > 10_000:
        pytest.skip("takes hours")
    elif "Quantile" in who:
        estimator = pytest.importorskip("sklearn.linear_model").QuantileRegressor(alpha=0, solver="highs")
        run = lambda: estimator.fit(X, y)
        model = sklearn_model
    else:
        optimize, sparse = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.sparse")
        A = sparse.hstack([np.ones((n, 1)), X, sparse.eye_array(n), -sparse.eye_array(n)]).tocsc()
        cost = np.append(np.zeros(d + 1), np.ones(2 * n))
        bounds = [(None, None)] * (d + 1) + [(0, None)] * (2 * n)
        run = lambda: optimize.linprog(cost, A_eq=A, b_eq=y, bounds=bounds, method="highs-ipm").x
        model = lambda x: (x[1 : d + 1], x[0])
    compared(compare, f"p = 1, {n} x {d} float64", who, run, X, y, 1, model)


@pytest.mark.parametrize("p", [1.5, 3.0])
@pytest.mark.parametrize("shape", [(10_000, 10), (1_000_000, 10)], ids=str)
@pytest.mark.parametrize(
    "who", ["fastdl", "fastdl 2 threads", "scipy L-BFGS-B, fastdl's loss", "scipy L-BFGS-B, NumPy's"]
)
def bench_other_powers(compare, shape, p, who):
    X, y = rows(*shape, tails=6)
    model = plain
    if who.startswith("fastdl"):
        run = lambda: fastdl.fit_lp(X, y, p, threads=2 if "2" in who else 1)
    else:
        optimize = pytest.importorskip("scipy.optimize")
        scale = len(y)

        def ours(v):
            loss, by_w, by_b = fastdl.lp_loss_grad(X, y, v[1:], v[0], p)
            return loss / scale, np.append(by_b, by_w) / scale

        def numpys(v):
            r = y - X @ v[1:] - v[0]
            u = np.abs(r)
            t = u ** (p - 1)
            g = -p * t * np.sign(r)
            return (u @ t) / scale, np.append(g.sum(), g @ X) / scale

        options = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
        value = ours if "fastdl" in who else numpys
        start = np.zeros(X.shape[1] + 1)
        run = lambda: optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=options).x
        model = lambda v: (v[1:], v[0])
    compared(compare, f"p = {p}, {shape[0]} x {shape[1]} float64", who, run, X, y, p, model)
