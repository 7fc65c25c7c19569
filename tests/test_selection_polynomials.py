"""Sums of Chebyshev polynomials and the fits that follow from them: against definitions, and any cut of the rows."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.polynomial import Chebyshev

import fastdl
from fastdl.reference import _selection_kernels
from fastdl.reference import selection as reference
from fastdl.selection import polynomial_stats
from fastdl.streaming import run


def wave(n=9001, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n)
    return x.astype(dtype), (np.sin(x) + 0.3 * rng.standard_normal(n)).astype(dtype)


def state(degree=5, **more):
    return fastdl.PolynomialStats(degree, domain=(0, 10), **more)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 7, 8, 15, 31, 60])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_the_definition(degree, dtype):
    rng = np.random.default_rng(degree)
    for n in (1, 3, 260, 5000):
        x, y = wave(n, dtype=dtype)
        weight, fold = rng.integers(0, 3, n).astype(dtype), rng.integers(-1, 4, n).astype(np.int32)
        less = fastdl.Polynomial(rng.standard_normal(degree + 1), (0, 10))
        for s in (None, weight):
            for f, count in ((None, 1), (fold, 3)):
                for known in (None, less):
                    got = state(degree, folds=count, offset=0.3, subtracted=known).update((x, y, s, f)).sums()
                    c = None if known is None else known.coefficients
                    want = reference.sums(x, y, s, f, count, degree, domain=(0, 10), offset=0.3, subtracted=c)
                    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("cuts", [1, 7, 1000, 4096, 8192])
def test_same_bits_for_any_chunks_and_threads(cuts):
    x, y = wave(300_000)
    rng = np.random.default_rng(1)
    s, fold = rng.uniform(0, 2, len(x)), rng.integers(0, 5, len(x))
    whole = state(folds=5).update((x, y, s, fold)).sums()
    np.testing.assert_array_equal(state(folds=5, threads=3).update((x, y, s, fold)).sums(), whole)
    n = min(len(x), 700 * cuts)
    short = state(folds=5).update((x[:n], y[:n], s[:n], fold[:n])).sums()
    chunked = state(folds=5)
    for i in range(0, n, cuts):
        chunked.update(tuple(a[i : min(n, i + cuts)] for a in (x, y, s, fold)))
    np.testing.assert_array_equal(chunked.sums(), short)


def test_merged_states_equal_one_to_rounding():
    x, y = wave(20_000)
    y = y + 1e3
    want = state(offset=1e3).update((x, y)).finish()
    merged = state()
    for i in range(0, 20_000, 3333):
        merged.merge(state().update((x[i : i + 3333], y[i : i + 3333])))
    got = merged.finish()
    np.testing.assert_allclose(got.loss, want.loss, rtol=1e-9)
    np.testing.assert_allclose(got.coefficients, want.coefficients, rtol=1e-9, atol=1e-9)
    assert got.rows == 20_000
    chunks = [(x[i : i + 3333], y[i : i + 3333]) for i in range(0, 20_000, 3333)]
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_allclose(run(chunks, state(), executor=pool).loss, want.loss, rtol=1e-9)
    with pytest.raises(fastdl.InputError, match="same degree"):
        state(5).merge(state(4))
    empty = state().merge(state())
    assert empty.merge(state().update((x, y))).finish().rows == 20_000


def test_fits_of_every_degree_are_least_squares():
    x, y = wave()
    s = np.random.default_rng(2).integers(0, 3, len(x))
    path = state(15).update((x, y, s)).finish()
    for d in range(16):
        f = Chebyshev.fit(x, y, d, domain=(0, 10), w=np.sqrt(s))
        np.testing.assert_allclose(path.coefficients[d, : d + 1], f.coef, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(path.loss[d], (s * (y - f(x)) ** 2).sum(), rtol=1e-11)
        assert not path.coefficients[d, d + 1 :].any()
    assert path.weight == s.sum() and path.rows == (s > 0).sum()
    np.testing.assert_allclose(path.model(9).predict(x), Chebyshev.fit(x, y, 9, w=np.sqrt(s))(x), atol=1e-9)
    # A second pass with what the first leaves is more accurate still, and agrees.
    again = state(15, subtracted=path.model(15)).update((x, y, s)).finish()
    np.testing.assert_allclose(again.loss, path.loss, rtol=1e-11)


def test_weight_zero_is_dropped_and_two_is_repeated():
    x, y = wave(500)
    s = np.random.default_rng(0).integers(0, 3, 500)
    x[s == 0], y[s == 0] = np.nan, np.inf
    got = state().update((x, y, s)).finish()
    want = state().update((np.repeat(x, s), np.repeat(y, s))).finish()
    np.testing.assert_allclose(got.coefficients, want.coefficients, rtol=1e-11, atol=1e-11)


def test_what_is_not_determined_is_nan_and_said():
    with pytest.warns(UserWarning, match="do not determine degrees above 2"):
        path = state(5).update((np.array([1.0, 5.0, 9.0] * 4), np.arange(12.0))).finish()
    assert np.isnan(path.loss[3:]).all() and np.isfinite(path.loss[:3]).all()
    with pytest.raises(fastdl.InputError, match="no rows"):
        state().finish()
    with pytest.raises(fastdl.InputError, match="no rows"):
        state().update((np.empty(0), np.empty(0))).finish()


def test_interpolation_leaves_nothing():
    x = np.array([0.5, 2.0, 3.5, 7.0, 9.0])
    y = np.array([3.0, -1.0, 4.0, 1.0, 5.0])
    path = state(4).update((x, y)).finish()
    assert path.loss[4] <= 1e-14 * (y**2).sum()
    np.testing.assert_allclose(path.model(4).predict(x), y, rtol=1e-11)


def test_any_input_and_wrong_arguments():
    x, y = wave(5000)
    want = state().update((x, y)).sums()
    frozen = x.copy()
    frozen.flags.writeable = False
    wide = np.repeat(x, 2)[::2]
    for other in (frozen, wide, x.astype(">f8"), x.tolist(), x.astype(np.longdouble)):
        np.testing.assert_array_equal(state().update((other, y)).sums(), want)
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(state().update((torch.from_numpy(x), torch.from_numpy(y))).sums(), want)
    half = state().update((x.astype(np.float16), y.astype(np.float32))).sums()
    np.testing.assert_allclose(half[0, 0], 5000)
    ints = state().update((np.arange(10, dtype=np.int8), np.arange(10, dtype=np.uint8))).sums()
    np.testing.assert_array_equal(ints, state().update((np.arange(10.0), np.arange(10.0))).sums())
    far = state(folds=2).update((x, y, None, np.full(5000, 2**32))).sums()
    assert not far.any()
    for bad, words in (
        ((x, y[:-1]), "lengths must agree"),
        ((x[:, None], y), "x must have 1 dimension"),
        ((x, y, -np.ones(5000)), "sample_weight must be finite and not negative, got -1.0 in row 0"),
        ((np.where(np.arange(5000) == 4100, np.nan, x), y), "x must be finite, got nan in row 4100"),
        ((x, np.where(np.arange(5000) == 77, np.inf, y)), "y must be finite, got inf in row 77"),
        ((x, y * 1e300), "the sums overflow"),
    ):
        with pytest.raises(fastdl.InputError, match=words):
            state().update(bad).finish()
    with pytest.raises(fastdl.InputTypeError, match="a chunk must be"):
        state().update(x)
    with pytest.raises(fastdl.InputTypeError, match="folds must be"):
        state().update((x, y, None, x))
    for arguments, words in (((61,), "between 0 and 60"), ((-1,), "between 0 and 60")):
        with pytest.raises(fastdl.InputError, match=words):
            fastdl.PolynomialStats(*arguments)
    with pytest.raises(fastdl.InputError, match="low < high"):
        fastdl.PolynomialStats(3, domain=(1, 1))
    with pytest.raises(fastdl.InputError, match="same domain"):
        fastdl.PolynomialStats(3, subtracted=fastdl.Polynomial([1.0], (0, 1)))


def test_state_is_small_and_can_be_sent():
    x, y = wave(1_000_003)
    stats = state(15, folds=5)
    for i in range(0, len(x), 30_000):
        stats.update((x[i : i + 30_000], y[i : i + 30_000]))
    sent = pickle.dumps(stats)
    assert len(sent) < 100_000
    np.testing.assert_array_equal(pickle.loads(sent).sums(), stats.sums())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sums_with_threads():
    x, y = wave(600_000)
    want = state(threads=2).update((x, y)).sums()
    child = os.fork()
    if child == 0:
        same = (state(threads=2).update((x, y)).sums() == want).all()
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_threads_at_once():
    x, y = wave(200_000)
    want = state(threads=2).update((x, y)).sums()
    found = []
    workers = [threading.Thread(target=lambda: found.append(state(threads=2).update((x, y)).sums())) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    for got in found:
        np.testing.assert_array_equal(got, want)


class TestPolynomial:
    def test_predict_is_the_series(self):
        rng = np.random.default_rng(0)
        for degree in (0, 1, 2, 15, 60):
            c = rng.standard_normal(degree + 1)
            f = fastdl.Polynomial(c, (-3, 8))
            for x in (rng.uniform(-3, 8, 1000), rng.uniform(-3, 8, (5, 7)).astype(np.float32), np.float64(2.0)):
                want = Chebyshev(c, (-3, 8))(np.asarray(x, float))
                np.testing.assert_allclose(f.predict(x), want, rtol=1e-11, atol=1e-11)
            np.testing.assert_array_equal(f.predict(x), reference.series(x, (-3, 8), c))
        assert f.predict([]).shape == (0,)
        out = np.empty(3)
        assert f.predict([1, 2, 3], out=out) is out
        x = rng.uniform(-3, 8, 600_000)
        np.testing.assert_array_equal(f.predict(x, threads=3), f.predict(x))
        with pytest.raises(fastdl.InputError, match="overlap"):
            f.predict(x, out=x)
        assert np.isnan(f.predict([np.nan])).all()

    def test_monomial_is_exact(self):
        f = fastdl.Polynomial([1.0, 2.0, 0.5, -1.5], (0, 4))
        np.testing.assert_allclose(
            f.monomial(), Chebyshev(f.coefficients, (0, 4)).convert(kind=np.polynomial.Polynomial).coef
        )
        with pytest.warns(UserWarning, match="digits of 16 are lost"):
            c = fastdl.Polynomial(np.ones(31)).monomial()
        # T_30 has leading coefficient 2^29, and T_k(1) = 1.
        assert c[30] == 2.0**29 and c.sum() == pytest.approx(31, rel=1e-3)

    def test_errors(self):
        with pytest.raises(fastdl.InputError, match="must not be empty"):
            fastdl.Polynomial([])
        with pytest.raises(fastdl.InputError, match="pair"):
            fastdl.Polynomial([1.0], 3)
        assert repr(fastdl.Polynomial([1.0, 2.0])) == "Polynomial(degree=1, domain=(-1.0, 1.0))"


def test_reference_and_kernel_agree(monkeypatch):
    x, y = wave()
    fold = np.random.default_rng(0).integers(0, 3, len(x))
    want = state(folds=3).update((x, y, None, fold)).sums()
    monkeypatch.setattr(polynomial_stats, "kernel", _selection_kernels)
    np.testing.assert_allclose(state(folds=3).update((x, y, None, fold)).sums(), want, rtol=1e-10, atol=1e-8)


def test_a_constant_needs_finite_x_too():
    x, y = np.array([1.0, np.nan, 2.0]), np.ones(3)
    with pytest.raises(fastdl.InputError, match="x must be finite, got nan in row 1"):
        fastdl.PolynomialStats(0).update((x, y)).finish()
    fastdl.PolynomialStats(0).update((x, y, np.array([1.0, 0.0, 1.0]))).finish()


def test_folds_of_no_rows():
    with pytest.raises(fastdl.InputError, match=r"must be rows|no rows"):
        fastdl.select_degree([], [], [1, 2], folds=np.zeros(0, int))
