"""Cases of networks: residuals stand off 0, for powers below 1 are ill-conditioned there."""

from __future__ import annotations

import numpy as np

import fastdl
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


CASES_NETWORK = network_cases()
