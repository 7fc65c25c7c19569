"""What only networks promise: gradients, the same bits, units that do not matter, training that fails loudly."""

import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters, _training
from tests.cases_network import problem

ACTIVATIONS = ("tanh", "relu", "gelu", "identity")
needs_kernel = pytest.mark.skipif(_parameters.kernel is None, reason="the kernels are not built")


def wave(n=400, dtype=float, seed=0):
    x = np.random.default_rng(seed).uniform(-2, 2, (n, 1)).astype(dtype)
    return x, np.sin(3 * x[:, 0])


def fit(X, y=None, **options):
    return fastdl.fit_network(X, y, **{"hidden": (8,), "epochs": 6, "batch_size": 32, **options})


def assert_same_fit(a, b):
    for name in ("weights", "biases"):
        for u, v in zip(getattr(a, name), getattr(b, name)):
            np.testing.assert_array_equal(u, v)
    assert a.loss == b.loss
    assert {k: v.tolist() for k, v in a.history.items()} == {k: v.tolist() for k, v in b.history.items()}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("hidden", [(5,), (19, 6)])
def test_gradient_by_finite_differences(activation, p, hidden):
    rng = np.random.default_rng(1)
    X, y, weights, biases = problem(rng, 100, 3, hidden)
    s = rng.uniform(0.5, 2, 100)

    def loss(by, t):
        moved = [[a + t * d for a, d in zip(part, ds)] for part, ds in zip((weights, biases), by)]
        return fastdl.network_loss_grad(X, y, *moved, p, activation=activation, sample_weight=s)[0]

    _, by_weights, by_biases = fastdl.network_loss_grad(
        X, y, weights, biases, p, activation=activation, sample_weight=s
    )
    for k in range(len(hidden) + 1):
        for which, grads in ((0, by_weights), (1, by_biases)):
            # Along the gradient itself, where it is as large as it gets, and along a random direction.
            for direction in (grads[k], rng.standard_normal(grads[k].shape)):
                zero = [[np.zeros_like(a) for a in part] for part in (weights, biases)]
                zero[which][k] = direction / np.linalg.norm(direction)
                want = float((grads[k] * zero[which][k]).sum())
                h = 1e-3 if activation != "relu" else 1e-5  # short of the bends
                numeric = (loss(zero, -2 * h) - 8 * loss(zero, -h) + 8 * loss(zero, h) - loss(zero, 2 * h)) / (12 * h)
                assert numeric == pytest.approx(want, rel=1e-6, abs=1e-6 * np.linalg.norm(grads[k]))


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residual_zero_has_gradient_zero(p, dtype):
    X = np.ones((5, 2), dtype)
    loss, *grads = fastdl.network_loss_grad(
        X, np.full(5, 3.0), [np.ones((2, 1)), np.ones(1)], [np.ones(1), np.zeros(())], p, activation="identity"
    )
    assert loss == 0
    assert not any(np.any(g) for part in grads for g in part)


@needs_kernel
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 4), (np.float64, 4)])
def test_tanh_is_within_a_few_units_in_the_last_place(dtype, bound):
    tiny = np.finfo(dtype).tiny
    x = np.concatenate([np.geomspace(tiny, 40, 200_000), np.linspace(0, 3, 200_000), [0, 1e-40, 700, 1e30]])
    x = np.concatenate([x, -x]).astype(dtype)[:, None]
    layout = _parameters.ParameterLayout(1, (1,), dtype)
    flat = layout.pack([np.ones((1, 1)), np.ones(1)], [np.zeros(1), np.zeros(())])
    got = np.empty((len(x), 1), dtype)
    _parameters.values(layout, "tanh", x, flat, None, got)
    want = np.tanh(x.astype(np.longdouble))
    ulp = np.abs(got - want) / np.spacing(np.abs(want).astype(dtype))
    assert ulp.max() <= bound
    assert np.abs(got).max() <= 1
    # Its neighbours in a layer are NaN, not lost.
    _parameters.values(layout, "tanh", np.array([[np.nan], [np.inf], [-np.inf]], dtype), flat, None, got[:3])
    np.testing.assert_array_equal(got[:3, 0], [np.nan, 1, -1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_a_wave_with_defaults(dtype):
    x, y = wave(2000, dtype)
    grid = np.linspace(-2, 2, 1000)[:, None]
    if _parameters.kernel is None:
        learned = fastdl.fit_network(x, y, epochs=150)
    else:
        learned = fastdl.fit_network(x, y)
    assert np.sqrt(np.mean((learned.predict(grid) - np.sin(3 * grid[:, 0])) ** 2)) < 0.05
    np.testing.assert_allclose(learned.loss, np.sum((y - learned.predict(x)) ** 2), rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd"}, {"activation": "gelu", "weight_decay": 0.1}, {"p": 1.5}])
@pytest.mark.parametrize("hidden", [(7,), (20, 5)])
def test_training_is_the_reference_s(monkeypatch, options, hidden):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((150, 3))
    y, s = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(150), rng.integers(0, 3, 150)
    options = {**options, "hidden": hidden, "sample_weight": s, "valid": 0.2, "epochs": 4}
    got = fit(X, y, **options)
    monkeypatch.setattr(_parameters, "kernel", None)
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


@pytest.mark.parametrize("size", [1, 37, 150, 399])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_any_chunks_and_threads(size, dtype):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 3)).astype(dtype)
    y, s = X[:, 0] * X[:, 1], rng.integers(0, 3, 400).astype(float)
    chunks = [(X[i : i + size], y[i : i + size], s[i : i + size]) for i in range(0, 400, size)]
    for options in ({}, {"valid": 0.25}, {"window": 90}, {"window": 90, "valid": 0.25, "p": 1}):
        want = fit(X, y, sample_weight=s, **options)
        assert_same_fit(fit(chunks, **options), want)
        assert_same_fit(fit(lambda: iter(chunks), threads=2, **options), want)
        np.testing.assert_array_equal(want.predict(X), want.predict(X, threads=3))


def test_same_seed_same_bits():
    x, y = wave()
    assert_same_fit(fit(x, y, seed=5, valid=0.2), fit(x, y, seed=5, valid=0.2))
    assert fit(x, y, seed=5).loss != fit(x, y, seed=6).loss
    with ThreadPoolExecutor(4) as executor:
        for other in executor.map(lambda _: fit(x, y, seed=5), range(8)):
            assert_same_fit(other, fit(x, y, seed=5))


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_units_do_not_matter(p):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((300, 3))
    y = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(300)
    want = fit(X, y, p=p)
    for by_x, plus, by_y, shift in (
        (1, 0, 1e9, 0),
        (1, 0, 1e-9, 0),
        (np.array([1e-9, 1, 1e12]), 0, 1, 0),
        (1, 1e6, 1, 0),
        (1, 0, 1, 1e3),
        (np.array([2.0**-300, 2.0**900, 1]), 0, 2.0**300, 0),
    ):
        moved = fit(X * by_x + plus, y * by_y + shift, p=p)
        np.testing.assert_allclose((moved.predict(X * by_x + plus) - shift) / by_y, want.predict(X), atol=1e-5)
        np.testing.assert_allclose(moved.features(X * by_x + plus), want.features(X), atol=1e-5)


def test_constant_columns_and_targets():
    x, y = wave()
    X = np.column_stack([np.full(400, 7.0), x, np.zeros(400)])
    learned = fit(X, y)
    assert not learned.weights[0][[0, 2]].any()
    X[:, 0] = -1e9
    np.testing.assert_array_equal(learned.predict(X), learned.predict(np.column_stack([0 * x, x, 0 * x])))
    for p in (1, 2):
        np.testing.assert_array_equal(fit(x, np.full(400, 3.5), p=p).predict(x), np.full(400, 3.5))


@pytest.mark.parametrize("p", [0.5, 1, 2])
def test_one_row_and_a_few(p):
    learned = fit([[1.0, 2.0]], [3.0], p=p)
    assert learned.predict([[1.0, 2.0]]).tolist() == [3.0]
    assert learned.loss == 0
    for n in (2, 3, 5, 33):
        x, y = wave(n)
        assert np.isfinite(fit(x, y, p=p).predict(x)).all()


def test_no_rows():
    for X, y in ((np.empty((0, 2)), []), ([[1.0, 2.0]], [1.0])):
        with pytest.raises(fastdl.InputError, match="at least one row with a weight above 0, got none"):
            fit(X, y, sample_weight=np.zeros(len(y)))
    assert fit([[1.0], [2.0]], [1.0, 2.0]).predict(np.empty((0, 1))).shape == (0,)
    assert fit([[1.0], [2.0]], [1.0, 2.0]).features(np.empty((0, 1))).shape == (0, 8)


def test_weight_zero_is_dropped():
    rng = np.random.default_rng(5)
    x, y = wave(200)
    s = rng.integers(0, 3, 200).astype(float)
    dirty = x.copy()
    dirty[s == 0] = np.nan
    want = fit(x[s > 0], y[s > 0], sample_weight=s[s > 0])
    assert_same_fit(fit(dirty, y, sample_weight=s), want)
    assert_same_fit(fit(dirty, y, sample_weight=s * 2.0**40), _with_loss(want, 2.0**40))


def _with_loss(learned, factor):
    from dataclasses import replace

    return replace(learned, loss=learned.loss * factor)


def test_low_power_withstands_outliers():
    rng = np.random.default_rng(6)
    x, y = wave(1000)
    dirty = y.copy()
    dirty[rng.random(1000) < 0.1] += 30
    error = {p: np.median(np.abs(fit(x, dirty, p=p, epochs=60).predict(x) - y)) for p in (1, 2)}
    assert error[1] < 0.2 * error[2]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("p", [0.5, 1, 1.37, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_of_training_gains(optimizer, p, activation):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((500, 4))
    y = 3 * X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(500)
    # The slope of a power below 1 has no bound: plain gradient descent wants small steps there.
    rate = 0.005 if optimizer == "sgd" and p < 1 else None
    learned = fit(X, y, p=p, optimizer=optimizer, activation=activation, epochs=30, learning_rate=rate)
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
def test_schedules(schedule, want):
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


def test_learned_features_serve_a_linear_fit():
    x, y = wave(500)
    learned = fastdl.LearnedFeatures(hidden=(16, 6), epochs=20)
    with pytest.raises(fastdl.InputError, match="call fit"):
        learned.transform(x)
    columns = learned.fit(x, y).transform(x)
    assert columns.shape == (500, 6)
    network = learned.network
    np.testing.assert_allclose(columns @ network.weights[-1] + network.biases[-1], network.predict(x), rtol=1e-9)
    inside = np.tanh(np.tanh(x @ network.weights[0] + network.biases[0]) @ network.weights[1] + network.biases[1])
    np.testing.assert_allclose(columns, inside, rtol=1e-9, atol=1e-12)
    out = np.empty((500, 6))
    assert learned.transform(x, out=out, threads=2) is out
    np.testing.assert_array_equal(out, columns)
    with pytest.raises(fastdl.InputError, match="out must be a writable"):
        learned.transform(x, out=np.empty((500, 7)))


def test_any_input():
    x, y = wave(100)
    want = fit(x, y)
    assert_same_fit(fit(x.tolist(), y.tolist()), want)
    assert_same_fit(fit(x.astype(">f8"), y.astype(">f8")), want)
    assert_same_fit(fit(np.repeat(x, 2, axis=1)[:, ::2], np.repeat(y, 2)[::2]), want)
    frozen = x.copy()
    frozen.flags.writeable = False
    assert_same_fit(fit(frozen, y), want)
    np.testing.assert_array_equal(want.predict(np.asfortranarray(x)), want.predict(x))
    np.testing.assert_array_equal(want.predict(x.astype(np.float32)), want.predict(x.astype(np.float32).astype(float)))
    assert np.isnan(want.predict([[np.nan], [1.0]])).tolist() == [True, False]
    assert fit(np.arange(20)[:, None], np.arange(20) % 2 == 0).predict([[1]]).shape == (1,)
    assert_same_fit(pickle.loads(pickle.dumps(want)), want)
    torch = pytest.importorskip("torch")
    assert_same_fit(fit(torch.tensor(x), torch.tensor(y)), want)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.zeros(3)}, "X must have 2 dimension"),
        ({"X": np.zeros((3, 0))}, "X must have at least one column"),
        ({"y": [1.0]}, "lengths must agree, got X: 3, y: 1"),
        ({"X": [[1.0], [np.nan], [2.0]]}, "X must be finite, got nan in row 1, column 0"),
        ({"y": [1.0, 2.0, np.inf]}, "y must be finite, got inf in row 2"),
        ({"sample_weight": [1.0, -1.0, 1.0]}, "not negative, got -1.0 in row 1"),
        ({"p": 0}, "p must be above 0"),
        ({"p": math.nan}, "p must be finite"),
        ({"hidden": ()}, "hidden must have at least one layer"),
        ({"hidden": (3, 0)}, "hidden must be at least 1, got 0"),
        ({"hidden": 2.5}, "hidden must be an integer"),
        ({"activation": "sin"}, "activation must be one of 'identity', 'tanh'"),
        ({"optimizer": "lbfgs"}, "optimizer must be one of 'adam', 'sgd'"),
        ({"schedule": "up"}, "schedule must be one of"),
        ({"optimizer": "sgd", "momentum": 1}, "momentum must be below 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"weight_decay": -1}, "weight_decay must be at least 0"),
        ({"patience": 3}, "give valid"),
        ({"valid": 1.5}, "valid must be between 0 and 1"),
        ({"valid": 0.01}, "valid must leave rows on both sides"),
        ({"valid": "half"}, r"valid must be a number, \(X, y\)"),
        ({"valid": (np.zeros((2, 2)), [0.0, 1.0])}, "valid must have 1 columns, got 2"),
        ({"valid": ([[1.0]], [np.nan])}, "valid: y must be finite, got nan in row 0"),
        ({"valid": (np.zeros((0, 1)), [])}, "valid must have at least one row"),
        ({"refit": True, "p": 1}, "refit is for p = 2"),
        ({"window": 0}, "window must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_messages(wrong, message):
    arguments = {"X": np.arange(3.0)[:, None], "y": [1.0, 2.0, 3.0], **wrong}
    with pytest.raises(fastdl.FastdlError, match=message):
        fit(arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": [[[1.0]]], "biases": [0.0]}, "a hidden layer or more and the output, got 1 and 1"),
        ({"weights": [np.ones((2, 3)), np.ones(3)]}, r"weights\[0\] must have shape \(1, 3\), got \(2, 3\)"),
        ({"biases": [np.ones(2), 0.0]}, r"biases\[0\] must have shape \(3,\), got \(2,\)"),
        ({"biases": [np.ones(3), [0.0]]}, r"biases\[1\] must have shape \(\), got \(1,\)"),
        ({"sample_weight": [1.0, np.nan]}, "sample_weight must be finite and not negative, got nan at index 1"),
        ({"y": [1.0]}, "lengths must agree"),
        ({"reduction": "none"}, "reduction must be one of"),
    ],
)
def test_messages_of_the_gradient(wrong, message):
    right = {
        "X": np.ones((2, 1)),
        "y": [1.0, 2.0],
        "weights": [np.ones((1, 3)), np.ones(3)],
        "biases": [np.ones(3), 0.0],
    }
    with pytest.raises(fastdl.FastdlError, match=message):
        fastdl.network_loss_grad(**{**right, **wrong})


def test_gradient_of_the_mean_and_of_no_rows():
    X, y, weights, biases = problem(np.random.default_rng(10), 50, 2, (4,))
    s = np.arange(50.0)
    total, mean = (
        fastdl.network_loss_grad(X, y, weights, biases, sample_weight=s, reduction=r) for r in ("sum", "mean")
    )
    assert mean[0] == pytest.approx(total[0] / s.sum())
    np.testing.assert_allclose(mean[1][0], total[1][0] / s.sum())
    loss, by_weights, _ = fastdl.network_loss_grad(X[:0], y[:0], weights, biases)
    assert loss == 0
    assert not by_weights[0].any()


def test_error_of_predict_names_the_shape():
    x, y = wave(50)
    learned = fit(x, y)
    for X in (np.zeros(3), np.zeros((3, 2))):
        with pytest.raises(fastdl.InputError, match=r"X must have shape \(N, 1\)"):
            learned.predict(X)


def test_after_a_fork():
    x, y = wave(9000)
    learned = fit(x, y, epochs=1, threads=2, valid=0.5)
    want = learned.predict(x, threads=2)
    child = os.fork() if hasattr(os, "fork") else None
    if child is None:
        pytest.skip("needs fork")
    if child == 0:
        os._exit(0 if np.array_equal(learned.predict(x, threads=2), want) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_every_call_of_the_kernel_is_short(monkeypatch):
    x, y = wave()
    want = fit(x, y)
    monkeypatch.setattr(_training, "_CALL", 1)
    assert_same_fit(fit(x, y), want)
