"""What a trained network promises: the same bits, units that do not matter, any input, errors that help."""

import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters
from fastdl.reference import network as reference
from tests.cases_network import assert_same_fit, fit, wave


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_a_wave_with_defaults(dtype):
    x, y = wave(2000, dtype)
    grid = np.linspace(-2, 2, 1000)[:, None]
    if _parameters.kernel is reference:
        learned = fastdl.fit_network(x, y, epochs=150)
    else:
        learned = fastdl.fit_network(x, y)
    assert np.sqrt(np.mean((learned.predict(grid) - np.sin(3 * grid[:, 0])) ** 2)) < 0.05
    np.testing.assert_allclose(learned.loss, np.sum((y - learned.predict(x)) ** 2), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 37, 150, 399])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_any_chunks_and_threads(size, dtype):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 3)).astype(dtype)
    y, s = X[:, 0] * X[:, 1], rng.integers(0, 3, 400).astype(float)
    chunks = [(X[i : i + size], y[i : i + size], s[i : i + size]) for i in range(0, 400, size)]
    few = 90 * 8 * X.itemsize  # rows are padded to whole lanes: some 90 of them
    for options in ({}, {"valid": 0.25}, {"max_bytes": few}, {"max_bytes": few, "valid": 0.25, "p": 1}):
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


def test_no_rows_to_fit_are_an_error_and_none_to_predict_are_not():
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


def test_lists_layouts_and_dtypes_give_the_same_fit():
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
        ({"X": np.zeros((3, 1, 1))}, "X must have 2 dimension"),
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
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_wrong_arguments_say_so(wrong, message):
    arguments = {"X": np.arange(3.0)[:, None], "y": [1.0, 2.0, 3.0], **wrong}
    with pytest.raises(fastdl.FastdlError, match=message):
        fit(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_error_of_predict_names_the_shape():
    x, y = wave(50)
    learned = fit(x, y)
    for X in (np.zeros((3, 1, 1)), np.zeros((3, 2))):
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
