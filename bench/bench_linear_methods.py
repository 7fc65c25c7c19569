"""Random search, gradient descent and the first call: fastdl, NumPy, torch, SciPy and scikit-learn on the same rows."""

import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl import _kernels
from fastdl.linear.fit import fit_lp
from fastdl.reference.linear import numbers

ROWS, COLUMNS, CANDIDATES = 1_000_000, 8, 4096
SEARCHED = 50_000  # rows of the random search: of a million, NumPy would take minutes


@lru_cache(2)
def rows(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X @ np.arange(1.0, d + 1) + rng.standard_t(3, n)


def candidates(X, y):
    """The models of fastdl's first round."""
    A = np.column_stack([X - X.mean(0), np.ones(len(X))])
    best = np.linalg.solve(A.T @ A, A.T @ (y - y.mean()))
    width = np.sqrt(((y - y.mean() - A @ best) ** 2).mean() / A.shape[1])
    z = width * numbers(0, 0, CANDIDATES, A.shape[1])
    W = best[:-1] + np.linalg.solve(np.linalg.cholesky(np.cov(X.T, bias=True)).T, z[:, :-1].T).T
    return W, y.mean() + z[:, -1] - W @ X.mean(0)


def by_numpy(X, y, W, b, p, block=1024):
    losses = np.zeros(len(W))
    for i in range(0, len(X), block):
        r = X[i : i + block] @ W.T
        r += b
        r -= y[i : i + block, None]
        if p == 2:
            losses += np.einsum("nk,nk->k", r, r)
        else:
            losses += np.abs(r, out=r).sum(0)
    return losses


def by_torch(X, y, W, b, p, block=1024):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    X, y, W, b = (torch.from_numpy(a) for a in (X, y, W, b))
    losses = torch.zeros(len(W), dtype=torch.float64)
    for i in range(0, len(X), block):
        r = torch.addmm(b, X[i : i + block], W.T) - y[i : i + block, None]
        losses += (r * r if p == 2 else r.abs_()).sum(0)
    return losses.numpy()


@pytest.mark.skipif(_kernels.load("losses") is None, reason="the kernels are not built")
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "fastdl without pruning", "numpy", "torch"])
def bench_random_search(compare, p, who):
    X, y = rows(SEARCHED, COLUMNS)
    some = {"candidates": CANDIDATES, "refine": 0, "prune": False if "without" in who else None}
    if "fastdl" in who:
        run = lambda: fastdl.random_search(X, y, p, threads=2 if "2" in who else 1, **some).loss
    else:
        W, b = candidates(X, y)
        run = lambda: {"numpy": by_numpy, "torch": by_torch}[who](X, y, W, b, p).min()
    want = fastdl.random_search(X, y, p, candidates=CANDIDATES, refine=0).loss
    group = f"random search, {CANDIDATES} models, {SEARCHED / 1000:g}k x {COLUMNS}, p = {p}"
    compare(
        group, who, run, items=SEARCHED * CANDIDATES, check=lambda got: np.testing.assert_allclose(got, want, rtol=1e-9)
    )


def torch_adam(X, y, steps):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    Z, t = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    Z, t = torch.from_numpy(Z), torch.from_numpy(t)
    w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros((), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([w, b], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        loss = (t - Z @ w - b).abs().mean()
        loss.backward()
        adam.step()
        schedule.step()
    with torch.no_grad():
        return float((t - Z @ w - b).abs().sum()) * y.std()


def by_sgd(X, y):
    linear = pytest.importorskip("sklearn.linear_model")
    Z, t = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    sgd = linear.SGDRegressor(loss="epsilon_insensitive", epsilon=0, alpha=0, max_iter=1, tol=None, random_state=0)
    return np.abs(t - sgd.fit(Z, t).predict(Z)).sum() * y.std()


@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torch", "scikit-learn SGDRegressor, 1 epoch, to 10 %"])
def bench_adam(compare, who):
    X, y = rows(ROWS, 16)
    least = fastdl.gradient_descent(X, y, 1, optimizer="lbfgs", epochs=30).loss
    if "fastdl" in who:
        run = lambda: fastdl.gradient_descent(X, y, 1, epochs=100, threads=2 if "2" in who else 1).loss
    else:
        run = (lambda: torch_adam(X, y, 100)) if who == "torch" else (lambda: by_sgd(X, y))
    near = 0.1 if "SGD" in who else 1e-3  # one epoch of it comes no nearer
    check = lambda loss: np.testing.assert_allclose(loss, least, rtol=near)
    compare(
        "100 steps of Adam, 1M x 16, p = 1, to 0.1 %", who, run, items=ROWS * 100, moved=136, limit="read", check=check
    )


def by_scipy(X, y, p):
    optimize = pytest.importorskip("scipy.optimize")
    Z, t = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()

    def values(x):
        r = t - Z @ x[:-1] - x[-1]
        u = np.abs(r)
        g = -p * u ** (p - 1) * np.sign(r) / len(t)
        return (u**p).mean(), np.append(g @ Z, g.sum())

    return optimize.minimize(values, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B").fun * len(t) * y.std() ** p


@pytest.mark.parametrize("who", ["fastdl", "scipy with a NumPy loss"])
def bench_lbfgs(compare, who):
    X, y = rows(ROWS, 16)
    least = fastdl.gradient_descent(X, y, 1.5, optimizer="lbfgs").loss
    if who == "fastdl":
        run = lambda: fastdl.gradient_descent(X, y, 1.5, optimizer="lbfgs", epochs=15).loss
    else:
        run = lambda: by_scipy(X, y, 1.5)
    check = lambda loss: np.testing.assert_allclose(loss, least, rtol=1e-6)
    compare("L-BFGS, 1M x 16, p = 1.5, to 1e-6", who, run, items=ROWS, check=check)


@pytest.mark.parametrize("n", [500, 5000, 100_000])
def bench_below_one(compare, n):
    """No peer fits p < 1: times alone, with the gap that is proven."""
    X, y = rows(n, 1)
    gap = fit_lp(X, y, 0.5).certificate.gap
    compare(
        f"a line with p = 0.5 through {n} points", "fastdl", lambda: fit_lp(X, y, 0.5), items=n, note=f"gap {gap:.0e}"
    )


@pytest.mark.parametrize("call", ["fit_lp", "LpRegressor"])
@pytest.mark.parametrize("who", ["fastdl", "imports of others alone"])
def bench_first_call(compare, call, who):
    others = "import numpy as np" if call == "fit_lp" else "import sklearn.linear_model"
    first = "import fastdl; fastdl.fit_lp(X, y)" if call == "fit_lp" else "import fastdl; fastdl.LpRegressor()"
    data = "X, y = np.random.rand(100, 3), np.random.rand(100)" if call == "fit_lp" else "pass"
    code = "\n".join([others, data, first if who == "fastdl" else "pass"])
    run = lambda: subprocess.run([sys.executable, "-c", code], check=True)
    compare(f"a fresh process with its first {call}", who, run, items=1)
