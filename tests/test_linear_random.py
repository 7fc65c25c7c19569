"""Random search and the bounds by duality beyond the reference: exact pruning, no units, the same for any cuts."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl._rows import Rows
from fastdl.linear.fit import fit_lp
from fastdl.linear.methods._lower_bounds import lower_bound
from fastdl.linear.methods.random import draw_candidates
from fastdl.reference import linear as reference

POWERS = [0.5, 1.0, 1.5, 2.0, 3.0]
powers = pytest.mark.parametrize("p", POWERS)


def problem(n=700, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.arange(1, d + 1) + 5
    return X, X @ np.arange(1.0, d + 1) - 2 + rng.standard_t(2, size=n)


def same(a, b):
    return a.loss == b.loss and a.b == b.b and np.array_equal(a.w, b.w) and a.certificate == b.certificate


@powers
@pytest.mark.parametrize("intercept", [True, False])
def test_equals_reference(p, intercept):
    X, y = problem()
    s = np.random.default_rng(1).random(len(y))
    fit = fastdl.random_search(X, y, p, candidates=200, refine=3, intercept=intercept, sample_weight=s, seed=3)
    w, b, loss = reference.random_search(
        X, y, p, candidates=200, refine=3, intercept=intercept, sample_weight=s, seed=3
    )
    np.testing.assert_allclose(fit.w, w, rtol=1e-8)
    np.testing.assert_allclose([fit.b, fit.loss], [b, loss], rtol=1e-8, atol=1e-8)
    assert fit.method == "random"


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("keep", [1, 7])
def test_pruning_changes_nothing(p, keep):
    X, y = problem(20_000, 3)
    some = {"candidates": 300, "refine": 2, "keep": keep, "scale": 3.0}
    pruned, brute = (fastdl.random_search(X, y, p, prune=prune, **some) for prune in (True, False))
    np.testing.assert_allclose(pruned.history["top_loss"], brute.history["top_loss"], rtol=1e-12)
    np.testing.assert_allclose(pruned.history["top_w"], brute.history["top_w"], rtol=1e-12)
    assert (brute.history["read"] == 1).all()
    assert (pruned.history["read"] < 1).all()
    assert (np.diff(pruned.history["top_loss"]) >= 0).all() and pruned.history["top_w"].shape == (keep, 3)


def test_candidates_are_of_their_number_alone():
    whole = np.concatenate(list(draw_candidates(5, 2, 5000, 3)))
    np.testing.assert_array_equal(whole, reference.numbers(5, 2, 5000, 3))
    np.testing.assert_array_equal(np.concatenate(list(draw_candidates(5, 2, 100, 3))), whole[:100])
    assert not whole[0].any() and abs(whole.std() - 1) < 0.02


@powers
def test_units_of_x_and_y_do_not_matter(p):
    X, y = problem()
    base = fastdl.random_search(X, y, p, candidates=100, refine=2)
    for factor, scale, shift in (
        (1e9, 1.0, 0.0),
        (1e-9, 1e7, 0.0),
        (1.0, np.array([1e-6, 1.0, 1e6]), 0.0),
        (1.0, 1.0, 1e6),
    ):
        fit = fastdl.random_search(X * scale + shift, y * factor, p, candidates=100, refine=2)
        np.testing.assert_allclose(fit.w * scale / factor, base.w, rtol=1e-5)
        np.testing.assert_allclose(fit.loss / factor**p, base.loss, rtol=1e-5)
        np.testing.assert_allclose(fit.certificate.gap, base.certificate.gap, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_threads_chunks_and_layouts(p):
    X, y = problem(50_000)
    some = {"candidates": 600, "refine": 1, "keep": 2}
    base = fastdl.random_search(X, y, p, **some)
    assert same(base, fastdl.random_search(X, y, p, threads=3, **some))
    for cuts in ([7, 30_001], []):
        chunks = list(zip(np.split(X, cuts), np.split(y, cuts)))
        assert same(base, fastdl.random_search(chunks, p=p, **some))
        assert same(base, fastdl.random_search(lambda chunks=chunks: iter(chunks), p=p, **some))
    frozen = np.asfortranarray(X).astype(">f8")
    frozen.flags.writeable = False
    assert same(base, fastdl.random_search(frozen, y[::-1][::-1], p, **some))
    other = fastdl.random_search(X, y, p, seed=1, **some)
    assert other.history["top_loss"][1] != base.history["top_loss"][1]


@powers
def test_weights_drop_and_repeat_rows(p):
    X, y = problem(300)
    s = np.random.default_rng(0).integers(0, 3, 300)
    base = fastdl.random_search(np.repeat(X, s, 0), np.repeat(y, s), p, candidates=100)
    y[s == 0] = np.nan
    fit = fastdl.random_search(X, y, p, candidates=100, sample_weight=s)
    np.testing.assert_allclose(fit.loss, base.loss, rtol=1e-9)
    np.testing.assert_allclose(fit.w, base.w, rtol=1e-7)


@pytest.mark.parametrize("p", [1.0, 1.05, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_lower_bound_is_below_every_model(p, weighted):
    X, y = problem(500, 2)
    s = np.random.default_rng(2).random(500) + 0.01 if weighted else None
    near = fastdl.gradient_descent(X, y, p, optimizer="gd", epochs=2000, sample_weight=s)
    for spread in (0.0, 1e-3, 0.3, 10.0):
        bound = lower_bound(Rows(X, y, s), near.w + spread, near.b - spread, p)
        assert 0 <= bound <= near.loss * (1 + 1e-12)
        assert bound >= near.loss * (1 - {0.0: 2e-3, 1e-3: 0.02}.get(spread, 1))


def test_lower_bound_of_least_squares_is_exact():
    X, y = problem()
    bound = lower_bound(Rows(X, y), np.zeros(3), 0.0, 2.0)
    np.testing.assert_allclose(bound, fit_lp(X, y, 2).loss, rtol=1e-12)


def test_lower_bound_below_one():
    X, y = problem(60, 1)
    least, _ = reference.best_vertex(X, y, 0.5)
    assert 0 < lower_bound(Rows(X, y), np.zeros(1), 0.0, 0.5) <= least


def test_a_loss_of_ones_own():
    X, y = problem()
    mine = fastdl.custom_loss(lambda r: abs(r))
    own = fastdl.random_search(X, y, mine, candidates=100, refine=2)
    lad = fastdl.random_search(X, y, 1, candidates=100, refine=2)
    np.testing.assert_allclose(own.loss, lad.loss, rtol=1e-12)
    assert own.certificate.kind == "none" and own.certificate.lower == -np.inf and (own.history["read"] == 1).all()
    pruned = fastdl.random_search(X, y, mine, candidates=100, refine=2, prune=True)
    assert pruned.loss == own.loss


def test_center_and_start():
    X, y = problem()
    center = np.array([1.0, 2.0, 3.0]), -2.0
    fit = fastdl.random_search(X, y, 1, candidates=1, refine=0, center=center)
    np.testing.assert_allclose(fit.w, center[0])
    np.testing.assert_allclose(fit.b, center[1])
    best = fit_lp(X, y, 1)
    again = fastdl.random_search(X, y, 1, candidates=50, center=best)
    np.testing.assert_allclose(again.loss, best.loss, rtol=1e-12)
    turns = []
    fastdl.random_search(X, y, 1, candidates=5, refine=3, progress=lambda event: turns.append(event.done))
    assert turns == [1, 2, 3, 4]


@powers
def test_no_rows_one_row_no_columns_constant_columns(p):
    none = fastdl.random_search(np.empty((0, 2)), np.empty(0), p, candidates=5, refine=1)
    assert none.loss == 0 and none.w.tolist() == [0, 0] and none.b == 0
    one = fastdl.random_search([[3.0]], [2.0], p, candidates=5, refine=1)
    assert one.loss < 1e-12 and one.predict([[3.0]]).round(9) == 2
    only_b = fastdl.random_search(np.empty((4, 0)), [0.0, 1.0, 1.0, 5.0], p, candidates=500)
    assert only_b.w.shape == (0,)
    np.testing.assert_allclose(only_b.loss, (np.abs(only_b.b - np.array([0.0, 1.0, 1.0, 5.0])) ** p).sum(), rtol=1e-9)
    X, y = problem(50, 2)
    twice = fastdl.random_search(np.column_stack([X, X[:, 0], np.full(50, 0.1)]), y, p, candidates=2000)
    np.testing.assert_allclose(twice.loss, fastdl.random_search(X, y, p, candidates=2000).loss, rtol=0.01)
    assert twice.rank == 3 and np.isfinite(twice.w).all()


def test_errors():
    X, y = problem(20)
    for bad, message in (
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"keep": 0}, "keep must be"),
        ({"scale": -1}, "scale must be"),
        ({"shrink": 0}, "shrink must be above 0"),
        ({"center": (np.zeros(2), 0.0)}, "w must have 3 values"),
        ({"center": (np.zeros(3), 1.0), "intercept": False}, "b must be 0"),
        ({"p": 0}, "p must be above 0"),
        ({"sample_weight": -np.ones(20)}, "sample_weight must be finite and not negative"),
    ):
        with pytest.raises(fastdl.InputError, match=message):
            fastdl.random_search(X, y, **bad)
    y[7] = np.nan
    with pytest.raises(fastdl.InputError, match="y must be finite, got nan in row 7"):
        fastdl.random_search(X, y)
    with pytest.raises(fastdl.InputTypeError, match="gone through several times"):
        fastdl.random_search(iter([(X, y)]))


def _forked(queue, X, y):
    queue.put(fastdl.random_search(X, y, 1, candidates=50, refine=1, threads=2).loss)


def test_many_at_once_and_after_fork():
    X, y = problem(20_000)
    base = fastdl.random_search(X, y, 1, candidates=50, refine=1)
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(fastdl.random_search, X, y, 1, candidates=50, refine=1, threads=2) for _ in range(6)]
        assert all(same(job.result(), base) for job in jobs)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_forked, args=(queue, X, y))
    child.start()
    assert queue.get(timeout=60) == base.loss
    child.join()


def test_no_rows_have_no_loss():
    for shape in ((0, 0), (0, 3)):
        fit = fastdl.random_search(np.zeros(shape), [], p=1.0, candidates=8)
        assert fit.loss == 0
        assert fit.w.shape == shape[1:]
