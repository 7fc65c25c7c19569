"""Fits with p < 1: the least loss of all where vertices are few, a true bound, and no worse than any start."""

import warnings
from itertools import combinations

import mpmath
import numpy as np
import pytest

import fastdl
from fastdl.errors import NotConverged
from fastdl.linear.fit import fit_lp
from fastdl.linear.methods import _elemental_fits, exchange
from fastdl.reference import linear as reference
from tests.fuzz._exact_fits import ExactRows
from tests.test_linear_random import same

powers = pytest.mark.parametrize("p", [0.2, 0.5, 0.9])


def problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X @ np.arange(1.0, d + 1) + 0.3 * rng.normal(size=n)
    y[: n // 3] += 10 * rng.random(n // 3)
    return X, y


def climbing(monkeypatch):
    """Without the search of all vertices."""
    monkeypatch.setattr(exchange, "_ALL", -1)


@powers
@pytest.mark.parametrize(("n", "d"), [(25, 1), (12, 2), (9, 3)])
@pytest.mark.parametrize("intercept", [True, False])
def test_least_of_all(p, n, d, intercept, monkeypatch):
    for seed in range(3):
        X, y = problem(n, d, seed)
        s = np.random.default_rng(seed).random(n) + 0.5 if seed else None
        loss, w = reference.best_vertex(X, y, p, sample_weight=s, intercept=intercept)
        fit = fit_lp(X, y, p, sample_weight=s, intercept=intercept)
        np.testing.assert_allclose(fit.loss, loss, rtol=1e-7)
        np.testing.assert_allclose(fit.w, w[:d], rtol=1e-7, atol=1e-7)
        assert fit.certificate.gap <= 1e-12 and fit.method == "exchange" and fit.certificate.kind == "bound"
        with monkeypatch.context() as only:
            climbing(only)
            climbed = fit_lp(X, y, p, sample_weight=s, intercept=intercept)
        np.testing.assert_allclose(climbed.loss, loss, rtol=1e-7)
        assert climbed.certificate.lower <= loss * (1 + 1e-9)
        if d + intercept <= 2:
            assert climbed.certificate.gap < 1e-5


@powers
def test_boxes_prove_a_line(p):
    X, y = problem(1500, 1)
    fit = fit_lp(X, y, p)
    assert fit.certificate.gap <= 1.1e-6
    np.testing.assert_allclose(fit.loss, fastdl.lp_loss(X, y, fit.w, fit.b, p), rtol=1e-4)
    loose = fit_lp(X, y, p, boxes=0)
    assert loose.loss == fit.loss and 0.01 < loose.certificate.gap < 1
    assert loose.certificate.lower < fit.certificate.lower


@pytest.mark.parametrize("d", [1, 4])
def test_no_worse_than_its_starts(d):
    X, y = problem(5000, d)
    fit = fit_lp(X, y, 0.5, starts=100, boxes=0)
    assert fit.loss <= fit.history["start_loss"].min() * (1 + 1e-12)
    assert fit.history["loss"][-1] == fit.history["loss"].min() == fit.loss
    assert 1 <= fit.history["hits"] <= 3
    for p in (1, 2):
        other = fit_lp(X, y, p)
        assert fit.loss < fastdl.lp_loss(X, y, other.w, other.b, 0.5)
    assert fastdl.random_search(X, y, 0.5, center=fit, candidates=200, refine=2).loss >= fit.loss * (1 - 1e-12)
    again = fit_lp(X, y, 0.5, starts=0, start=fit, boxes=0)
    assert again.loss <= fit.loss * (1 + 1e-12)


def test_a_vertex_goes_through_rows():
    X, y = problem(500, 3)
    fit = fit_lp(X, y, 0.5)
    r = np.sort(np.abs(y - fit.predict(X)))
    assert (r[:4] < 1e-12).all() and r[4] > 1e-6


def test_units_of_x_and_y_do_not_matter():
    X, y = problem(1000, 2)
    base = fit_lp(X, y, 0.5, boxes=200)
    for factor, scale, shift in ((1e9, 1.0, 0.0), (1e-9, 1e7, 0.0), (1.0, np.array([1e-6, 1e6]), 0.0), (1, 1, 1e6)):
        fit = fit_lp(X * scale + shift, y * factor, 0.5, boxes=200)
        np.testing.assert_allclose(fit.loss / factor**0.5, base.loss, rtol=1e-6)
        np.testing.assert_allclose(fit.w * scale / factor, base.w, rtol=1e-6)
        np.testing.assert_allclose(fit.certificate.gap, base.certificate.gap, rtol=1e-3)


def test_threads_chunks_and_seeds():
    X, y = problem(10_000, 2)
    base = fit_lp(X, y, 0.5, boxes=8)
    assert same(base, fit_lp(X, y, 0.5, threads=3, boxes=8))
    assert same(base, fit_lp(list(zip(np.split(X, [11, 9000]), np.split(y, [11, 9000]))), p=0.5, boxes=8))
    np.testing.assert_allclose(fit_lp(X, y, 0.5, seed=1, boxes=8).loss, base.loss, rtol=1e-3)


@pytest.mark.parametrize("n", [40, 400])
def test_weights_drop_and_repeat_rows(n, monkeypatch):
    X, y = problem(n, 2)
    climbing(monkeypatch)
    s = np.random.default_rng(0).integers(0, 3, n)
    base = fit_lp(np.repeat(X, s, 0), np.repeat(y, s), 0.5)
    y[s == 0] = np.nan
    fit = fit_lp(X, y, 0.5, sample_weight=s)
    np.testing.assert_allclose(fit.loss, base.loss, rtol=1e-9)
    np.testing.assert_allclose(fit.w, base.w, rtol=1e-9)


def test_no_rows_one_row_no_columns_constant_columns(monkeypatch):
    none = fit_lp(np.empty((0, 2)), np.empty(0), 0.5)
    assert none.loss == 0 and none.w.tolist() == [0, 0] and none.certificate.gap == 0
    assert fit_lp([[3.0]], [2.0], 0.5).loss == 0
    assert fit_lp([[3.0], [3.0]], [2.0, 2.0], 0.5).predict([[3.0]]).round(9) == 2
    mode = fit_lp(np.empty((5, 0)), [1.0, 7.0, 1.0, 4.0, 1.0], 0.5)
    assert round(mode.b, 12) == 1
    constant = fit_lp(np.ones((5, 1)), [1.0, 7.0, 1.0, 4.0, 1.0], 0.5)
    np.testing.assert_allclose(constant.predict(np.ones((1, 1))), 1)
    zero = fit_lp(np.zeros((4, 2)), [1.0, 2.0, 3.0, 4.0], 0.5, intercept=False)
    assert zero.w.tolist() == [0, 0]
    np.testing.assert_allclose(zero.loss, np.sqrt([1, 2, 3, 4]).sum())
    for _ in range(2):
        X, y = problem(40, 2)
        base = fit_lp(X, y, 0.5)
        twice = fit_lp(np.column_stack([X, X[:, 0] - X[:, 1], np.full(40, 0.1)]), y, 0.5)
        np.testing.assert_allclose(twice.loss, base.loss, rtol=1e-9)
        assert twice.rank == 3
        repeated = fit_lp(np.repeat(X, 3, 0), np.repeat(y, 3), 0.5)
        np.testing.assert_allclose(repeated.loss, 3 * base.loss, rtol=1e-9)
        exact = np.where(np.arange(40) < 30, X @ [1.0, 2.0] + 3, y)
        fit = fit_lp(X, exact, 0.5)
        np.testing.assert_allclose(fit.w, [1, 2], rtol=1e-9)
        climbing(monkeypatch)


def test_a_column_the_samples_miss(monkeypatch):
    monkeypatch.setattr(_elemental_fits, "_POLISH", 500)
    monkeypatch.setattr(_elemental_fits, "_SAMPLE", 500)
    X, y = problem(4000, 2)
    X[:, 1] = np.arange(4000) == 1234
    fit = fit_lp(X, y, 0.5, boxes=0)
    np.testing.assert_allclose(fit.predict(X[1234:1235]), y[1234], rtol=1e-9)


def test_errors():
    X, y = problem(20, 1)
    for bad, message in (({"starts": -1}, "starts must be"), ({"boxes": -1}, "boxes must be"), ({"p": 0}, "p must be")):
        with pytest.raises(fastdl.InputError, match=message):
            fit_lp(X, y, **{"p": 0.5, **bad})
    y[3] = np.nan
    with pytest.raises(fastdl.InputError, match="y must be finite, got nan in row 3"):
        fit_lp(X, y, 0.5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("far", [1e14, 1e20, -1e50, 1e300])
def test_a_far_target_does_not_hide_the_others(p, far):
    """The vertex of least loss by 700 digits: in floats the losses of all are the same."""
    rng = np.random.default_rng(4)
    x = np.round(rng.uniform(0, 10, 12), 2)
    y = np.round(2 * x + 1 + rng.normal(0, 0.5, 12), 2)
    y[5] = far
    exact, best = ExactRows(x[:, None], y, np.ones(12)), None
    with mpmath.workdps(700):
        for i, j in combinations(range(12), 2):
            w = (exact.targets[i] - exact.targets[j]) / (exact.rows[i][0] - exact.rows[j][0])
            b = exact.targets[i] - w * exact.rows[i][0]
            sizes = [abs(r) for r in exact.residuals([b, w])]
            loss = sum((mpmath.mpf(r.numerator) / r.denominator) ** mpmath.mpf(p) for r in sizes if r)
            best = (loss, float(w), float(b)) if best is None else min(best, (loss, float(w), float(b)))
    fit = fastdl.fit_lp(x[:, None], y, p)
    np.testing.assert_allclose([fit.w[0], fit.b], best[1:], rtol=1e-12)
    assert fit.certificate.gap < 1e-14


@pytest.mark.parametrize("p", [0.5, 0.9])
@pytest.mark.parametrize("far", [1e30, 1e100])
def test_fill_values_among_many_rows_do_not_hide_the_others(p, far):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((3000, 2))
    y = X @ [1.0, -2.0] + rng.standard_t(1, 3000)
    y[::20] = far
    kept = y < 1e29
    fit, alone = (fastdl.fit_lp(*rows, p, boxes=0) for rows in ((X, y), (X[kept], y[kept])))
    assert fastdl.lp_loss(X[kept], y[kept], fit.w, fit.b, p) <= alone.loss * (1 + 1e-3)


@pytest.mark.parametrize("method", ["exchange", "random", "gradient"])
def test_weights_to_a_power_that_leave_fewer_columns_bound_nothing(method):
    # To the power of 2 the first row's weight leaves the fit with p = 1 no column, whose bound was 4e14.
    X = 1e8 + np.array([[1, -2], [2, 0], [0, 0], [0, 0], [2, 0], [1, 2], [1, 0], [0, 0]])
    X[7] = 2, 1
    y, s = np.array([-2.0, 0, -2, -1, 1, 0, -1, -2]), np.append(2.0**48, np.ones(7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        fit = fastdl.fit_lp(X, y, 0.5, sample_weight=s, method=method)
    least = 2 * 1.49999999**0.5 + 0.49999999**0.5 + 2.49999999**0.5  # of the model through rows 0, 5, 6 and 7
    assert fit.certificate.lower <= least * (1 + 1e-15)
