"""Cases of networks: residuals stand off 0, for powers below 1 are ill-conditioned there."""

from __future__ import annotations

import numpy as np

import fastdl
from fastdl.network import _parameters
from fastdl.reference import network as reference
from tests.case import Case

ACTIVATIONS = ("tanh", "relu", "gelu", "identity")


def problem(rng, n, d, hidden, dtype="float64"):
    """Rows, and the parameters of a network."""
    sizes = [d, *hidden]
    X = rng.standard_normal((n, d)).astype(dtype)
    y = (rng.choice([-1, 1], n) * rng.uniform(20, 30, n)).astype(dtype)
    weights = [rng.standard_normal((a, b)) / np.sqrt(a) for a, b in zip(sizes, hidden)]
    weights.append(rng.standard_normal(sizes[-1]) / np.sqrt(sizes[-1]))
    return X, y, weights, [*(rng.standard_normal(h) for h in hidden), rng.standard_normal(())]


def wave(n=400, dtype=float, seed=0):
    """Points of a sine wave."""
    x = np.random.default_rng(seed).uniform(-2, 2, (n, 1)).astype(dtype)
    return x, np.sin(3 * x[:, 0])


def fit(X, y=None, **options):
    """A short training of a small network."""
    return fastdl.fit_network(X, y, **{"hidden": (8,), "epochs": 6, "batch_size": 32, **options})


def assert_same_fit(a, b):
    """The same bits in all that two fits know."""
    for name in ("weights", "biases"):
        for u, v in zip(getattr(a, name), getattr(b, name)):
            np.testing.assert_array_equal(u, v)
    assert a.loss == b.loss
    assert {k: v.tolist() for k, v in a.history.items()} == {k: v.tolist() for k, v in b.history.items()}


def network_cases() -> list[Case]:
    cases = []
    for dtype in ("float32", "float64"):
        for d, hidden in ((1, (3,)), (16, (32,)), (5, (17, 8)), (9, (64, 20, 7))):
            for activation in ("tanh", "relu", "gelu", "identity"):
                for p in (0.5, 1, 1.37, 2) if activation == "tanh" else (2,):

                    def make(rng, n, dtype=dtype, d=d, hidden=hidden, activation=activation, p=p):
                        more = {"sample_weight": rng.integers(0, 3, n).astype(dtype)} if d == 5 else {}
                        return (*problem(rng, n, d, hidden, dtype), p), {"activation": activation, **more}

                    label = f"{dtype}-{d}-{'x'.join(map(str, hidden))}-{activation}-{p}"
                    rtol = 2e-4 if dtype == "float32" else 1e-11
                    cases.append(
                        Case("network", "network_loss_grad", make, label, rtol=rtol, sizes=(0, 1, 2, 7, 160, 2100))
                    )
    return cases


def trained(X, y, threads=1):
    """What a short training predicts, with batches of several pieces."""
    fit = fastdl.fit_network(
        X, y, (9, 5), 1.5, epochs=2, batch_size=300, activation="gelu", weight_decay=0.01, threads=threads
    )
    return fit.predict(X), fit.loss


def trained_classes(X, y, threads=1):
    """The probabilities of a short training under the cross-entropy."""
    fit = fastdl.fit_network_classifier(X, y, (9,), epochs=2, batch_size=300, threads=threads)
    return fit.predict_proba(X), fit.loss


def by_definition(train):
    """The same training by the reference."""

    def run(X, y):
        kernel, _parameters.kernel = _parameters.kernel, reference
        try:
            return train(X, y)
        finally:
            _parameters.kernel = kernel

    return run


def training_cases() -> list[Case]:
    cases = []
    for dtype, rtol in (("float32", 1e-3), ("float64", 1e-7)):

        def rows(rng, n, dtype=dtype):
            X = rng.standard_normal((n, 3)).astype(dtype)
            return (X, X[:, 0] * X[:, 1]), {}

        def labels(rng, n, dtype=dtype):
            return (rng.standard_normal((n, 3)).astype(dtype), np.arange(n) % 3), {}

        for name, make, train in (
            ("fit_network", rows, trained),
            ("fit_network_classifier", labels, trained_classes),
        ):
            how = {"sizes": (2, 160, 1500), "call": train, "means": by_definition(train)}
            cases.append(Case("network", name, make, dtype, rtol=rtol, **how))
    return cases


CASES_NETWORK = [*network_cases(), *training_cases()]
