"""Splits and the choice of a degree: reference, fastdl and peers, against the speed of memory."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl.reference import selection

SIZES = {"1 k": 1_000, "10 M": 10_000_000}


def three(parts):
    return parts.train, parts.valid, parts.test


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "who", ["fastdl", "fastdl 2 threads", "fastdl index arrays", "reference", "NumPy permutation", "scikit-learn"]
)
def bench_split(compare, size, who):
    n = SIZES[size]
    parts, out = fastdl.split(n, seed=0), np.zeros(n, np.uint8)
    runs = {
        "fastdl": lambda: parts.parts(out=out),
        "fastdl 2 threads": lambda: parts.parts(out=out, threads=2),
        "fastdl index arrays": lambda: three(fastdl.split(n, seed=0)),
        "reference": lambda: selection.parts(np.arange(n), n, parts.sizes, selection.keys(0)),
        "NumPy permutation": lambda: np.split(np.random.default_rng(0).permutation(n), np.cumsum(parts.sizes)[:-1]),
    }
    if who == "scikit-learn":
        train_test_split = pytest.importorskip("sklearn.model_selection").train_test_split

        def peer():
            train, rest = train_test_split(np.arange(n), train_size=0.7, random_state=0)
            return train, *train_test_split(rest, train_size=2 / 3, random_state=0)

        runs[who] = peer
    compare(f"split, {size} rows", who, runs[who], items=n, moved=1, limit="write")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["fastdl", "fastdl index arrays", "scikit-learn"])
def bench_k_fold(compare, size, who):
    n = SIZES[size]
    folds, out = fastdl.k_fold(n, 5, seed=0), np.zeros(n, np.int32)
    runs = {"fastdl": lambda: folds.folds(out=out), "fastdl index arrays": lambda: list(folds)}
    if who == "scikit-learn":
        KFold = pytest.importorskip("sklearn.model_selection").KFold
        runs[who] = lambda: list(KFold(5, shuffle=True, random_state=0).split(out))
    compare(f"5 folds, {size} rows", who, runs[who], items=n, moved=4, limit="write")


@lru_cache(2)
def wave(n):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, n)
    return x, np.sin(6 * x) + 0.3 * rng.standard_normal(n)


@pytest.mark.parametrize("degree", [5, 15, 30])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 5 folds", "fastdl 2 threads", "reference", "numpy chebvander"])
def bench_moments(compare, degree, who):
    n = 1_000_000
    x, y = wave(n)
    fold = fastdl.k_fold(n, 5, seed=0).folds()

    def dense():
        # What chebfit holds, by normal equations: blocks that stay in the cache.
        total = 0
        for i in range(0, n, 8192):
            V = np.polynomial.chebyshev.chebvander(x[i : i + 8192], degree)
            total = total + V.T @ np.column_stack([V, y[i : i + 8192]])
        return total

    runs = {
        "fastdl": lambda: fastdl.PolynomialStats(degree).update((x, y)).sums(),
        "fastdl 5 folds": lambda: fastdl.PolynomialStats(degree, folds=5).update((x, y, None, fold)).sums(),
        "fastdl 2 threads": lambda: fastdl.PolynomialStats(degree, threads=2).update((x, y)).sums(),
        "reference": lambda: selection.sums(x, y, None, None, 1, degree, domain=(-1, 1)),
        "numpy chebvander": dense,
    }
    compare(f"sums for degree {degree}, 1 M points", who, runs[who], items=n, moved=16, limit="read")


@pytest.mark.parametrize("size", {"1 k": 1_000, "100 k": 100_000, "10 M": 10_000_000})
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "reference", "scikit-learn"])
def bench_select_degree(compare, size, who):
    """The reference refits every fold and degree with numpy.polynomial.Chebyshev.fit."""
    n = {"1 k": 1_000, "100 k": 100_000, "10 M": 10_000_000}[size]
    if n > 100_000 and not who.startswith("fastdl"):
        pytest.skip("minutes")
    x, y = wave(n)
    fold = fastdl.k_fold(n, 5, seed=0)
    degrees = range(16)
    runs = {
        "fastdl": lambda: fastdl.select_degree(x, y, degrees, folds=fold).valid,
        "fastdl 2 threads": lambda: fastdl.select_degree(x, y, degrees, folds=fold, threads=2).valid,
        "reference": lambda: selection.curves(x, y, np.ones(n), degrees, fold.folds(), 5, domain=(-1, 1))[1].mean(
            axis=1
        ),
    }
    if who == "scikit-learn":
        pytest.importorskip("sklearn")
        from sklearn.linear_model import LinearRegression
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures

        splits = list(fold)

        def peer():
            models = [make_pipeline(PolynomialFeatures(d, include_bias=False), LinearRegression()) for d in degrees[1:]]
            scores = [cross_val_score(m, x[:, None], y, cv=splits, scoring="neg_mean_squared_error") for m in models]
            return np.array([np.nan, *(-s.mean() for s in scores)])

        runs[who] = peer
    want = fastdl.select_degree(x, y, degrees, folds=fold).valid
    check = lambda got: np.testing.assert_allclose(got[1:], want[1:], rtol=1e-9)
    name = f"degrees 0 to 15, 5 folds, {size} points"
    compare(name, who, runs[who], items=n, moved=16, limit="read", check=check)
