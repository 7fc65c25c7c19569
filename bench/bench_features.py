"""Features: reference, fastdl and peers on the same data, held against the speed of writing memory."""

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev, legendre, polynomial

import fastdl
from fastdl.reference import features as reference

SIZES = {"64": 64, "L2": 5_000, "DRAM": 2_000_000}
PEERS = {"monomial": polynomial.polyvander, "chebyshev": chebyshev.chebvander, "legendre": legendre.legvander}


def equal(want):
    return lambda got: np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("degree", [pytest.param(5, marks=pytest.mark.more), 15])
@pytest.mark.parametrize("basis", ["monomial", "chebyshev", pytest.param("legendre", marks=pytest.mark.more)])
@pytest.mark.parametrize(
    "who", ["fastdl", "fastdl 2 threads", "fastdl fresh", "reference", "numpy.polynomial", "np.vander"]
)
def bench_vandermonde(compare, size, degree, basis, who):
    x = np.random.default_rng(0).uniform(-1, 1, SIZES[size])
    out = np.zeros((len(x), degree + 1))
    runs = {
        "fastdl": lambda: fastdl.vandermonde(x, degree, basis=basis, out=out),
        "fastdl 2 threads": lambda: fastdl.vandermonde(x, degree, basis=basis, out=out, threads=2),
        "fastdl fresh": lambda: fastdl.vandermonde(x, degree, basis=basis),
        "reference": lambda: reference.vandermonde(x, degree, basis=basis),
        "numpy.polynomial": lambda: PEERS[basis](x, degree),
        "np.vander": lambda: np.vander(x, degree + 1, increasing=True),
    }
    if who == "np.vander" and basis != "monomial":
        pytest.skip("powers only")
    name = f"vandermonde {basis} {degree}, {size}"
    moved, check = 8 * (degree + 1), equal(PEERS[basis](x, degree))
    compare(name, who, runs[who], items=len(x), moved=moved, limit="write", check=check)


@pytest.mark.parametrize(("d", "degree"), [(2, 3), (10, 2), (10, 3), (100, 2)])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "fastdl fresh", "reference", "scikit-learn"])
def bench_polynomial_features(compare, d, degree, who):
    columns = math.comb(d + degree, degree)
    X = np.random.default_rng(0).standard_normal((20_000_000 // columns, d))
    out = np.zeros((len(X), columns))
    runs = {
        "fastdl": lambda: fastdl.polynomial_features(X, degree, out=out),
        "fastdl 2 threads": lambda: fastdl.polynomial_features(X, degree, out=out, threads=2),
        "fastdl fresh": lambda: fastdl.polynomial_features(X, degree),
        "reference": lambda: reference.polynomial_features(X, degree),
    }
    if who == "scikit-learn":
        peer = pytest.importorskip("sklearn.preprocessing").PolynomialFeatures(degree).fit(X)
        runs[who] = lambda: peer.transform(X)
    check = equal(fastdl.polynomial_features(X, degree))
    name = f"polynomial features, D = {d}, degree {degree}"
    compare(name, who, runs[who], items=len(X), moved=8 * columns, limit="write", check=check)


def cube(x):
    return x * x * x


def huber(x):
    return x * x if abs(x) < 1 else 2 * abs(x) - 1


@pytest.mark.parametrize("size", {"64": 64, "DRAM": 1_000_000})
@pytest.mark.parametrize("what", ["cube", pytest.param("log", marks=pytest.mark.more), "log, square, sqrt"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "reference", "NumPy", "a user's cube", "a user's Huber"])
def bench_feature_map(compare, size, what, who):
    X = np.random.default_rng(0).uniform(0.1, 2, ({"64": 64, "DRAM": 1_000_000}[size], 8))
    names = what.split(", ")
    out = np.zeros((len(X), 8 * len(names)))
    steps = [(name, range(8)) for name in names]
    one = {"cube": lambda x: x * x * x}
    runs = {
        "fastdl": lambda: fastdl.feature_map(X, names, out=out),
        "fastdl 2 threads": lambda: fastdl.feature_map(X, names, out=out, threads=2),
        "reference": lambda: reference.feature_map(X, steps),
        "NumPy": lambda: np.concatenate([one.get(n, getattr(np, n, None))(X) for n in names], axis=1, out=out),
        "a user's cube": lambda: fastdl.feature_map(X, cube, out=out),
        "a user's Huber": lambda: fastdl.feature_map(X, huber, out=out),
    }
    check = equal(reference.feature_map(X, steps))
    if who.startswith("a user's"):
        if what != "cube":
            pytest.skip("beside cube")
        check = check if "cube" in who else None
    moved = 8 * 8 * (1 + len(names))
    compare(f"feature map {what} of 8 columns, {size}", who, runs[who], items=len(X), moved=moved, check=check)
