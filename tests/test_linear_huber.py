"""Huber fits: against exact rationals, statsmodels, the reference; bounds that hold, units that do not matter."""

from fractions import Fraction

import numpy as np
import pytest

import fastdl


def problem(seed, n=None, d=None):
    rng = np.random.default_rng(seed)
    n, d = n or int(rng.integers(3, 80)), d or int(rng.integers(1, 5))
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) + rng.standard_t(1.5, n), rng.integers(1, 4, n).astype(float)


def exact_loss(X, y, s, w, b, delta):
    """In rationals."""
    w, b, delta, total = [Fraction(float(v)) for v in w], Fraction(b), Fraction(delta), Fraction(0)
    for row, t, weight in zip(X.tolist(), y.tolist(), s.tolist()):
        r = abs(Fraction(t) - b - sum((v * Fraction(u) for v, u in zip(w, row)), Fraction(0)))
        total += Fraction(weight) * (r * r / 2 if r <= delta else delta * r - delta * delta / 2)
    return total


@pytest.mark.parametrize("seed", range(30))
def test_is_the_least_and_the_loss_is_exact(seed):
    X, y, s = problem(seed)
    delta = float(10.0 ** np.random.default_rng(seed + 1000).uniform(-2, 1))
    fit = fastdl.fit_huber(X, y, delta, sample_weight=s)
    loss = exact_loss(X, y, s, fit.w, fit.b, delta)
    if fit.certificate.kind == "interpolation":
        assert loss < 1e-26
        return
    assert abs(Fraction(fit.loss) - loss) <= loss * Fraction(1, 10**13)
    assert Fraction(fit.certificate.lower) <= loss
    assert fit.certificate.gap < 1e-9, fit.certificate
    _, _, want = fastdl.reference.fit_huber(X, y, delta, sample_weight=s)
    assert fit.certificate.lower <= want * (1 + 1e-12)
    np.testing.assert_allclose(fit.loss, want, rtol=1e-8)


def test_equals_statsmodels_at_fixed_scale():
    robust = pytest.importorskip("statsmodels.robust.robust_linear_model")
    norms = pytest.importorskip("statsmodels.robust.norms")

    class Fixed:
        """A scale of 1, whatever the residuals."""

        def __call__(self, *_):
            return 1.0

    X, y, _ = problem(3, 200, 3)
    A = np.column_stack([np.ones(len(y)), X])
    peer = robust.RLM(y, A, M=norms.HuberT(1.345)).fit(scale_est=Fixed(), maxiter=2000, tol=1e-13)
    fit = fastdl.fit_huber(X, y)
    np.testing.assert_allclose([fit.b, *fit.w], peer.params, rtol=1e-8, atol=1e-9)


def test_equals_scikit_learn_s_at_its_scale():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _ = problem(5, 300, 3)
    peer = linear_model.HuberRegressor(epsilon=1.35, alpha=0, max_iter=1000, tol=1e-10).fit(X, y)
    fit = fastdl.fit_huber(X, y, 1.35 * peer.scale_)
    np.testing.assert_allclose([fit.b, *fit.w], [peer.intercept_, *peer.coef_], rtol=1e-4, atol=1e-4)


def test_far_delta_is_least_squares_and_near_delta_is_least_absolute():
    X, y, s = problem(7, 60, 2)
    squares = fastdl.fit_lp(X, y, sample_weight=s)
    wide = fastdl.fit_huber(X, y, 1e6, sample_weight=s)
    np.testing.assert_allclose([wide.b, *wide.w], [squares.b, *squares.w], rtol=1e-9)
    assert wide.loss == pytest.approx(squares.loss / 2, rel=1e-12)
    absolute = fastdl.fit_lp(X, y, 1, sample_weight=s)
    narrow = fastdl.fit_huber(X, y, 1e-7, sample_weight=s)
    assert narrow.loss / 1e-7 == pytest.approx(absolute.loss, rel=1e-5)


@pytest.mark.parametrize("unit", [1e-12, 1e9])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_units_do_not_matter(unit, shift):
    X, y, s = problem(11, 100, 3)
    want = fastdl.fit_huber(X, y, 1.0, sample_weight=s)
    got = fastdl.fit_huber((X + shift) * [1e6, 1e-6, 1], y * unit, unit, sample_weight=s)
    np.testing.assert_allclose(got.w * [1e6, 1e-6, 1] / unit, want.w, rtol=1e-6)
    assert got.loss / unit**2 == pytest.approx(want.loss, rel=1e-9)
    assert got.converged


@pytest.mark.parametrize("y_far", [1.0, 1e10, 1e100])
@pytest.mark.parametrize("x_far", [1.0, 1e6])
def test_far_rows_move_the_fit_little_and_leave_it_certified(x_far, y_far):
    X, y, _ = problem(13, 100, 2)
    X[0], y[1] = X[0] * x_far, y_far
    fit = fastdl.fit_huber(X, y, 1.0)
    assert fit.certificate.gap < (1e-7 if x_far == 1 or y_far == 1 else 1e-4)  # rounding, of the far residual too
    assert fit.converged
    keep = np.arange(100) != 1
    without = fastdl.fit_huber(X[keep], y[keep], 1.0)
    assert np.abs(fit.w - without.w).max() < 0.3


@pytest.mark.parametrize("seed", range(80))
def test_bounds_hold_for_small_integers(seed):
    """No model of a fine grid about the fit has a loss below the bound."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 10))
    x, y = rng.integers(-2, 3, (n, 1)).astype(float), rng.integers(-2, 3, n).astype(float)
    delta = float(rng.choice([0.25, 1.0, 2.0]))
    fit = fastdl.fit_huber(x, y, delta)
    ones = np.ones(n)
    assert Fraction(fit.certificate.lower) <= exact_loss(x, y, ones, fit.w, fit.b, delta) or fit.loss == 0
    assert fit.certificate.gap < 1e-9 or fit.loss < 1e-12
    for _ in range(30):
        w, b = fit.w + rng.normal(0, 0.3, 1), fit.b + float(rng.normal(0, 0.3))
        r = np.abs(y - x[:, 0] * w - b)
        loss = np.where(r <= delta, r * r / 2, delta * r - delta * delta / 2).sum()
        assert fit.certificate.lower <= loss * (1 + 1e-12)


def test_dependent_columns_weights_and_no_intercept():
    X, y, s = problem(17, 50, 2)
    twice = np.column_stack([X, X[:, 0]])
    fit, want = fastdl.fit_huber(twice, y), fastdl.fit_huber(X, y)
    assert fit.loss == pytest.approx(want.loss, rel=1e-10)
    repeated = fastdl.fit_huber(np.repeat(X, s.astype(int), axis=0), np.repeat(y, s.astype(int)))
    weighted = fastdl.fit_huber(X, y, sample_weight=s)
    np.testing.assert_allclose(weighted.w, repeated.w, rtol=1e-9)
    through = fastdl.fit_huber(X, y, intercept=False)
    assert through.b == 0
    assert through.certificate.gap < 1e-9
    assert fastdl.fit_huber(X[:1], y[:1]).loss == 0


@pytest.mark.parametrize("unit", [1e-250, 1e-150, 1e200])
def test_units_whose_squares_are_no_floats(unit):
    X, y, _ = problem(23, 40, 2)
    fit = fastdl.fit_huber(X, y * unit, unit)
    np.testing.assert_allclose(fit.w / unit, fastdl.fit_huber(X, y, 1.0).w, rtol=1e-9)
    assert fit.converged
    assert fit.certificate.gap < 1e-9


def test_messages_and_progress():
    X, y, _ = problem(19, 20, 1)
    with pytest.raises(fastdl.InputError, match="delta must be above 0"):
        fastdl.fit_huber(X, y, 0)
    with pytest.raises(fastdl.InputError, match="lengths must agree"):
        fastdl.fit_huber(X, y[:3])
    seen = []
    fit = fastdl.fit_huber(X, y, 0.5, progress=seen.append)
    assert [event.details["gap"] for event in seen] == fit.history["gap"].tolist()
    with pytest.warns(RuntimeWarning, match="fit_huber stopped with a gap"):
        fastdl.fit_huber(X, y, 0.01, steps=1)
