"""What the standardised target promises: accuracy, streams, weights, and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl import streaming

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("n", [2, 3, 64, 8191, 8193, 300_001])
@pytest.mark.parametrize(
    ("offset", "scale"), [(0, 1), (1e6, 1), (1e9, 1), (0, 1e-9), (1e6, 1e-3), (-1e9, 1e9), (0, 1e100)]
)
def test_mean_is_0_and_variance_1(n, offset, scale):
    y = offset + scale * np.random.default_rng(n).standard_normal(n)
    target = fastdl.StandardTarget().fit(y)
    z = target.encode(y).astype(np.longdouble)
    assert abs(z.mean()) < 1e-12
    assert abs((z**2).mean() - 1) < 1e-12
    wide = y.astype(np.longdouble)
    assert target.mean_ == pytest.approx(float(wide.mean()), rel=1e-15, abs=1e-15 * scale)
    assert target.var_ == pytest.approx(float(((wide - wide.mean()) ** 2).mean()), rel=1e-12)
    np.testing.assert_allclose(target.decode(target.encode(y)), y, rtol=1e-15, atol=4e-16 * abs(offset) + 1e-15 * scale)


def test_skewed_and_sorted_values():
    for y in (
        np.exp(3 * RNG.standard_normal(50_000)),
        np.sort(RNG.standard_cauchy(50_000)),
        np.r_[1e200, np.zeros(99_999)] / 1e60,
    ):
        z = fastdl.StandardTarget().fit(y).encode(y).astype(np.longdouble)
        assert abs(z.mean()) < 1e-12
        assert abs((z**2).mean() - 1) < 1e-11


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 64, 65, 200])
def test_columns_have_their_own(columns):
    y = np.random.default_rng(columns).standard_normal((5001, columns)) * 10.0 ** (np.arange(columns) % 9 - 4) + 1e3
    target = fastdl.StandardTarget().fit(y)
    np.testing.assert_allclose(target.mean_, y.mean(0), rtol=1e-13)
    np.testing.assert_allclose(target.scale_, y.std(0), rtol=1e-10)
    wide = y.astype(np.longdouble) - 1000  # exact, as the sum of what is left nearly is
    np.testing.assert_allclose(target.encode(y), (wide - wide.mean(0)) / wide.std(0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(target.decode(target.encode(y)), y, rtol=1e-14, atol=1e-12)
    assert target.encode(y[:0]).shape == (0, columns)
    with pytest.raises(fastdl.InputError, match=f"must have {columns} columns"):
        target.encode(np.zeros((2, columns + 1)))


def test_as_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    y = RNG.gamma(2, 3, (1000, 3))
    weight = RNG.random(1000)
    theirs = preprocessing.StandardScaler().fit(y, sample_weight=weight)
    ours = fastdl.StandardTarget().fit(y, sample_weight=weight)
    np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-12)
    np.testing.assert_allclose(ours.encode(y), theirs.transform(y), rtol=1e-9, atol=1e-12)
    labels = RNG.integers(0, 50, 1000)
    codes = preprocessing.LabelEncoder().fit_transform(labels)
    np.testing.assert_array_equal(fastdl.ClassTarget().fit(labels).encode(labels), codes)


def bits(target):
    return np.concatenate([np.ravel(target.mean_), np.ravel(target.scale_), np.ravel(target._table.lanes)])


@pytest.mark.parametrize("shape", [(1_000_000,), (70_000, 9)])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_chunks_and_threads_give_the_same_bits(shape, weighted):
    rng = np.random.default_rng(3)
    y, weight = rng.standard_normal(shape) + 1e4, rng.integers(0, 4, shape[0]).astype(float) if weighted else None
    whole = fastdl.StandardTarget().fit(y, sample_weight=weight)
    for threads in (2, 3):
        other = fastdl.StandardTarget().fit(y, sample_weight=weight, threads=threads)
        np.testing.assert_array_equal(bits(other), bits(whole))
        np.testing.assert_array_equal(other.encode(y, threads=threads), whole.encode(y))

    def chunks(size):
        for i in range(0, shape[0], size):
            yield (y[i : i + size], None if weight is None else weight[i : i + size])

    for size in (999, 262_144, 300_000):
        np.testing.assert_array_equal(bits(streaming.run(chunks(size), fastdl.StandardTarget())), bits(whole))
    with ThreadPoolExecutor(2) as pool:
        merged = streaming.run(chunks(999), fastdl.StandardTarget(), executor=pool)
        np.testing.assert_allclose(bits(merged), bits(whole), rtol=1e-12, atol=1e-10)
        if not weighted:
            size = fastdl.StandardTarget().block(9 if len(shape) == 2 else 1)
            merged = streaming.run(chunks(size), fastdl.StandardTarget(), executor=pool)
            np.testing.assert_array_equal(bits(merged), bits(whole))


def test_weights_drop_and_repeat():
    y = RNG.standard_normal(500)
    weight = RNG.integers(0, 3, 500)
    y[weight == 0] = np.nan
    got = fastdl.StandardTarget().fit(y, sample_weight=weight)
    dropped = fastdl.StandardTarget().fit(y[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_array_equal(bits(got), bits(dropped))
    repeated = fastdl.StandardTarget().fit(np.repeat(y, weight))
    np.testing.assert_allclose(bits(got)[:2], bits(repeated)[:2], rtol=1e-13)
    assert got.weight_ == repeated.weight_ == weight.sum()
    mixed = (
        fastdl.StandardTarget()
        .update(y[weight == 1])
        .update((y[weight == 2], np.full((weight == 2).sum(), 2)))
        .finish()
    )
    np.testing.assert_allclose(bits(mixed)[:2], bits(repeated)[:2], rtol=1e-13)
    for bad, match in ((-1.0, "got -1.0 at index 1"), (np.nan, "got nan"), (np.inf, "got inf")):
        with pytest.raises(fastdl.InputError, match=f"sample_weight must be finite and not negative, {match}"):
            fastdl.StandardTarget().fit([1.0, 2.0], sample_weight=[1, bad])
    with pytest.raises(fastdl.InputError, match=r"sample_weight must have shape \(2,\)"):
        fastdl.StandardTarget().fit([1.0, 2.0], sample_weight=[1])


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 1e-320, 1e9 + 0.1])
@pytest.mark.parametrize("n", [1, 2, 99_999, 600_000])
def test_equal_values_have_scale_1(value, n):
    target = fastdl.StandardTarget().fit(np.full(n, value))
    assert (target.mean_, target.var_, target.scale_) == (value, 0, 1)
    np.testing.assert_array_equal(target.encode([value]), [0])
    halves = fastdl.StandardTarget().update(np.full(n, value)).merge(fastdl.StandardTarget().update([value])).finish()
    assert (halves.mean_, halves.scale_) == (value, 1)


def test_nan_and_infinities():
    y = RNG.standard_normal((1000, 3))
    y[5, 1] = y[7, 2] = y[8, 2] = np.nan
    with pytest.raises(
        fastdl.InputError, match=r"y must be finite \(or choose nan='skip'\), got nan at index \(5, 1\)"
    ):
        fastdl.StandardTarget().fit(y)
    with pytest.raises(fastdl.InputError, match="got nan at index 3"):
        fastdl.StandardTarget().update([1.0, 2.0]).update([3.0, np.nan])
    target = fastdl.StandardTarget(nan="skip").fit(y)
    np.testing.assert_allclose(target.mean_, np.nanmean(y, 0), rtol=1e-12)
    np.testing.assert_allclose(target.scale_, np.nanstd(y, 0), rtol=1e-12)
    np.testing.assert_array_equal(target.weight_, [1000, 999, 998])
    np.testing.assert_array_equal(np.isnan(target.encode(y)), np.isnan(y))
    chunked = streaming.run([y[:6], y[6:8], y[8:]], fastdl.StandardTarget(nan="skip"))
    np.testing.assert_array_equal(bits(chunked), bits(target))
    y[9, 0] = -np.inf
    with pytest.raises(fastdl.InputError, match=r"got -inf at index \(9, 0\)"):
        fastdl.StandardTarget(nan="skip").fit(y)
    with pytest.raises(fastdl.InputError, match="column 0 of y holds no value but NaN"):
        fastdl.StandardTarget(nan="skip").fit([np.nan])
    with pytest.raises(fastdl.InputError, match="spreads too far"):
        fastdl.StandardTarget().fit([-1e200, 1e200])
    for nothing in ([], np.empty((0, 2))):
        with pytest.raises(fastdl.InputError, match="no values"):
            fastdl.StandardTarget().fit(nothing)


def test_dtypes_and_layouts():
    y = RNG.standard_normal(1001).astype(np.float32) + 100
    target = fastdl.StandardTarget().fit(y)
    wide = fastdl.StandardTarget().fit(y.astype(np.float64))
    np.testing.assert_array_equal(bits(target), bits(wide))
    assert target.encode(y).dtype == np.float32
    assert target.decode(target.encode(y)).dtype == np.float32
    np.testing.assert_array_equal(target.encode(y), wide.encode(y.astype(float)).astype(np.float32))
    assert target.encode(y.astype(np.float16)).dtype == np.float32
    assert target.encode([100, 101]).dtype == np.float64
    np.testing.assert_array_equal(bits(fastdl.StandardTarget().fit(y[::-1][::-1].astype(">f4"))), bits(target))
    columns = RNG.standard_normal((50, 4))
    np.testing.assert_array_equal(
        bits(fastdl.StandardTarget().fit(np.asfortranarray(columns))), bits(fastdl.StandardTarget().fit(columns))
    )
    for bad in (np.zeros((2, 2, 2)), 1.0):
        with pytest.raises(fastdl.InputError, match="1 or 2 dimensions"):
            fastdl.StandardTarget().fit(bad)
    with pytest.raises(fastdl.InputTypeError, match="y must be floats"):
        fastdl.StandardTarget().fit(["a"])
    with pytest.raises(fastdl.InputError, match="columns of the chunks before"):
        fastdl.StandardTarget().update([1.0]).update(np.zeros((2, 2)))
