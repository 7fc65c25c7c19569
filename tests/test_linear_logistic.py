"""Logistic fits: against scikit-learn and 50-digit arithmetic; the bound is below the least loss, whatever the data."""

import warnings

import numpy as np
import pytest

import fastdl


def problem(classes=3, n=400, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-2, 3, d)
    W = rng.standard_normal((classes, d)) / X.std(axis=0)
    return X + 3, (X @ W.T + rng.gumbel(size=(n, classes))).argmax(axis=1), rng.integers(0, 3, n)


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("l2", [1.0, 0.01])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(classes, l2, weighted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, s = problem(classes)
    s = s if weighted else None
    fit = fastdl.fit_logistic(X, y, l2=l2, sample_weight=s)
    assert fit.converged and 0 <= fit.certificate.gap < 1e-12
    peer = linear_model.LogisticRegression(C=1 / l2, tol=1e-10, solver="newton-cholesky", max_iter=1000)
    peer.fit(X, y, sample_weight=s)
    np.testing.assert_allclose(fit.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(fit.w, peer.coef_.reshape(fit.w.shape), atol=1e-6 * np.abs(fit.w).max())
    np.testing.assert_array_equal(fit.predict(X), peer.predict(X))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", ["plain", "rare", "heavy", "sorted"])
def test_a_sample_of_many_rows_is_a_start_only(classes, kind):
    """A rare class, rows that outweigh all others, a column that few rows have, columns that change on the way."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, s = problem(classes, 20_000, 4)
    s = s + 0.5
    if kind == "rare":
        y[y == 0] = 1
        y[:7] = 0
    elif kind == "heavy":
        s[:20] *= 1e5
        X[:, 0] = 0
        X[:30, 0] = 1
    elif kind == "sorted":
        order = np.argsort(X[:, 0])
        X, y, s = X[order], y[order], s[order]
        X[:9000, 1] *= 10
    fit = fastdl.fit_logistic(X, y, sample_weight=s)
    assert fit.converged and 0 <= fit.certificate.gap < 1e-8
    peer = linear_model.LogisticRegression(tol=1e-10, solver="newton-cholesky", max_iter=1000)
    peer.fit(X, y, sample_weight=s)
    np.testing.assert_allclose(fit.predict_proba(X), peer.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_bound_is_below_the_least_loss_in_50_digits(l2):
    mpmath = pytest.importorskip("mpmath")
    X, y, _ = problem(2, 30, 1, 5)
    fit = fastdl.fit_logistic(X, y, l2=l2)
    with mpmath.workdps(50):
        x, sign = [mpmath.mpf(v) for v in X[:, 0].tolist()], [1 - 2 * int(v) for v in y]

        def slopes(w, b):
            q = [1 / (1 + mpmath.exp(-t * (w * v + b))) * t for v, t in zip(x, sign)]
            return l2 * w + sum(a * v for a, v in zip(q, x)), sum(q)

        w, b = mpmath.findroot(slopes, (float(fit.w[0]), float(fit.b)), tol=1e-60)
        least = sum(mpmath.log1p(mpmath.exp(t * (w * v + b))) for v, t in zip(x, sign)) + l2 * w * w / 2
        assert fit.certificate.lower <= least <= fit.certificate.upper * (1 + 1e-14)
        assert least - fit.certificate.lower < 1e-11 * least


def test_the_bound_holds_at_every_step():
    X, y, _ = problem(4, 200, 3, 2)
    least = fastdl.fit_logistic(X, y, l2=0.1).loss
    for steps in range(1, 6):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            fit = fastdl.fit_logistic(X, y, l2=0.1, steps=steps)
        assert fit.certificate.lower <= least * (1 + 1e-14) and fit.loss >= least * (1 - 1e-14)
        assert np.isfinite(fit.certificate.gap)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_for_data_of_any_size_and_rank(seed):
    rng = np.random.default_rng(seed)
    n, d, classes = int(rng.integers(2, 40)), int(rng.integers(0, 50)), int(rng.integers(2, 4))
    X = rng.integers(-2, 3, (n, d)) * 10.0 ** rng.integers(-100, 100) + rng.choice([0, 1e6])
    y = np.arange(n) % classes
    y[:classes] = np.arange(classes)[: len(y[:classes])]
    if len(set(y)) < 2:
        return
    fit = fastdl.fit_logistic(X, y, l2=float(rng.choice([1e-6, 1.0, 100.0])), intercept=bool(rng.integers(2)))
    assert fit.converged, fit.certificate
    z = X @ np.atleast_2d(fit.w).T + fit.b
    z = np.column_stack([np.zeros(n), z]) if z.shape[1] == 1 else z
    loss = (np.logaddexp.reduce(z, axis=1) - z[np.arange(n), y]).sum() + fit.l2 / 2 * (fit.w**2).sum()
    np.testing.assert_allclose(fit.loss, loss, rtol=1e-9, atol=1e-11)


def test_separated_classes_warn_without_a_penalty():
    with pytest.warns(RuntimeWarning, match="no least loss without l2"):
        fit = fastdl.fit_logistic([[0.0], [1.0]], [0, 1], l2=0)
    assert fit.certificate.lower == 0 and not fit.converged


def test_many_coefficients_go_by_conjugate_gradients(monkeypatch):
    from fastdl.linear import _softmax_descent

    X, y, s = problem(3)
    want = fastdl.fit_logistic(X, y, sample_weight=s)
    monkeypatch.setattr(_softmax_descent, "_DENSE", 0)
    fit = fastdl.fit_logistic(X, y, sample_weight=s)
    np.testing.assert_allclose(fit.w, want.w, rtol=1e-4, atol=1e-7 * np.abs(want.w).max())
    assert fit.certificate.gap < 1e-8


def test_class_weight_and_labels():
    X, y, _ = problem(2)
    names = np.where(y == 1, "yes", "no")
    fit = fastdl.fit_logistic(X, names, class_weight={"yes": 2.0})
    same = fastdl.fit_logistic(X, y, sample_weight=1.0 + y)
    np.testing.assert_array_equal(fit.w, same.w)
    assert set(fit.predict(X)) == {"no", "yes"}
    balanced = fastdl.fit_logistic(X, y == 1, class_weight="balanced")
    counts = np.bincount(y)
    by_hand = fastdl.fit_logistic(X, y, sample_weight=len(y) / (2 * counts[y]))
    np.testing.assert_allclose(balanced.w, by_hand.w, rtol=1e-12)


def test_threads_do_not_change_a_bit():
    X, y, _ = problem(3, 60_000, 5)
    one, two = (fastdl.fit_logistic(X, y, threads=threads) for threads in (1, 2))
    assert (one.w == two.w).all() and one.certificate == two.certificate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0], [2.0]], [1, 1]), "at least two classes"),
        (([[np.nan], [2.0]], [0, 1]), "X must be finite"),
        (([[1.0], [2.0]], [0, np.nan]), "y must be finite"),
        (([[1.0], [2.0]], [0, 1, 2]), "label for each of 2 rows"),
        (([[[1.0]], [[2.0]]], [0, 1]), "dimension"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(fastdl.errors.InputError, match=message):
        fastdl.fit_logistic(*arguments)
    with pytest.raises(fastdl.errors.InputError, match="no label of y"):
        fastdl.fit_logistic([[1.0], [2.0]], [0, 1], class_weight={7: 1})
    with pytest.raises(fastdl.errors.InputError, match="row of weight above 0"):
        fastdl.fit_logistic([[1.0], [2.0]], [0, 1], sample_weight=[1, 0])
