"""Rows in memory that are solved by parts: the same least losses as of all rows at once, and as HiGHS finds."""

import numpy as np
import pytest

import fastdl
from fastdl.linear.methods import _kept_signs
from tests.test_linear_fit import KINDS, problem, proven


@pytest.fixture
def by_parts(monkeypatch):
    """Parts of more than a hundred rows are parted again."""
    monkeypatch.setattr(_kept_signs, "_FEW", 100)
    monkeypatch.setattr(_kept_signs, "_FEW_OF_EACH", 10)
    return monkeypatch


def check_loss_by_highs(X, y, s, tau):
    optimize, sparse = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.sparse")
    n, d = X.shape
    A = sparse.hstack([np.ones((n, 1)), X, sparse.eye_array(n), -sparse.eye_array(n)]).tocsc()
    cost = np.concatenate([np.zeros(d + 1), tau * s, (1 - tau) * s])
    bounds = [(None, None)] * (d + 1) + [(0, None)] * (2 * n)
    return optimize.linprog(cost, A_eq=A, b_eq=y, bounds=bounds, method="highs").fun


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wide", [4.0, 0.5])
def test_equals_all_rows_at_once(kind, wide, by_parts):
    X, y = problem(kind, 6000, 3)
    rng = np.random.default_rng(1)
    for s in (None, rng.integers(1, 4, 6000).astype(float), rng.pareto(0.7, 6000) + 1e-3):
        by_parts.setattr(_kept_signs, "_WIDE", wide)
        by_parts.setattr(_kept_signs, "_FEW", 100)
        fit = proven(fastdl.fit_lp(X, y, 1, sample_weight=s), X, y, 1, tol=1e-10, s=1.0 if s is None else s)
        by_parts.setattr(_kept_signs, "_FEW", 10**9)
        want = fastdl.fit_lp(X, y, 1, sample_weight=s)
        assert fit.loss == pytest.approx(want.loss, rel=1e-12)


@pytest.mark.parametrize("tau", [0.5, 0.05, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_highs(kind, tau, by_parts):
    X, y = problem(kind, 1500, 3)
    s = np.random.default_rng(2).random(len(y)) + 0.1
    fit = fastdl.fit_quantile(X, y, tau, sample_weight=s)
    want = check_loss_by_highs(X, y, s, tau)
    assert fit.loss == pytest.approx(want, rel=1e-9, abs=1e-9)
    assert fit.certificate.lower <= want * (1 + 1e-9) + 1e-9 and fit.certificate.gap < 1e-9


def test_rows_of_great_weight_are_never_left_out(by_parts):
    """A hundredth of the rows outweighs all others by far, and lies elsewhere: no sample by chance would tell."""
    rng = np.random.default_rng(3)
    X, y = problem("normal", 8000, 3)
    s = np.ones(8000)
    heavy = rng.choice(8000, 80, replace=False)
    s[heavy], y[heavy] = 1e6, 50 * rng.standard_normal(80)
    fit = proven(fastdl.fit_lp(X, y, 1, sample_weight=s), X, y, 1, tol=1e-10, s=s)
    by_parts.setattr(_kept_signs, "_FEW", 10**9)
    assert fit.loss == pytest.approx(fastdl.fit_lp(X, y, 1, sample_weight=s).loss, rel=1e-12)


def test_ordered_and_periodic_rows(by_parts):
    """What is sampled is one row by chance of each so many: neither order nor period misleads it."""
    X, y = problem("normal", 9000, 3)
    want = fastdl.fit_lp(X, y, 1).loss
    for order in (np.argsort(y), np.argsort(X[:, 0]), np.arange(9000).reshape(90, 100).T.ravel()):
        fit = proven(fastdl.fit_lp(X[order], y[order], 1), X, y, 1, tol=1e-11)
        assert fit.loss == pytest.approx(want, rel=1e-12)
