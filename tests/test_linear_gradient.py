"""Gradient descent beyond the reference: its steps, no units, histories, early stopping, the same for any cuts."""

import numpy as np
import pytest

import fastdl
from fastdl.linear.fit import fit_lp
from fastdl.reference import linear as reference
from tests.test_linear_random import problem, same

POWERS = [0.5, 1.0, 1.5, 2.0, 3.0]
powers = pytest.mark.parametrize("p", POWERS)
optimizers = pytest.mark.parametrize("optimizer", ["adam", "gd", "momentum", "lbfgs"])


@powers
@pytest.mark.parametrize("optimizer", ["adam", "gd", "momentum"])
@pytest.mark.parametrize("intercept", [True, False])
def test_equals_reference(p, optimizer, intercept):
    X, y = problem(200)
    s = np.random.default_rng(1).random(len(y)) + 0.1
    some = {"optimizer": optimizer, "epochs": 12, "learning_rate": 0.02, "intercept": intercept, "sample_weight": s}
    fit = fastdl.gradient_descent(X, y, p, **some)
    w, b, losses = reference.gradient_descent(X, y, p, **some)
    np.testing.assert_allclose(fit.history["loss"], losses, rtol=1e-6)
    np.testing.assert_allclose(fit.w, w, rtol=1e-5)
    np.testing.assert_allclose(fit.b, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.loss, losses.min(), rtol=1e-6)
    assert fit.method == optimizer


@optimizers
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_comes_near_the_least_loss(p, optimizer):
    X, y = problem()
    fit = fastdl.gradient_descent(X, y, p, optimizer=optimizer, epochs=400)
    np.testing.assert_allclose(fit.loss, fastdl.lp_loss(X, y, fit.w, fit.b, p), rtol=1e-9)
    assert fit.certificate.kind == "dual" and 0 <= fit.certificate.gap < 1e-3
    if p in (1, 2):
        least = fit_lp(X, y, p).loss
        assert least * (1 - 1e-12) <= fit.loss <= least * (1 + 1e-3)
        assert fit.certificate.lower <= least * (1 + 1e-12)


@optimizers
@powers
def test_units_of_x_and_y_do_not_matter(p, optimizer):
    X, y = problem(200)
    epochs = 8 if p > 1 else 2  # where the slopes jump, what is rounded differently goes its own way
    base = fastdl.gradient_descent(X, y, p, optimizer=optimizer, epochs=epochs)
    for factor, scale, shift in ((1e9, 1.0, 0.0), (1e-9, 1e7, 0.0), (1.0, np.array([1e-6, 3.0, 1e6]), 0), (1, 1, 1e6)):
        fit = fastdl.gradient_descent(X * scale + shift, y * factor, p, optimizer=optimizer, epochs=epochs)
        # For p = 2 the slope of the constant is 0 but for rounding, of which Adam makes whole steps.
        rtol = 1e-2 if (optimizer, p) == ("adam", 2) else 1e-6
        np.testing.assert_allclose(fit.loss / factor**p, base.loss, rtol=rtol)
        np.testing.assert_allclose(fit.w * scale / factor, base.w, rtol=10 * rtol)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("batch_size", [None, 1000])
def test_threads_and_chunks(p, batch_size):
    X, y = problem(100_000)
    some = {"epochs": 3, "batch_size": batch_size, "seed": 2}
    base = fastdl.gradient_descent(X, y, p, **some)
    assert same(base, fastdl.gradient_descent(X, y, p, threads=3, **some))
    streams = [
        fastdl.gradient_descent(list(zip(np.split(X, cuts), np.split(y, cuts))), p=p, **some)
        for cuts in ([], [7, 30_001])
    ]
    assert same(*streams)
    if batch_size is None:
        assert same(base, streams[0])
    else:
        assert not same(base, fastdl.gradient_descent(X, y, p, epochs=3, batch_size=batch_size, seed=3))
        assert base.loss < 1.1 * fastdl.gradient_descent(X, y, p).loss


def test_history_and_best_model():
    X, y = problem()
    fit = fastdl.gradient_descent(X, y, 1, learning_rate=1.0, schedule="constant", epochs=30)
    h = fit.history
    assert all(len(values) == 31 for values in h.values()) and h["w"].shape == (31, 3)
    np.testing.assert_allclose(fit.loss, h["loss"].min(), rtol=1e-12)
    best = h["loss"].argmin()
    np.testing.assert_array_equal(fit.w, h["w"][best])
    assert fit.b == h["b"][best] and (h["learning_rate"] == 1).all()
    np.testing.assert_allclose(h["loss"][0], np.abs(y - y.mean()).sum())
    for schedule, last in (("cosine", 0), ("inverse", 0.01), (lambda t: 1 - t / 2, 0.05)):
        rates = fastdl.gradient_descent(X, y, 1, schedule=schedule, epochs=5).history["learning_rate"]
        np.testing.assert_allclose(rates[[0, -1]], [0.1, last], atol=1e-12)


def test_early_stopping():
    X, y = problem()
    held = problem(100, seed=9)
    seen = []
    fit = fastdl.gradient_descent(
        X, y, 2, valid=held, patience=3, tol=0.01, epochs=500, progress=lambda event: seen.append(event.done)
    )
    losses = fit.history["valid_loss"]
    assert len(losses) < 500 and seen == list(range(len(losses)))
    np.testing.assert_array_equal(fit.w, fit.history["w"][losses.argmin()])
    np.testing.assert_allclose(losses[-1], fastdl.lp_loss(*held, fit.history["w"][-1], fit.history["b"][-1]) / 100)
    assert len(fastdl.gradient_descent(X, y, 2, optimizer="gd", patience=2, epochs=500).history["loss"]) < 100


@powers
def test_weights_drop_and_repeat_rows(p):
    X, y = problem(300)
    s = np.random.default_rng(0).integers(0, 3, 300)
    base = fastdl.gradient_descent(np.repeat(X, s, 0), np.repeat(y, s), p, optimizer="gd", epochs=4)
    y[s == 0] = np.inf
    fit = fastdl.gradient_descent(X, y, p, optimizer="gd", epochs=4, sample_weight=s)
    np.testing.assert_allclose(fit.loss, base.loss, rtol=1e-7)
    np.testing.assert_allclose(fit.w, base.w, rtol=1e-5)


def test_descent_begins_at_the_start_given():
    X, y = problem()
    best = fit_lp(X, y, 1)
    fit = fastdl.gradient_descent(X, y, 1, start=best, epochs=5)
    np.testing.assert_allclose(fit.loss, best.loss, rtol=1e-12)
    assert fastdl.gradient_descent(X, y, 2, start=(np.ones(3), 0.0), epochs=0).w.round(12).tolist() == [1, 1, 1]


@optimizers
def test_a_loss_of_ones_own(optimizer):
    X, y = problem()
    huber = fastdl.custom_loss(lambda r: r * r / 2 if abs(r) < 1 else abs(r) - 0.5, lambda r: min(max(r, -1.0), 1.0))
    fit = fastdl.gradient_descent(X, y, huber, optimizer=optimizer, epochs=400)
    np.testing.assert_allclose(fit.loss, huber.loss(X, y, fit.w, fit.b), rtol=1e-12)
    _, by_w, by_b = huber.loss_grad(X, y, fit.w, fit.b)
    assert np.abs(by_b) < 2 and np.abs(by_w).max() < 20  # sums over 700 rows
    assert fit.certificate.kind == "none"
    assert fit_lp(X, y, huber).loss > 0


@optimizers
@powers
def test_no_rows_one_row_no_columns_constant_columns(p, optimizer):
    some = {"optimizer": optimizer, "epochs": 5}
    none = fastdl.gradient_descent(np.empty((0, 2)), np.empty(0), p, **some)
    assert none.loss == 0 and none.w.tolist() == [0, 0] and none.b == 0
    one = fastdl.gradient_descent([[3.0]], [2.0], p, **some)
    assert one.loss < 1e-7 and one.w.tolist() == [0]
    only_b = fastdl.gradient_descent(np.empty((4, 0)), [0.0, 1.0, 1.0, 5.0], p, **some)
    assert only_b.w.shape == (0,)
    still = fastdl.gradient_descent(np.ones((5, 1)), np.ones(5), p, **some)
    assert still.loss < 1e-7
    X, y = problem(50, 2)
    twice = fastdl.gradient_descent(np.column_stack([X, X[:, 0], np.full(50, 0.1)]), y, p, **some)
    assert np.isfinite(twice.w).all() and twice.loss <= twice.history["loss"][0] * (1 + 1e-12)


def test_errors():
    X, y = problem(20)
    for bad, message in (
        ({"optimizer": "sgd"}, "optimizer must be one of 'adam'"),
        ({"schedule": "steps"}, "schedule must be one of"),
        ({"epochs": -1}, "epochs must be at least 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 5, "optimizer": "lbfgs"}, "batch_size must be None"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"momentum": 2}, "momentum must be between 0 and 1"),
        ({"patience": 0}, "patience must be"),
        ({"valid": (np.zeros((3, 2)), np.zeros(3))}, "X of valid must have 3 columns"),
        ({"valid": (np.zeros((0, 3)), np.zeros(0))}, "valid must have rows"),
        ({"start": (np.zeros(2), 0.0)}, "w must have 3 values"),
        ({"p": -1}, "p must be above 0"),
    ):
        with pytest.raises(fastdl.InputError, match=message):
            fastdl.gradient_descent(X, y, **bad)
    X[4, 1] = np.inf
    with pytest.raises(fastdl.InputError, match=r"X must be finite, got .* in row 4"):
        fastdl.gradient_descent(X, y)
    with pytest.raises(fastdl.InputTypeError, match="valid must be"):
        fastdl.gradient_descent([[1.0]], [1.0], valid=3)
