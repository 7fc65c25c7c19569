"""What bins promise: the codes of np.searchsorted on the edges defined, values inside them, streams, sketches."""

import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl import streaming
from fastdl.reference import targets as reference
from fastdl.targets.bins import STRATEGIES, VALUES

RNG = np.random.default_rng(0)
DATA = {
    "normal": RNG.standard_normal(5000),
    "lognormal": np.exp(2 * RNG.standard_normal(5000)),
    "cauchy": RNG.standard_cauchy(5000),
    "offset": 1e9 + RNG.standard_normal(5000),
    "tiny units": 1e-200 * RNG.standard_normal(5000),
    "huge units": 1e300 * RNG.uniform(-1, 1, 5000),
    "tied": RNG.integers(0, 7, 5000).astype(float),
    "mostly 0": np.maximum(RNG.standard_normal(5000) - 1, 0),
    "sorted": np.sort(RNG.uniform(0, 1, 5000)),
    "integers": RNG.integers(-300, 300, 5000),
    "float32": RNG.standard_normal(5000).astype(np.float32),
    "neighbours": 1 + np.arange(40) * np.finfo(float).eps,
    "constant": np.full(100, 0.1),
    "one": np.array([-3.5]),
    "two": np.array([2.0, 1.0]),
    "zeros": np.array([0.0, -0.0, 0.0]),
    "subnormal": np.array([5e-324, 0.0, 1e-323, 2.0]),
}
every = pytest.mark.parametrize("name", DATA)
strategies = pytest.mark.parametrize("strategy", STRATEGIES)


def fit(y, bins, strategy, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastdl.MergedBins)
        return fastdl.BinnedTarget(bins, strategy, **more).fit(y)


def queries(y, edges):
    """The data, every edge and its neighbours, and what lies outside."""
    with np.errstate(over="ignore"):
        near = [edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)]
        return np.concatenate([np.asarray(y, float), *near, [-np.inf, np.inf, -1e308, 1e308, 0.0, -0.0]])


@every
@strategies
@pytest.mark.parametrize("bins", [1, 2, 3, 9, 10, 18, 64, 256, 257, 5000])
def test_codes_are_those_of_searchsorted(name, strategy, bins):
    y = DATA[name]
    target = fit(y, bins, strategy)
    assert (np.diff(target.edges_) > 0).all() or len(target.edges_) == 2
    assert target.bins_ == len(target.edges_) - 1 == bins - target.merged_
    for dtype in (np.float64, np.float32):
        with np.errstate(over="ignore", under="ignore"):
            x = queries(y, target.edges_).astype(dtype)
        codes = target.encode(x, threads=2)
        assert codes.dtype == (np.uint8 if bins <= 256 else np.uint16)
        np.testing.assert_array_equal(codes, np.searchsorted(target.edges_[1:-1], x.astype(float), side="right"))
    np.testing.assert_array_equal(target.encode(y), np.searchsorted(target.edges_[1:-1], y, side="right"))


@every
@pytest.mark.parametrize("bins", [1, 2, 7, 100, 3000])
def test_edges_are_numpys(name, bins):
    y = DATA[name]
    wide = y.astype(np.float64)
    uniform, quantile = fit(y, bins, "uniform"), fit(y, bins, "quantile")
    for target, edges in (
        (uniform, np.linspace(wide.min(), wide.max(), bins + 1)),
        (quantile, np.quantile(wide, np.linspace(0, 1, bins + 1))),
    ):
        distinct = np.unique(edges)
        np.testing.assert_array_equal(target.edges_, distinct if len(distinct) > 1 else np.repeat(distinct, 2))
        assert target.merged_ == bins - max(1, len(distinct) - 1)


@every
@strategies
@pytest.mark.parametrize("bins", [1, 5, 100])
def test_contents_are_those_of_the_reference(name, strategy, bins):
    y = DATA[name]
    target = fit(y, bins, strategy)
    values = np.sort(y).astype(np.float64)
    count, mean, median, middle = reference.bin_values(values, target.edges_)
    np.testing.assert_array_equal(target.counts_, count)
    np.testing.assert_allclose(target.means_, mean, rtol=1e-12, atol=1e-323)
    np.testing.assert_allclose(target.medians_, median, rtol=1e-15, atol=1e-323)
    np.testing.assert_allclose(target.middles_, middle, rtol=1e-15, atol=1e-323)
    assert target.counts_.sum() == len(y)


@every
@strategies
@pytest.mark.parametrize("value", VALUES)
def test_decoded_values_lie_in_the_bin(name, strategy, value):
    y = DATA[name]
    for bins in (1, 4, 256):
        target = fit(y, bins, strategy)
        codes = target.encode(y)
        back = target.decode(codes, value)
        assert back.dtype == (np.float32 if y.dtype == np.float32 else np.float64)
        error = np.abs(back - y.astype(float))
        assert (error <= np.diff(target.edges_)[codes] * (1 + 1e-6) + 1e-6 * np.abs(y) * (y.dtype == np.float32)).all()
        everything = target.decode(np.arange(target.bins_), value)
        assert np.isfinite(everything).all()
        np.testing.assert_array_equal(everything[codes], back)
        assert (np.diff(everything) >= 0).all()


def test_mu_law_has_the_classes_of_audio():
    y = RNG.standard_normal(20_000)
    for bins in (2, 15, 256, 1024):
        target = fit(y, bins, "mu-law")
        want = fastdl.mu_law_encode(y / np.abs(y).max(), bins)
        np.testing.assert_array_equal(target.encode(y), want)
    assert target.edges_[0] == -target.edges_[-1] == -np.abs(y).max()


@pytest.mark.parametrize("name", ["normal", "lognormal", "tied", "cauchy", "offset", "two"])
def test_k_means_is_lloyds_fixed_point_and_no_worse_than_quantiles(name):
    y = DATA[name]
    target, start = fit(y, 12, "kmeans"), fit(y, 12, "quantile")
    assert ((y - target.decode(target.encode(y))) ** 2).sum() <= ((y - start.decode(start.encode(y))) ** 2).sum()
    np.testing.assert_allclose(target.edges_[1:-1], (target.means_[1:] + target.means_[:-1]) / 2, rtol=1e-12)
    spread = np.subtract(*np.quantile(y, [0.75, 0.25]))
    edges = reference.k_means(np.sort(y), target.edges_)
    np.testing.assert_allclose(target.edges_, edges, rtol=1e-9, atol=1e-9 * spread)


def test_k_means_of_few_and_of_many_bins():
    y = np.exp(0.8 * RNG.standard_normal(30_000))
    for bins in (4, 256):
        ours, even = (fit(y, bins, s) for s in ("kmeans", "uniform"))
        assert ours.bins_ == bins
        assert ((y - ours.decode(ours.encode(y))) ** 2).sum() < ((y - even.decode(even.encode(y))) ** 2).sum()
    assert fit(np.repeat([1.0, 2.0, 4.0], 5), 9, "kmeans").counts_.tolist() == [5, 5, 5]


def test_k_means_finds_what_is_apart():
    y = np.concatenate([RNG.normal(c, 0.01, 100) for c in (0, 1, 5, 50)])
    target = fit(y, 4, "kmeans")
    np.testing.assert_array_equal(target.counts_, [100] * 4)
    np.testing.assert_allclose(target.means_, [0, 1, 5, 50], atol=0.01)


def test_merged_edges_are_said():
    with pytest.warns(fastdl.MergedBins, match="4 bins of 10: edges that fell together were merged"):
        target = fastdl.BinnedTarget(10).fit([0] * 70 + list(range(1, 31)))
    assert (target.bins_, target.merged_) == (4, 6)
    with pytest.warns(fastdl.MergedBins, match="1 bins of 2"):
        constant = fastdl.BinnedTarget(2, "uniform").fit([0.1, 0.1])
    np.testing.assert_array_equal(constant.edges_, [0.1, 0.1])
    np.testing.assert_array_equal(constant.encode([-1, 0.1, 5]), [0, 0, 0])
    np.testing.assert_array_equal(constant.decode([0]), [0.1])


@every
@strategies
def test_streams_in_any_order_have_the_bits_of_one_fit(name, strategy):
    y = DATA[name]
    whole = fit(y, 20, strategy)
    shuffled = np.random.default_rng(1).permutation(y)
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore", fastdl.MergedBins)
        for size in (1, 33, 4999):
            if size * 200 < len(y):
                continue
            chunks = [shuffled[i : i + size] for i in range(0, len(y), size)]
            for executor in (None, pool):
                got = streaming.run(chunks, fastdl.BinnedTarget(20, strategy), executor=executor)
                for field in ("edges_", "counts_", "means_", "medians_", "middles_"):
                    np.testing.assert_array_equal(getattr(got, field), getattr(whole, field), err_msg=field)


@pytest.mark.filterwarnings("ignore::fastdl.targets.bins.MergedBins")
@pytest.mark.parametrize("limit", [2, 64, 1000])
@pytest.mark.parametrize("merged", [False, True])
def test_a_sketch_keeps_its_bound(limit, merged):
    n = 60_000
    for seed, make in enumerate((np.sort, np.negative, lambda x: x)):
        y = make(np.random.default_rng(seed).standard_normal(n))
        chunks = [y[i : i + 777] for i in range(0, n, 777)]
        with ThreadPoolExecutor(2) as pool:
            target = streaming.run(chunks, fastdl.BinnedTarget(16, sketch=limit), executor=pool if merged else None)
        bound = n * np.ceil(np.log2(n / limit)) / (2 * limit) + 1
        rank = np.searchsorted(np.sort(y), target.edges_)
        if target.bins_ == 16:
            assert np.abs(rank - np.linspace(0, n, 17)).max() <= bound
        assert (target.edges_[0], target.edges_[-1]) == (y.min(), y.max())
        assert target.counts_.sum() == n
        assert (target.means_ >= target.edges_[:-1]).all() and (target.means_ <= target.edges_[1:]).all()
        even = streaming.run(chunks, fastdl.BinnedTarget(16, "uniform", sketch=limit))
        np.testing.assert_array_equal(even.edges_, np.linspace(y.min(), y.max(), 17))
        assert even._sample.sorted().values.nbytes <= 8 * limit * (np.log2(n / limit) + 2)


@strategies
def test_a_sketch_is_exact_while_all_values_fit(strategy):
    y = RNG.standard_normal(500)
    exact, sketch = fit(y, 10, strategy), fit(y, 10, strategy, sketch=501)
    np.testing.assert_array_equal(sketch.edges_, exact.edges_)
    np.testing.assert_array_equal(sketch.medians_, exact.medians_)
    close = fit(y, 10, strategy, sketch=250)
    np.testing.assert_allclose(close.means_, exact.means_, atol=0.6)


def test_states_go_to_other_processes():
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
    y = RNG.standard_normal(4000)
    fit(y, 8, "quantile").encode(np.repeat(y, 200), threads=2)  # the parent's threads are there when it forks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for target in (fastdl.BinnedTarget(8), fastdl.ClassTarget(), fastdl.StandardTarget()):
                got = streaming.run([y[:1000], y[1000:]], target, executor=pool)
                np.testing.assert_array_equal(got.encode(y, threads=2), target.fresh().fit(y).encode(y))


def test_fit_keeps_no_values():
    y = RNG.standard_normal(100_000)
    target = fastdl.BinnedTarget(16).fit(y)
    assert len(pickle.dumps(target)) < 10_000
    np.testing.assert_array_equal(target.update([1.0, 2.0]).finish().edges_[[0, -1]], [1, 2])


def test_nan_and_infinities():
    y = np.array([1.0, np.nan, 3.0, 2.0])
    with pytest.raises(
        fastdl.InputError, match=r"y must be finite \(or name a code for it by nan=\), got nan at index 1"
    ):
        fastdl.BinnedTarget(2).fit(y)
    with pytest.raises(fastdl.InputError, match="got inf at index 5"):
        fastdl.BinnedTarget(2, nan=9).update(y).update([1.0, np.inf])
    target = fastdl.BinnedTarget(2, nan=7).fit(y)
    np.testing.assert_array_equal(target.edges_, [1, 2, 3])
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(target.encode(y.astype(dtype)), [0, 7, 1, 1])
    for bins in (2, 100, 1000):
        many = fit(RNG.standard_normal(3000), bins, "quantile", nan=-1, dtype=np.int32)
        codes = many.encode([[np.nan, 0.0], [-np.inf, np.inf]])
        assert codes.dtype == np.int32
        assert (codes[0, 0], codes[1, 0], codes[1, 1]) == (-1, 0, bins - 1)
    strict = fastdl.BinnedTarget(2).fit([1.0, 2.0])
    with pytest.raises(fastdl.InputError, match=r"NaN .*, got one at index \(1, 0\)"):
        strict.encode([[1.0], [np.nan]])
    with pytest.raises(fastdl.InputError, match="no values"):
        fastdl.BinnedTarget(2).fit([])
    with pytest.raises(fastdl.InputError, match="no values"):
        fastdl.BinnedTarget(2, nan=0).fit([np.nan])
    with pytest.raises(fastdl.InputError, match="width within float64"):
        fastdl.BinnedTarget(2).fit([-1.7e308, 1.7e308])


def test_what_is_refused():
    for arguments, match in (
        ((0,), "bins must be between 1 and 65536, got 0"),
        ((70000,), "bins must be between 1 and 65536"),
        ((3, "even"), "strategy must be one of 'uniform'"),
    ):
        with pytest.raises(fastdl.InputError, match=match):
            fastdl.BinnedTarget(*arguments)
    with pytest.raises(fastdl.InputError, match="uint8 cannot count 300"):
        fastdl.BinnedTarget(300, dtype=np.uint8)
    with pytest.raises(fastdl.InputTypeError, match="dtype must be"):
        fastdl.BinnedTarget(3, dtype=np.float32)
    with pytest.raises(fastdl.InputError, match="nan must be between 0 and 255"):
        fastdl.BinnedTarget(3, nan=-1)
    target = fastdl.BinnedTarget(3).fit([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(fastdl.InputError, match="z must be between 0 and 2, got 3 at index 1"):
        target.decode([0, 3])
    with pytest.raises(fastdl.InputError, match="value must be one of 'mean'"):
        target.decode([0], "mode")
    with pytest.raises(fastdl.InputTypeError, match="y must be floats"):
        target.encode(["a"])


def test_scores_dtypes_and_empty():
    target = fastdl.BinnedTarget(3).fit([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    np.testing.assert_array_equal(target.decode([[0.1, 0.5, 0.5], [9.0, 9.0, 9.0]]), target.decode([1, 0]))
    for dtype in (np.uint8, np.uint16, np.int8, np.int64):
        np.testing.assert_array_equal(target.decode(np.array([2, 0, 1], dtype)), target.means_[[2, 0, 1]])
        codes = fastdl.BinnedTarget(3, dtype=dtype).fit([1.0, 2.0, 4.0]).encode([1, 2, 4])
        assert codes.dtype == dtype and codes.tolist() == [0, 1, 2]
    assert target.encode([]).shape == (0,) and target.encode([]).dtype == np.uint8
    assert target.decode([]).shape == (0,)
    assert target.encode(np.empty((3, 0), np.float32)).shape == (3, 0)
    out = np.empty(2)
    assert target.decode([0, 1], out=out) is out
    small = fastdl.BinnedTarget(2).fit(np.array([1, 2], np.float16))
    assert small.decode(small.encode(np.array([1, 2], np.float16))).dtype == np.float32


def test_as_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    y = RNG.gamma(2, 3, 4000)
    for strategy in ("uniform", "quantile"):
        more = {"quantile_method": "linear"} if strategy == "quantile" else {}
        try:
            peer = preprocessing.KBinsDiscretizer(20, encode="ordinal", strategy=strategy, subsample=None, **more)
        except TypeError:
            peer = preprocessing.KBinsDiscretizer(20, encode="ordinal", strategy=strategy, subsample=None)
        peer.fit(y[:, None])
        target = fit(y, 20, strategy)
        np.testing.assert_allclose(target.edges_, peer.bin_edges_[0], rtol=1e-12)
        assert (target.encode(y) != peer.transform(y[:, None])[:, 0]).sum() <= 2


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "mu-law"])
def test_what_bins_hold_is_of_the_values_of_the_fit(strategy):
    y = np.random.default_rng(5).gamma(2, 1, 10_000)
    want = np.histogram(y, fastdl.BinnedTarget(9, strategy).fit(y).edges_)[0]
    mine = y.copy()
    target = fastdl.BinnedTarget(9, strategy).fit(mine)
    mine[:] = -1
    np.testing.assert_array_equal(target.counts_, want)
    stream = fastdl.BinnedTarget(9, strategy).update(y).finish()
    stream.update(np.full(5, 3.0))
    np.testing.assert_array_equal(stream.counts_, want)
    again = fastdl.BinnedTarget.from_bytes(stream.to_bytes())
    np.testing.assert_array_equal(again.counts_, want)
    assert again.finish().counts_.sum() == 10_005
