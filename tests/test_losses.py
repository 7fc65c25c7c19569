"""The losses beyond the reference: accuracy for any power, gradients, weights, streams, the user's own."""

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

import fastdl
from fastdl import _kernels
from fastdl.reference import losses as reference
from tests.cases_losses import POWERS, problem

needs_kernel = pytest.mark.skipif(_kernels.load("losses") is None, reason="the kernels are not built")
powers = pytest.mark.parametrize("p", POWERS)


def precise(X, y, w, b, p):
    """Loss and derivatives by b and w in the widest float."""
    X, y, w = (a.astype(np.longdouble) for a in (X, y, w))
    r = y - X @ w - np.longdouble(b)
    u = np.abs(r)
    t = np.where(u > 0, np.longdouble(p) * np.where(u > 0, u, 1) ** (np.longdouble(p) - 1) * np.sign(r), 0)
    return (u ** np.longdouble(p)).sum(), -(t @ X), -t.sum()


@powers
@pytest.mark.parametrize("d", [1, 3, 7, 8, 16, 33, 200])
def test_against_a_precise_reference(p, d):
    rng = np.random.default_rng(d)
    X, y, w, _ = problem(rng, 500, d, 0, "float64")
    y[:50] = 1e-3 * y[:50]
    for dtype, rtol in ((np.float64, 2e-12), (np.float32, 1e-5)):
        x32, y32, w32 = (a.astype(dtype) for a in (X, y, w))
        for got, want in zip(fastdl.lp_loss_grad(x32, y32, w32, 0.25, p), precise(x32, y32, w32, 0.25, p)):
            scale = float(np.abs(want).max()) if np.ndim(want) else max(abs(float(want)), 1e-300)
            if np.ndim(want) == 0 or p >= 1 or dtype is np.float64:
                np.testing.assert_allclose(
                    got, np.asarray(want, float), rtol=rtol, atol=(100 if p < 1 else 10) * rtol * scale
                )


@powers
def test_gradient_by_finite_differences(p):
    X, y, w, b = problem(np.random.default_rng(1), 200, 6, 0, "float64")
    _, by_w, by_b = fastdl.lp_loss_grad(X, y, w, b, p)
    h = 1e-4

    def slope(f):
        return (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h)

    numeric = [slope(lambda t, e=e: fastdl.lp_loss(X, y, w + t * e, b, p)) for e in np.eye(6)]
    np.testing.assert_allclose(by_w, numeric, rtol=1e-7, atol=1e-7 * np.abs(by_w).max())
    np.testing.assert_allclose(by_b, slope(lambda t: fastdl.lp_loss(X, y, w, b + t, p)), rtol=1e-7)


@powers
@pytest.mark.parametrize("models", [0, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_residual_zero_has_gradient_zero(p, models, dtype):
    X = np.eye(5, dtype=dtype)
    W = np.arange(5, dtype=dtype) if not models else np.tile(np.arange(5, dtype=dtype), (models, 1))
    loss, by_w, by_b = fastdl.lp_loss_grad(X, np.arange(5, dtype=dtype), W, 0.0, p)
    assert not np.any(loss)
    assert not np.any(by_w)
    assert not np.any(by_b)


@powers
@pytest.mark.parametrize("models", [0, 2, 20])
def test_weight_zero_drops_and_two_repeats(p, models):
    rng = np.random.default_rng(2)
    X, y, W, b = problem(rng, 300, 11, models, "float64")
    s = rng.integers(0, 3, 300).astype(float)
    want = fastdl.lp_loss_grad(np.repeat(X, s.astype(int), 0), np.repeat(y, s.astype(int)), W, b, p)
    dirty, off = X.copy(), y.copy()
    dirty[s == 0], off[s == 0] = np.nan, np.inf
    for x, t in ((X, y), (dirty, y), (X, off)):
        for got, w in zip(fastdl.lp_loss_grad(x, t, W, b, p, sample_weight=s), want):
            np.testing.assert_allclose(got, w, rtol=1e-10, atol=1e-10 * np.abs(w).max())
    mean = fastdl.lp_loss(X, y, W, b, p, sample_weight=s, reduction="mean")
    np.testing.assert_allclose(mean, want[0] / s.sum(), rtol=1e-10)


@pytest.mark.parametrize("part", ["train", "test"])
def test_folds_are_the_rows_left_out(part):
    rng = np.random.default_rng(3)
    X, y, W, b = problem(rng, 400, 6, 5, "float64")
    folds = rng.integers(0, 5, 400)
    X[folds == 2] = np.nan  # reaches only the models that see fold 2
    loss, by_w, by_b = fastdl.lp_loss_grad(X, y, W, b, 1.5, folds=folds, part=part, reduction="mean")
    for k in range(5):
        rows = (folds == k) == (part == "test")
        want = fastdl.lp_loss_grad(X[rows], y[rows], W[k], b[k], 1.5, reduction="mean")
        for got, w in zip((loss[k], by_w[k], by_b[k]), want):
            np.testing.assert_allclose(got, w, rtol=1e-11)
    assert np.isnan(loss).sum() == (4 if part == "train" else 1)


@powers
def test_curvature_is_the_slope_of_the_gradient(p):
    X, y, w, b = problem(np.random.default_rng(4), 100, 8, 0, "float64")
    *_, bend = fastdl.lp_loss_grad(X, y, w, b, p, curvature=True)
    r = y - X @ w - b
    np.testing.assert_allclose(bend, p * (p - 1) * np.abs(r) ** (p - 2), rtol=1e-11)
    *_, many = fastdl.lp_loss_grad(X, y, np.tile(w, (9, 1)), b, p, curvature=np.empty((100, 9)))
    np.testing.assert_allclose(many, np.repeat(bend[:, None], 9, 1), rtol=1e-12)
    *_, flat = fastdl.lp_loss_grad(X, X @ w, w, 0.0, p, curvature=True, floor=0.5)
    np.testing.assert_allclose(flat, p * (p - 1) * 0.5 ** (p - 2), rtol=1e-11)


@pytest.mark.parametrize("models", [0, 12])
@powers
def test_nan_and_infinity_stay(p, models):
    X, y, W, b = problem(np.random.default_rng(5), 40, 16, models, "float32")
    y[3] = np.nan
    loss, by_w, _ = fastdl.lp_loss_grad(X, y, W, b, p)
    assert np.isnan(loss).all()
    assert np.isnan(by_w).all()
    y[3] = np.inf
    assert np.isposinf(fastdl.lp_loss(X, y, W, b, p)).all()
    y[3], X[3] = 0, 1e30
    assert not np.isnan(fastdl.lp_loss(X, y, W, b, p)).any()


def test_float32_sums_in_float64():
    # Two hundred million ones, were they so many: in float32 a sum of 1.0 stands still at 2^24.
    X, y = np.zeros((1 << 18, 1), np.float32), np.full(1 << 18, 4097, np.float32)
    loss, _, by_b = fastdl.lp_loss_grad(X, y, [0.0])
    assert loss == (1 << 18) * 4097.0**2
    assert by_b == -2 * (1 << 18) * 4097.0


@pytest.mark.parametrize("p", [1, 1.37, 2])
@pytest.mark.parametrize("models", [0, 3, 40])
def test_same_bits_for_threads_and_chunks(p, models):
    rng = np.random.default_rng(6)
    X, y, W, b = problem(rng, 70_000, 16, models, "float32")
    s, folds = rng.integers(0, 3, len(X)).astype(np.float32), rng.integers(0, 3, len(X))
    want = fastdl.lp_loss_grad(X, y, W, b, p, sample_weight=s, folds=folds, reduction="mean")
    for threads in (2, 3, None):
        for got, w in zip(
            fastdl.lp_loss_grad(X, y, W, b, p, sample_weight=s, folds=folds, reduction="mean", threads=threads), want
        ):
            np.testing.assert_array_equal(got, w)
    for size in (1000, 4096, 65_537, 69_999):
        state = fastdl.LpLoss(W, b, p, reduction="mean", threads=2)
        for i in range(0, len(X), size):
            rows = slice(i, i + size)
            state.update((X[rows], y[rows], s[rows], folds[rows]))
        for got, w in zip(state.finish(), want):
            np.testing.assert_array_equal(got, w)


def test_merged_states_have_the_bits_of_one_call():
    X, y, w, b = problem(np.random.default_rng(7), 150_000, 16, 0, "float32")
    want = fastdl.lp_loss_grad(X, y, w, b, 1)
    first = fastdl.LpLoss(w, b, 1)
    size = first.block(16)
    cuts = [0, size, 2 * size, len(X)]
    for low, high in pairwise(cuts):
        first.merge(first.fresh().update((X[low:high], y[low:high])))
    for got, w_ in zip(first.finish(), want):
        np.testing.assert_array_equal(got, w_)
    with ThreadPoolExecutor(2) as executor:
        chunks = [(X[i : i + 10_007], y[i : i + 10_007]) for i in range(0, len(X), 10_007)]
        got = fastdl.streaming.run(chunks, fastdl.LpLoss(w, b, 1), executor=executor)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)


def test_models_see_the_same_alone_and_together():
    X, y, W, b = problem(np.random.default_rng(8), 999, 13, 37, "float64")
    together = fastdl.lp_loss_grad(X, y, W, b, 3)
    for k in range(37):
        for got, want in zip(together, fastdl.lp_loss_grad(X, y, W[k], b[k], 3)):
            np.testing.assert_allclose(got[k], want, rtol=1e-11)


def test_lists_dtypes_and_tensors():
    X, y, w = [[1, 2], [3, 4]], [1, 2], [0, 1]
    assert fastdl.lp_loss(X, y, w) == 5.0
    assert fastdl.lp_loss(np.array(X, np.float16), np.array(y, bool), w, p=1) == 4.0
    assert fastdl.lp_loss(np.array(X, ">f4"), np.array(y, ">i2"), np.array(w, ">f8")) == 5.0
    assert fastdl.lp_loss(np.zeros((3, 0)), [1.0, 2.0, 3.0], np.zeros(0), 1.0) == 5.0
    assert fastdl.lp_loss(np.zeros((0, 2)), [], w) == 0.0
    torch = pytest.importorskip("torch")
    assert fastdl.lp_loss(torch.tensor(X), torch.tensor(y), torch.tensor(w)) == 5.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.zeros((3, 1, 1))}, "X must have 1 or 2 dimension"),
        ({"y": [1.0]}, "y has 1 values but X has 2 rows"),
        ({"W": np.zeros(3)}, "W has 3 columns but X has 2"),
        ({"W": np.zeros((2, 2)), "b": [1.0]}, "b must be a number or have shape"),
        ({"p": 0}, "p must be above 0"),
        ({"p": math.nan}, "p must be finite"),
        ({"sample_weight": [1.0, -1.0]}, "not negative, got -1.0 at index 1"),
        ({"sample_weight": [1.0, np.nan]}, "sample_weight must be finite"),
        ({"sample_weight": [1.0]}, "sample_weight must have shape"),
        ({"folds": [0.5, 1]}, "folds must be signed integers"),
        ({"reduction": "none"}, "reduction must be one of"),
        ({"part": "both"}, "part must be one of"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"X": [["a", "b"]]}, "X must be"),
    ],
)
def test_wrong_arguments_say_so(wrong, message):
    arguments = {"X": np.zeros((2, 2)), "y": [1.0, 2.0], "W": [1.0, 2.0], **wrong}
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.lp_loss_grad(**arguments)


def test_out_is_filled_and_must_fit():
    X, y, W, b = problem(np.random.default_rng(9), 50, 4, 3, "float64")
    loss, by_w, _ = fastdl.lp_loss_grad(X, y, W, b, out=(mine := np.empty((3, 4))))
    assert by_w is mine
    losses = np.empty(3)
    assert fastdl.lp_loss(X, y, W, b, out=losses) is losses
    np.testing.assert_array_equal(losses, loss)
    with pytest.raises(fastdl.InputError, match="must not overlap"):
        fastdl.lp_loss_grad(X, y, W, b, out=X[:3])
    with pytest.raises(fastdl.InputError, match="out must be a writable"):
        fastdl.lp_loss(X, y, W, b, out=np.empty(3, np.float32))


def test_from_many_threads_at_once():
    X, y, w, b = problem(np.random.default_rng(10), 30_000, 16, 0, "float32")
    want = fastdl.lp_loss(X, y, w, b, 1.37)
    with ThreadPoolExecutor(8) as executor:
        assert set(executor.map(lambda _: fastdl.lp_loss(X, y, w, b, 1.37, threads=2), range(40))) == {want}


def huber(r):
    return r * r / 2 if abs(r) < 1.5 else 1.5 * (abs(r) - 0.75)


def huber_slope(r):
    return min(max(r, -1.5), 1.5)


@pytest.mark.parametrize("derivative", [huber_slope, None])
@pytest.mark.parametrize("models", [0, 6])
def test_custom_loss(derivative, models):
    rng = np.random.default_rng(11)
    X, y, W, b = problem(rng, 2000, 8, models, "float32")
    y = rng.standard_normal(2000).astype(np.float32)
    s = rng.integers(0, 3, 2000)
    mine = fastdl.custom_loss(huber, derivative)
    r = (y - (X @ np.atleast_2d(W).T).T - np.atleast_1d(b)[:, None]).astype(float)
    value, slope = np.vectorize(huber)(r), np.vectorize(huber_slope)(r)
    loss, by_w, by_b = mine.loss_grad(X, y, W, b, sample_weight=s)
    np.testing.assert_allclose(np.atleast_1d(loss), (s * value).sum(1), rtol=1e-5)
    np.testing.assert_allclose(np.atleast_2d(by_w), -(s * slope) @ X, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(np.atleast_1d(by_b), -(s * slope).sum(1), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(loss, mine.loss(X, y, W, b, sample_weight=s, threads=2))
    assert fastdl.LpLoss(W, b, mine).update((X, y, s)).finish()[0] == pytest.approx(loss)
    mine.check()


def test_custom_loss_that_is_wrong():
    with pytest.raises(fastdl.InputError, match="derivative must be that of function: at r = "):
        fastdl.custom_loss(lambda r: r * r, lambda r: r).check()
    with pytest.raises(fastdl.InputTypeError, match="function must be a function"):
        fastdl.custom_loss(3)
    with pytest.raises(fastdl.InputError, match="cannot be compiled by Numba"):
        fastdl.custom_loss(lambda r: {}[r].name).loss([[1.0]], [1.0], [1.0])


def test_custom_loss_without_a_folder_to_write_to(tmp_path):
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import fastdl; print(fastdl.custom_loss(lambda r: r * r).loss([[1.0]], [3.0], [1.0]))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env={**os.environ}, check=True
    )
    assert run.stdout.strip() == "4.0"
    assert not run.stderr


def test_changed_code_is_not_taken_from_the_cache(tmp_path):
    module = tmp_path / "mine.py"
    code = "import fastdl, mine; print(fastdl.custom_loss(mine.f).loss([[0.0]], [3.0], [0.0]))"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }
    for body, want in (("r * r", "9.0"), ("2.0 * r", "6.0"), ("C * r", "15.0")):
        module.write_text(f"C = 5.0\ndef f(r):\n    return {body}\n")
        run = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=env, check=True)
        assert run.stdout.strip() == want


@needs_kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_every_magnitude(dtype):
    with np.errstate(over="ignore"):
        u = np.concatenate([[0, 5e-324, 1e-310, np.inf, np.nan], np.logspace(-300, 300, 5001)]).astype(dtype)
    for p in (1.37, 0.2, 1.9, 7.3):
        for r in u[np.isfinite(u) & (u > 1e-30) & (u < 1e30)][::25]:
            got = fastdl.lp_loss(np.zeros((1, 1), dtype), np.array([r]), [0.0], 0.0, p)
            assert got == pytest.approx(float(r) ** p, rel=2e-6 if dtype == "float32" else 1e-14)
    for r in u[:5]:
        got = fastdl.lp_loss(np.zeros((1, 1), dtype), np.array([r]), [0.0], 0.0, 1.37)
        np.testing.assert_allclose(got, reference.lp_loss(np.zeros((1, 1)), np.array([r]), [0.0], 0.0, 1.37), rtol=1e-6)


def test_chunks_without_weights_or_folds_join_those_with():
    rng = np.random.default_rng(0)
    X, y, W = rng.standard_normal((30, 3)), rng.standard_normal(30), rng.standard_normal((2, 3))
    s, folds = rng.uniform(1, 2, 30), rng.integers(0, 2, 30)
    state = fastdl.LpLoss(W, p=1.5).update((X[:10], y[:10])).update((X[10:20], y[10:20], s[10:20]))
    state.update((X[20:], y[20:], None, folds[20:]))
    weights = np.concatenate([np.ones(10), s[10:20], np.ones(10)])
    numbers = np.concatenate([np.full(20, -1), folds[20:]])
    want = fastdl.lp_loss(X, y, W, p=1.5, sample_weight=weights, folds=numbers)
    assert np.allclose(state.finish()[0], want, rtol=1e-12)


@pytest.mark.parametrize(("p", "r"), [(3, 1e25), (3.14, 1e19), (4.5, 1e12), (1.5, 1e30)])
def test_powers_beyond_float32(p, r):
    X, y = np.ones((3, 1), np.float32), np.full(3, r, np.float32)
    got = fastdl.lp_loss_grad(X, y, np.zeros(1, np.float32), 0.0, p)
    want = fastdl.lp_loss_grad(X.astype(float), y.astype(float), np.zeros(1), 0.0, p)
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, rtol=1e-6)


def test_no_models_have_no_losses():
    X, y = np.ones((5, 2)), np.ones(5)
    loss, by_w, by_b = fastdl.lp_loss_grad(X, y, np.zeros((0, 2)), np.zeros(0))
    assert loss.shape == by_b.shape == (0,) and by_w.shape == (0, 2)


@pytest.mark.parametrize("p", [0.5, 1, 1.37, 2, 3, 2.0**40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_weights_of_many_models_are_those_of_one(p, dtype):
    X, y = np.ones((3, 2), dtype), np.zeros(3)
    W = np.array([[np.inf, 1], [-np.inf, 1], [1, 2], [0, 0], [0, -np.inf]], dtype)
    with np.errstate(all="ignore"):
        many = fastdl.lp_loss_grad(X, y, W, np.zeros(5), p)
        for k, w in enumerate(W):
            one = fastdl.lp_loss_grad(X, y, w, 0.0, p)
            for a, b in zip(many, one):
                np.testing.assert_allclose(a[k], b, rtol=1e-6)


def test_rows_at_odd_addresses_are_copied_before_kernels_read_them(monkeypatch):
    """A kernel that reads them is undefined, even where processors can: what reaches it is looked at."""
    from fastdl.losses import _row_sums

    aligned = []

    class Watched:
        def __getattr__(self, name):
            kernel = getattr(_kernels.load("losses"), name)

            def call(*args, **kwargs):
                aligned.extend(a.flags.aligned for a in args if isinstance(a, np.ndarray))
                return kernel(*args, **kwargs)

            return call

    def odd(x):
        held = np.zeros(x.nbytes + 1, np.uint8)
        y = held[1:].view(x.dtype).reshape(x.shape)
        y[...] = x
        return y

    if _kernels.load("losses") is None:
        pytest.skip("there are no kernels")
    monkeypatch.setattr(_row_sums, "kernel", Watched())
    for dtype in ("float32", "float64"):
        X, y, w = np.ones((9, 3), dtype), np.arange(9, dtype=dtype), np.ones(3, dtype)
        folds, weight = np.arange(9, dtype=np.int32) % 2, np.ones(9, dtype)
        want = fastdl.lp_loss_grad(X, y, w, 0.5, 1.5, sample_weight=weight, folds=folds)
        got = fastdl.lp_loss_grad(odd(X), odd(y), odd(w), 0.5, 1.5, sample_weight=odd(weight), folds=odd(folds))
        for a, b in zip(got, want):
            np.testing.assert_array_equal(a, b)
    assert aligned
    assert all(aligned)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e-3, 1.0, 1e6])
def test_differences_of_a_custom_loss_in_any_unit(unit):
    r = np.array([0.3, -0.7, 1.3, -2.9]) * unit
    for function, slope in (
        (lambda r: abs(r), np.sign(r)),
        (lambda r: abs(r) ** 1.5, 1.5 * np.sign(r) * np.abs(r) ** 0.5),
        (lambda r: r * r * r * r, 4 * r**3),
    ):
        np.testing.assert_allclose(fastdl.custom_loss(function).terms(r)[1], slope, rtol=2e-8)
