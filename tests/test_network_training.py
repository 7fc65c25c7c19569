"""How a network is trained: optimizers, schedules, validation, custom losses, the refit of the output."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters, _training
from fastdl.reference import network as reference
from tests.cases_network import ACTIVATIONS, assert_same_fit, fit, wave


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd"}, {"activation": "gelu", "weight_decay": 0.1}, {"p": 1.5}])
@pytest.mark.parametrize("hidden", [(7,), (20, 5)])
def test_training_is_the_reference_s(monkeypatch, options, hidden):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((150, 3))
    y, s = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(150), rng.integers(0, 3, 150)
    options = {**options, "hidden": hidden, "sample_weight": s, "valid": 0.2, "epochs": 4}
    got = fit(X, y, **options)
    monkeypatch.setattr(_parameters, "kernel", reference)
    want = fit(X, y, **options)
    np.testing.assert_allclose(got.predict(X), want.predict(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got.features(X), want.features(X), rtol=1e-6, atol=1e-8)
    for name in want.history:
        np.testing.assert_allclose(got.history[name], want.history[name], rtol=1e-7)


def test_adam_is_the_published_one():
    """One step from known parameters moves each by the rate, whatever the gradient."""
    x, y = wave(64)
    one = fit(x, y, batch_size=64, epochs=1, learning_rate=1e-3, schedule="constant")
    two = fit(x, y, batch_size=64, epochs=1, learning_rate=2e-3, schedule="constant")
    # f(w0 - 2h) - f(w0 - h) = f(w0 - h) - f(w0): the first step is along the signs of the gradient.
    np.testing.assert_allclose(np.abs(two.weights[1] - one.weights[1]) / np.std(y), 1e-3, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("p", [0.5, 1, 1.37, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_of_training_gains(optimizer, p, activation):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((500, 4))
    y = 3 * X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(500)
    # The slope of a power below 1 has no bound: plain gradient descent wants small steps there.
    rate, epochs = (0.005, 100) if optimizer == "sgd" and p < 1 else (None, 30)
    learned = fit(X, y, p=p, optimizer=optimizer, activation=activation, epochs=epochs, learning_rate=rate)
    constant = np.median(y) if p < 2 else y.mean()
    assert learned.loss < 0.5 * np.sum(np.abs(y - constant) ** p)


def huber(r):
    return r * r / 2 if abs(r) < 0.1 else 0.1 * (abs(r) - 0.05)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_custom_loss(optimizer):
    x, y = wave(500)
    mine = fastdl.custom_loss(lambda r: r * r, lambda r: 2 * r)
    options = {"optimizer": optimizer, "epochs": 60}
    np.testing.assert_allclose(
        fit(x, y, p=mine, **{**options, "optimizer": "adam"}).predict(x),
        fit(x, y, p=2, **{**options, "optimizer": "adam"}).predict(x),
        atol=1e-5,
    )
    learned = fit(x, 1e3 * y, p=fastdl.custom_loss(huber), **options)
    r = 1e3 * y - learned.predict(x)
    assert learned.loss == pytest.approx(sum(map(huber, r)))
    assert learned.loss < 0.5 * sum(map(huber, 1e3 * y))


def test_validation_and_early_stopping():
    rng = np.random.default_rng(8)
    x, y = wave(60)
    y = y + rng.standard_normal(60)
    other = wave(500, seed=9)
    seen = []
    learned = fit(
        x, y, hidden=(64,), valid=other, patience=5, epochs=500, learning_rate=0.05, schedule="constant",
        progress=seen.append,
    )  # fmt: skip
    history = learned.history["valid"]
    assert len(history) == learned.best_epoch + 6 < 500
    assert learned.best_epoch == history.argmin()
    r = other[1] - learned.predict(other[0])
    assert np.mean(r**2) == pytest.approx(history.min(), rel=1e-6)
    assert [s.done for s in seen] == list(range(1, len(history) + 1))
    assert [s.details["valid"] for s in seen] == history.tolist()
    weighted = fit(x, y, valid=(*other, np.ones(500)))
    np.testing.assert_allclose(weighted.history["valid"], fit(x, y, valid=other).history["valid"])


def test_part_held_out():
    x, y = wave(100)
    learned = fit(x, y, valid=0.3)
    # The loss is that of the rows trained on, all others are those of the validation.
    total = np.sum((y - learned.predict(x)) ** 2)
    assert learned.loss + 30 * learned.history["valid"][learned.best_epoch] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("cosine", [1, 0.5 + 0.5 * math.sqrt(0.5), 0.5, 0.5 - 0.5 * math.sqrt(0.5)]),
        ("step", [1, 1, 0.1, 0.01]),
        (lambda part: 1 + part, [1, 1.25, 1.5, 1.75]),
    ],
)
def test_rates_follow_the_schedule(schedule, want):
    x, y = wave()
    history = fit(x, y, epochs=4, schedule=schedule, learning_rate=0.02).history
    np.testing.assert_allclose(history["learning_rate"], 0.02 * np.array(want), rtol=1e-12)


def test_weight_decay_shrinks():
    x, y = wave()
    size = [sum(float((w**2).sum()) for w in fit(x, y, weight_decay=d, epochs=20).weights) for d in (0, 1, 10)]
    assert size[0] > size[1] > size[2]


def test_divergence_lowers_the_rate_or_says_so():
    x, y = wave()
    lowered = fit(x, y, optimizer="sgd", learning_rate=3.0, schedule="constant", activation="relu")
    assert np.isfinite(lowered.predict(x)).all()
    assert lowered.history["learning_rate"][0] < 3
    with pytest.raises(fastdl.InputError, match="training diverged in epoch 0, even at a rate of"):
        fit(x, y, optimizer="sgd", learning_rate=1e30, activation="relu")


def test_every_call_of_the_kernel_is_short(monkeypatch):
    x, y = wave()
    want = fit(x, y)
    monkeypatch.setattr(_training, "_CALL", 1)
    assert_same_fit(fit(x, y), want)


@pytest.mark.parametrize("valid", [None, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_refit_is_least_squares(valid, weighted):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((500, 5))
    y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.standard_normal(500)
    s = rng.uniform(0, 2, 500) if weighted else np.ones(500)
    plain, again = (fit(X, y, sample_weight=s, refit=r, valid=valid) for r in (False, True))
    if valid is not None:
        assert again.loss != plain.loss or np.array_equal(again.weights[-1], plain.weights[-1])
        return
    columns = np.sqrt(s)[:, None] * np.column_stack([again.features(X), np.ones(500)])
    best = np.sum((np.sqrt(s) * y - columns @ np.linalg.lstsq(columns, np.sqrt(s) * y)[0]) ** 2)
    assert again.loss == pytest.approx(best, rel=1e-9)
    assert again.loss < plain.loss


def test_refit_of_dependent_features_gains():
    x, y = wave(300)
    plain, again = (fit(x, y, refit=r) for r in (False, True))
    assert again.loss < 0.1 * plain.loss


@pytest.mark.parametrize("batch_size", [129, 300, 1024])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_share_a_batch_and_keep_the_bits(batch_size, dtype):
    x, y = wave(2500, dtype)
    s = np.random.default_rng(11).uniform(0, 2, len(x))
    options = {"batch_size": batch_size, "sample_weight": s, "hidden": (9, 5), "weight_decay": 0.01}
    want = fit(x, y, **options)
    for threads in (2, 3, 8):
        assert_same_fit(fit(x, y, threads=threads, **options), want)


def test_pieces_of_a_batch_are_the_whole_batch(monkeypatch):
    x, y = wave(1000)
    got = fit(x, y, batch_size=1000, threads=3)
    monkeypatch.setattr(_parameters, "kernel", reference)
    np.testing.assert_allclose(got.predict(x), fit(x, y, batch_size=1000).predict(x), rtol=1e-9)


def test_trainings_side_by_side_share_the_pool():
    """More trainings than threads: a leader that gets no helper does the work itself."""
    x, y = wave(1500)
    want = fit(x, y, batch_size=500)
    with ThreadPoolExecutor(12) as pool:
        for got in pool.map(lambda _: fit(x, y, batch_size=500, threads=8), range(24)):
            assert_same_fit(got, want)
