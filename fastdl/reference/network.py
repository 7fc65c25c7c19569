"""A multilayer perceptron with one output: its values, its gradient under a loss, and a step of training."""

import numpy as np


def activated(name, z):
    """The activation and its slope."""
    if name == "tanh":
        a = np.tanh(z)
        return a, 1 - a * a
    if name == "relu":
        return np.maximum(z, 0), (z > 0).astype(z.dtype)
    if name == "gelu":  # by the hyperbolic tangent, in the place of the normal distribution
        c = 0.7978845608028654
        t = np.tanh(c * (z + 0.044715 * z * z * z))
        return 0.5 * z * (1 + t), 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * c * (1 + 0.134145 * z * z)
    return z, np.ones_like(z)


def values(X, weights, biases, activation="tanh"):
    """The output, and for each hidden layer its values and slopes; the first "layer" is X."""
    layers = [(X, None)]
    for W, b in zip(weights[:-1], biases[:-1]):
        layers.append(activated(activation, layers[-1][0] @ W + b))
    return layers[-1][0] @ weights[-1] + biases[-1], layers


def terms(r, p):
    """The losses of residuals and their derivatives."""
    if callable(p):
        return p(r)
    u = np.abs(r)
    with np.errstate(divide="ignore", invalid="ignore"):
        return u**p, np.where(u == 0, 0, np.sign(r) * p * u ** (p - 1))


def network_loss_grad(X, y, weights, biases, p=2.0, *, activation="tanh", sample_weight=None, reduction="sum"):
    """The loss, and its derivatives by weights and biases."""
    s = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
    weights, biases = ([np.asarray(a, X.dtype) for a in part] for part in (weights, biases))
    value, by_weights, by_biases = _loss_grad(X, y, s, weights, biases, activation, p=p, unit=1.0, pull=1.0)
    scale = 1.0 / s.sum() if reduction == "mean" and len(X) else 1.0
    value = value if reduction == "sum" or len(X) else np.nan
    return value * scale, [g * X.dtype.type(scale) for g in by_weights], [g * X.dtype.type(scale) for g in by_biases]


def _loss_grad(X, y, s, weights, biases, activation, *, p, unit, pull):
    out, layers = values(X, weights, biases, activation)
    value, slope = terms(unit * (y.astype(float) - out.astype(float)), p)
    g = (-pull * s * slope).astype(X.dtype)
    by_weights, by_biases = [layers[-1][0].T @ g], [np.asarray(g.sum())]
    delta = g[:, None] * weights[-1]
    for k in range(len(weights) - 2, -1, -1):
        delta = delta * layers[k + 1][1]
        by_weights.insert(0, layers[k][0].T @ delta)
        by_biases.insert(0, delta.sum(axis=0))
        delta = delta @ weights[k].T
    return float((s * value).sum()), by_weights, by_biases


def train(
    X, y, s, order, batch, weights, *, biases, moments, steps, activation, p, unit, pull, optimizer, first, second
):
    """A step for each batch of `order`, in place; the sums of the losses met and of the weights.

    Residuals are taken `unit` times, slopes `pull` times. Each of `steps` is a rate, what keeps the quotient of Adam
    finite, and what is left of the weights by their decay.
    `moments` are two lists of arrays like those of weights and biases together.
    """
    total = np.zeros(2)
    s = np.ones(len(X)) if s is None else s.astype(float)
    for k, (rate, least, left) in enumerate(steps):
        rows = order[k * batch : (k + 1) * batch]
        value, by_weights, by_biases = _loss_grad(
            X[rows], y[rows], s[rows], weights, biases, activation, p=p, unit=unit, pull=pull
        )
        total += value, s[rows].sum()
        for w in weights:
            w *= w.dtype.type(left)
        for a, g, m, v in zip([*weights, *biases], [*by_weights, *by_biases], *moments):
            g = g / len(rows)
            if optimizer == "sgd":
                m[...] = first * m + g
                a -= (rate * m).astype(a.dtype)
            else:
                m[...] = first * m + (1 - first) * g
                v[...] = second * v + (1 - second) * g * g
                a -= (rate * m / (np.sqrt(v) + least)).astype(a.dtype)
    return total
