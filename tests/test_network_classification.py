"""Networks of classes: cross-entropy as torch has it, labels of any kind, weights of classes, the same bits."""

import pickle

import numpy as np
import pytest

import fastdl
from fastdl.network import _parameters
from fastdl.network._losses import CrossEntropy
from fastdl.network._parameters import ParameterLayout
from fastdl.reference import network as reference
from tests.cases_network import ACTIVATIONS, assert_same_fit


def rings(n=600, classes=3, dtype=float, seed=0):
    """Points of the plane, and by their distance from the origin which ring they are in."""
    X = np.random.default_rng(seed).standard_normal((n, 2)).astype(dtype)
    radius = np.linalg.norm(X, axis=1)
    return X, np.digitize(radius, np.quantile(radius, np.arange(1, classes) / classes))


def classifier(X, y, **options):
    return fastdl.fit_network_classifier(X, y, **{"hidden": (8,), "epochs": 6, "batch_size": 32, **options})


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("classes", [2, 5, 17])
def test_gradient_is_that_of_torch(activation, classes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(classes)
    X, y, s = rng.standard_normal((200, 3)), rng.integers(0, classes, 200), rng.uniform(0.5, 2, 200)
    weights = [rng.standard_normal((3, 9)), rng.standard_normal((9, 5)), rng.standard_normal((5, classes))]
    biases = [rng.standard_normal(n) for n in (9, 5, classes)]
    layout = ParameterLayout.of(weights, np.float64, activation)
    total, grad = _parameters.gradient(layout, CrossEntropy(), (X, y.astype(float), s), layout.pack(weights, biases))
    act = {
        "tanh": torch.tanh, "relu": torch.relu, "identity": lambda z: z,
        "gelu": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
    }[activation]  # fmt: skip
    leaves = [torch.tensor(a, requires_grad=True) for a in (*weights, *biases)]
    z = torch.from_numpy(X)
    for k in range(3):
        z = z @ leaves[k] + leaves[3 + k]
        z = act(z) if k < 2 else z
    loss = (torch.from_numpy(s) * torch.nn.functional.cross_entropy(z, torch.from_numpy(y), reduction="none")).sum()
    loss.backward()
    assert total.tolist() == pytest.approx([loss.item(), s.sum()], rel=1e-13)
    for got, leaf in zip(layout.each(grad), leaves):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-10, atol=1e-11)


def test_cross_entropy_of_any_logits():
    """Against 60 digits: near 0, far off, with equal and with hardly different logits."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(3)
    z = np.concatenate([rng.standard_normal((50, 4)) * s for s in (1e-9, 1.0, 30.0, 300.0)])
    y = rng.integers(0, 4, len(z)).astype(float)
    value, q = _parameters.softmax_terms(z, y)
    with mpmath.workdps(60):
        for row, label, got, probabilities in zip(z.tolist(), y.astype(int).tolist(), value, q):
            e = [mpmath.exp(v) for v in row]
            total = sum(e)
            want = -mpmath.log(e[label] / total)
            assert abs(got - want) <= 2e-15 * max(1, want)
            bound = 1e-15 * (4 + max(row) - min(row))  # a rounding of the logit is one of the exponent
            assert all(abs(p - v / total) <= bound * v / total + 1e-300 for p, v in zip(probabilities.tolist(), e))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd"}, {"hidden": (20, 5), "weight_decay": 0.1}])
def test_training_is_the_reference_s(monkeypatch, options, dtype):
    X, y = rings(dtype=dtype)
    s = np.random.default_rng(1).integers(0, 3, len(X))
    options = {**options, "sample_weight": s, "valid": 0.2, "epochs": 3}
    got = classifier(X, y, **options)
    monkeypatch.setattr(_parameters, "kernel", reference)
    want = classifier(X, y, **options)
    bound = 1e-8 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(got.predict_proba(X), want.predict_proba(X), rtol=bound, atol=bound)
    for name in want.history:
        np.testing.assert_allclose(got.history[name], want.history[name], rtol=bound)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("classes", [2, 4])
def test_learns_as_well_as_scikit_learn(classes):
    neural = pytest.importorskip("sklearn.neural_network")
    X, y = rings(2000, classes)
    test, want = rings(2000, classes, seed=1)
    fit = classifier(X, y, hidden=(32,), epochs=100)
    peer = neural.MLPClassifier((32,), activation="tanh", max_iter=400, learning_rate_init=0.01, random_state=0)
    peer.fit(X, y)
    assert (fit.predict(test) == want).mean() > (peer.predict(test) == want).mean() - 0.015
    q = fit.predict_proba(X)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-14)
    assert fit.loss == pytest.approx(-np.log(q[np.arange(len(X)), y]).sum(), rel=1e-9)
    z = fit.decision_function(X)
    if classes == 2:
        np.testing.assert_allclose(q[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-12)
    else:
        np.testing.assert_array_equal(z.argmax(axis=1), fit.predict(X))


@pytest.mark.parametrize("batch_size", [32, 200, 600])
def test_same_bits_for_any_threads(batch_size):
    X, y = rings(2100, 5, np.float32)
    want = classifier(X, y, batch_size=batch_size)
    for threads in (2, 5):
        assert_same_fit(classifier(X, y, batch_size=batch_size, threads=threads), want)
    np.testing.assert_array_equal(want.predict_proba(X, threads=2), want.predict_proba(X))


@pytest.mark.parametrize(
    "labels", [np.array(["a", "bb", "c"]), np.array([-5, 0, 7]), np.array([0.5, 1.5, 2.5]), ["x", "y", "z"]]
)
def test_labels_of_any_kind(labels):
    X, y = rings()
    named = classifier(X, np.asarray(labels)[y], valid=(X[:50], np.asarray(labels)[y[:50]]))
    assert_same_fit(named, classifier(X, y, valid=(X[:50], y[:50])))
    assert set(named.predict(X).tolist()) <= set(np.asarray(labels).tolist())


def test_class_weight_is_weight_of_rows():
    X, y = rings()
    y[y == 2] = 1
    by_class = classifier(X, y, class_weight={0: 2.0, 1: 0.5})
    assert_same_fit(by_class, classifier(X, y, sample_weight=np.where(y == 0, 2.0, 0.5)))
    balanced = classifier(X, y, class_weight="balanced")
    counts = np.bincount(y)
    assert_same_fit(balanced, classifier(X, y, sample_weight=(len(y) / (2 * counts))[y]))


def test_units_do_not_matter():
    X, y = rings()
    want = classifier(X, y)
    got = classifier(X * [1e6, 1e-6] + [1e8, -3], y)
    np.testing.assert_allclose(got.predict_proba(X * [1e6, 1e-6] + [1e8, -3]), want.predict_proba(X), atol=1e-6)


def test_features_and_pickles():
    X, y = rings()
    fit = classifier(X, y, hidden=(6, 4))
    z = fit.features(X) @ fit.weights[-1] + fit.biases[-1]
    np.testing.assert_allclose(z, fit.logits(X), rtol=1e-9, atol=1e-9)
    assert_same_fit(pickle.loads(pickle.dumps(fit)), fit)
    assert fit.predict(X[:0]).shape == (0,)
    assert np.isnan(fit.predict_proba([[np.nan, 1.0]])).all()


def test_separated_classes_end_with_finite_parameters():
    X = np.concatenate([np.full((50, 1), -1.0), np.full((50, 1), 1.0)])
    fit = classifier(X, np.repeat([0, 1], 50), epochs=200, learning_rate=0.5, schedule="constant")
    assert 0 <= fit.loss < 1e-3
    assert all(np.isfinite(w).all() for w in fit.weights)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"y": np.zeros(600)}, "y must hold at least two classes"),
        ({"y": np.zeros(5)}, "y must have a label for each of 600 rows"),
        ({"class_weight": {9: 1.0}}, "class_weight names 9"),
        ({"valid": (np.zeros((1, 2)), [7])}, "valid must hold labels of y, got 7 at index 0"),
        ({"valid": (np.zeros((1, 2)), ["a"])}, "valid must hold labels like those of y"),
        ({"patience": 3}, "patience needs rows to validate on"),
        ({"hidden": ()}, "hidden must have at least one layer"),
    ],
)
def test_messages(wrong, message):
    X, y = rings()
    with pytest.raises(fastdl.FastdlError, match=message):
        classifier(**{"X": X, "y": y, **wrong})


def test_x_of_one_dimension_is_one_column():
    x = np.linspace(0, 1, 40)
    flat, column = (fastdl.fit_network_classifier(a, x > 0.5, 4, epochs=3) for a in (x, x[:, None]))
    np.testing.assert_array_equal(flat.predict_proba(x), column.predict_proba(x[:, None]))
    parameters = [np.ones((1, 2)), np.ones(2)], [np.zeros(2), 0.0]
    one, two = (fastdl.network_loss_grad(a, x, *parameters) for a in (x, x[:, None]))
    assert one[0] == two[0]
    np.testing.assert_array_equal(one[1][0], two[1][0])
