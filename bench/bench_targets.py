"""Targets: labels, standardising and bins, against NumPy and scikit-learn, from a batch to more than caches hold."""

from functools import lru_cache

import numpy as np
import pytest

import fastdl
from bench import result_of
from fastdl.reference import targets as reference

SIZES = {"100": 100, "100k": 100_000, "10M": 10_000_000}
sizes = pytest.mark.parametrize("size", SIZES)


def equal(want):
    return lambda got: np.testing.assert_array_equal(np.ravel(got), want)


def more(value):
    return pytest.param(value, marks=pytest.mark.more)


@lru_cache(4)
def numbers(n, dtype):
    return np.random.default_rng(0).gamma(2, 3, n).astype(dtype)


@sizes
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.parametrize("bins", [8, 256, 4096])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "np.searchsorted", "np.digitize", "scikit-learn"])
def bench_binned_encode(compare, size, strategy, bins, dtype, who):
    if (strategy != "quantile" or dtype == "float64") and bins != 256:
        pytest.skip("shown for quantiles of float32")
    if size == "10M" and (strategy != "quantile" or bins != 256):
        pytest.skip("shown for fewer values")
    y = numbers(SIZES[size], dtype)
    target = fastdl.BinnedTarget(bins, strategy).fit(numbers(200_000, np.float64))
    want, edges = target.encode(y), target.edges_[1:-1].astype(dtype)
    out, check = result_of(want.shape, want.dtype), equal(want)
    if dtype == "float32":  # the peers' edges are rounded to it
        check = lambda got: np.testing.assert_array_less(np.abs(np.ravel(got).astype(int) - want), 2)
    if who.startswith("fastdl"):
        run = lambda: target.encode(y, out=out, threads=2 if "2" in who else 1)
    elif who == "np.searchsorted":
        run = lambda: np.searchsorted(edges, y, side="right")
    elif who == "np.digitize":
        run = lambda: np.digitize(y, edges)
    else:
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        peer = preprocessing.KBinsDiscretizer(bins, encode="ordinal", strategy="uniform", subsample=None)
        peer.fit(np.linspace(0, 1, 10)[:, None])
        peer.bin_edges_[0] = target.edges_
        peer.n_bins_[0] = target.bins_
        run = lambda: peer.transform(y[:, None])
    group = f"{bins} bins, {strategy}, {size} {dtype}"
    compare(group, who, run, items=len(y), moved=y.itemsize + want.itemsize, check=check)


@sizes
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "np.take", "scikit-learn"])
def bench_binned_decode(compare, size, who):
    y = numbers(SIZES[size], np.float32)
    target = fastdl.BinnedTarget(256).fit(y)
    codes = target.encode(y)
    want = target.decode(codes, "middle")
    out, check = (
        result_of(want.shape, want.dtype),
        lambda got: np.testing.assert_allclose(np.ravel(got), want, rtol=1e-5),
    )
    if who.startswith("fastdl"):
        run = lambda: target.decode(codes, "middle", out=out, threads=2 if "2" in who else 1)
    elif who == "np.take":
        table = target.middles_.astype(np.float32)
        run = lambda: np.take(table, codes, out=out)
    else:
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        peer = preprocessing.KBinsDiscretizer(256, encode="ordinal", strategy="uniform", subsample=None)
        peer.fit(np.linspace(0, 1, 10)[:, None])
        peer.bin_edges_[0] = target.edges_
        floats = codes[:, None].astype(np.float64)
        run = lambda: peer.inverse_transform(floats)
    compare(f"256 bins to float32, {size}", who, run, items=len(codes), moved=5, check=check)


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.parametrize("who", ["fastdl", "NumPy minimum and maximum", "np.quantile", "scikit-learn"])
def bench_binned_fit(compare, strategy, who):
    if {"np.quantile": "quantile", "NumPy minimum and maximum": "uniform"}.get(who, strategy) != strategy:
        pytest.skip("computes something else")
    y = numbers(1_000_000, np.float64)
    if who == "fastdl":
        run = lambda: fastdl.BinnedTarget(64, strategy).fit(y)
    elif who.startswith("NumPy"):
        run = lambda: np.linspace(y.min(), y.max(), 65)
    elif who == "np.quantile":
        run = lambda: np.quantile(y, np.linspace(0, 1, 65))
    else:
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        more = {"quantile_method": "linear"} if strategy == "quantile" else {}
        run = lambda: preprocessing.KBinsDiscretizer(
            64, encode="ordinal", strategy=strategy, subsample=None, **more
        ).fit(y[:, None])
    compare(f"fit 64 bins, {strategy}, 1M float64", who, run, items=len(y), moved=8, limit="read")


@lru_cache(2)
def make_labels(n, kind):
    rng = np.random.default_rng(0)
    if kind.startswith("str"):
        classes = 1000 if "1000" in kind else 100
        return np.array([f"class {i}" for i in range(classes)])[rng.integers(0, classes, n)]
    if kind == "wide int64":
        return rng.integers(-(2**62), 2**62, 1000)[rng.integers(0, 1000, n)]
    if kind == "float64":
        return rng.standard_normal(1000)[rng.integers(0, 1000, n)]
    return rng.integers(0, 100, n).astype(kind)


@sizes
@pytest.mark.parametrize("kind", [more("int8"), more("int32"), "int64", more("wide int64"), "float64", "str"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl to int32", "fastdl 2 threads", "reference", "scikit-learn"])
def bench_class_encode(compare, size, kind, who):
    if kind == "str" and size == "10M":
        pytest.skip("280 MB of text")
    y = make_labels(SIZES[size], kind)
    target = fastdl.ClassTarget(dtype=np.int32 if "32" in who else np.int64).fit(y)
    want = target.encode(y)
    out = result_of(want.shape, want.dtype)
    if who.startswith("fastdl"):
        run = lambda: target.encode(y, out=out, threads=2 if "2 t" in who else 1)
    elif who == "reference":
        codes = np.arange(len(target.classes_))
        run = lambda: reference.encode_labels(y, target.classes_, codes, -1)
    else:
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        peer = preprocessing.LabelEncoder().fit(y)
        run = lambda: peer.transform(y)
    compare(f"classes of {kind}, {size}", who, run, items=len(y), moved=y.itemsize + 8, check=equal(want))


@pytest.mark.parametrize("kind", ["int64", "wide int64", "float64", "str", "str of 1000 classes"])
@pytest.mark.parametrize("who", ["fastdl", "np.unique", "pandas.factorize", "pandas.factorize, Arrow", "scikit-learn"])
def bench_class_fit_encode(compare, kind, who):
    texts = kind.startswith("str")
    if (who in ("np.unique", "scikit-learn") and kind == "str of 1000 classes") or ("Arrow" in who and not texts):
        pytest.skip("takes seconds, or is for texts")
    y = make_labels({"str": 100_000, "str of 1000 classes": 2_000_000}.get(kind, 1_000_000), kind)
    check = equal(fastdl.ClassTarget().fit(y).encode(y))
    if who == "fastdl":
        run = lambda: fastdl.ClassTarget().fit(y).encode(y)
    elif who == "np.unique":
        run = lambda: np.unique(y, return_inverse=True)[1]
    elif who.startswith("pandas"):
        pandas = pytest.importorskip("pandas")
        given = y.astype(object) if texts else y  # three times as fast as with texts of fixed width
        if "Arrow" in who:
            pytest.importorskip("pyarrow")
            given = pandas.Series(given, dtype="string[pyarrow]")
        run = lambda: pandas.factorize(given, sort=True)[0]
    else:
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        run = lambda: preprocessing.LabelEncoder().fit_transform(y)
    compare(f"fit and encode {len(y)} {kind}", who, run, items=len(y), moved=y.itemsize + 8, check=check)


@sizes
@pytest.mark.parametrize("columns", [1, more(4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("job", ["fit", "encode"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "NumPy", "reference", "scikit-learn"])
def bench_standard(compare, size, columns, dtype, job, who):
    y = numbers(SIZES[size] // columns * columns, dtype).reshape(-1, columns)
    target = fastdl.StandardTarget().fit(y)
    want = target.encode(y)
    out, threads = result_of(want.shape, want.dtype), 2 if "2" in who else 1
    check = lambda got: np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    mean, scale = target.mean_.astype(dtype), target.scale_.astype(dtype)
    if job == "fit":
        check = None
        run = lambda: fastdl.StandardTarget().fit(y, threads=threads)
        others = {"NumPy": lambda: (y.mean(0), y.std(0)), "reference": lambda: reference.moments(y)}
    else:
        run = lambda: target.encode(y, out=out, threads=threads)
        others = {"NumPy": lambda: (y - mean) / scale, "reference": lambda: reference.standardise(y, mean, 0.0, scale)}
    run = others.get(who, run)
    if who == "scikit-learn":
        preprocessing = pytest.importorskip("sklearn.preprocessing")
        peer = preprocessing.StandardScaler().fit(y)
        run = (lambda: preprocessing.StandardScaler().fit(y)) if job == "fit" else (lambda: peer.transform(y))
    moved, limit = (y.itemsize, "read") if job == "fit" else (2 * y.itemsize, "copy")
    group = f"standard target, {job}, {size} {dtype} in {columns} columns"
    compare(group, who, run, items=y.size, moved=moved, limit=limit, check=check)


def bench_reference_of_bins(compare):
    y = numbers(100_000, np.float64)
    target = fastdl.BinnedTarget(256).fit(y)
    check = equal(target.encode(y))
    run = lambda: reference.bin_encode(y, target.edges_)
    compare("256 bins, quantile, 100k float64", "reference", run, items=len(y), moved=9, check=check)
