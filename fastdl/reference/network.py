"""A multilayer perceptron: its values, its gradient under a loss, and steps of training."""

import numpy as np

from fastdl.reference.losses import residual_terms


def activated(name, z):
    """The activation and its slope; that of relu is 0 at 0 and below, NaN where z is."""
    if name == "tanh":
        a = np.tanh(z)
        return a, 1 - a * a
    if name == "relu":
        return np.maximum(z, 0), np.where(np.isnan(z), z, z > 0).astype(z.dtype)
    if name == "gelu":  # by the hyperbolic tangent, in the place of the normal distribution
        c = 0.7978845608028654
        t = np.tanh(c * (z + 0.044715 * z * z * z))
        above = np.maximum(z, -100)  # as beyond 100 t is 1 or -1, and infinity times 0 would be NaN
        u = np.minimum(above, 100)
        return 0.5 * above * (1 + t), 0.5 * (1 + t) + 0.5 * u * (1 - t * t) * c * (1 + 0.134145 * u * u)
    return z, np.ones_like(z)


def layer_values(X, weights, biases, activation="tanh"):
    """The output or the logits, and for each hidden layer its values and slopes; the first "layer" is X."""
    layers = [(X, None)]
    for W, b in zip(weights[:-1], biases[:-1]):
        layers.append(activated(activation, layers[-1][0] @ W + b))
    return layers[-1][0] @ weights[-1] + biases[-1], layers


def cross_entropy(z, y):
    """-log of the softmax probability of class y, row by row, and the probabilities of all classes."""
    z = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    return np.log(total[:, 0]) - z[np.arange(len(z)), y.astype(int)], e / total


def network_loss_grad(X, y, weights, biases, p=2.0, *, activation="tanh", sample_weight=None, reduction="sum"):
    """The loss, and its derivatives by weights and biases."""
    s = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
    weights, biases = ([np.asarray(a, X.dtype) for a in part] for part in (weights, biases))
    value, by_weights, by_biases = _loss_grad(X, y, s, weights, biases, activation, p=p, unit=1.0, pull=1.0)
    scale = 1.0 / s.sum() if reduction == "mean" and len(X) else 1.0
    value = value if reduction == "sum" or len(X) else np.nan
    return value * scale, [g * X.dtype.type(scale) for g in by_weights], [g * X.dtype.type(scale) for g in by_biases]


def _loss_grad(X, y, s, weights, biases, activation, *, p, unit, pull):
    out, layers = layer_values(X, weights, biases, activation)
    if isinstance(p, str):  # "softmax"
        value, q = cross_entropy(out.astype(float), y)
        q[np.arange(len(q)), y.astype(int)] -= 1
        g = (pull * s[:, None] * q).astype(X.dtype)
    else:
        value, slope = residual_terms(unit * (y.astype(float) - out.astype(float)), p)
        g = (-pull * s * slope).astype(X.dtype)
    by_weights, by_biases = [layers[-1][0].T @ g], [np.asarray(g.sum(axis=0))]
    delta = g @ weights[-1].T if g.ndim == 2 else g[:, None] * weights[-1]
    for k in range(len(weights) - 2, -1, -1):
        slope = layers[k + 1][1]
        # Below its bend relu is constant, and the derivative of any function of it 0, of an infinite one too.
        delta = np.where(slope == 0, 0, delta * slope) if activation == "relu" else delta * slope
        by_weights.insert(0, layers[k][0].T @ delta)
        by_biases.insert(0, delta.sum(axis=0))
        delta = delta @ weights[k].T
    return float((s * value).sum()), by_weights, by_biases


# The kernels in NumPy, with the names and arguments of the compiled ones.


def values(net, X, params, out, features):
    """Write the output and the values of the last layer, or the logits, each where it is not None."""
    weights, biases = net.views(params)
    result, layers = layer_values(X[:, : net.columns], weights, biases, net.activation)
    if out is not None:
        out[:] = result
    if features is not None:
        last = result if net.classes else layers[-1][0]
        features[:, : last.shape[1]] = last


def loss_terms(r, loss, value, slope):
    """Write the losses of residuals, and their derivatives."""
    value[:], slope[:] = residual_terms(r, loss.definition)


def softmax_terms(z, y, value, probabilities):
    """Write the cross-entropy of each row of logits and its label, and the probabilities of the classes."""
    value[:], probabilities[:] = cross_entropy(z, y)


def loss_grad(net, loss, X, y, s, params, grad, total):
    """Add to grad the derivatives of the loss, to total the loss and the weights."""
    s = np.ones(len(X)) if s is None else s.astype(float)
    weights, biases = net.views(params)
    value, *by = _loss_grad(
        X[:, : net.columns], y, s, weights, biases, net.activation, p=loss.definition, unit=loss.unit, pull=loss.pull
    )
    grad += net.pack(*by)
    total += value, s.sum()


def train(part, task, rows, order, step, params, moments, total):
    """A step for each batch of `order`, in place; add to total the losses met and the weights.

    task: the records (net, loss, rule, share); rows: X, y and weights or None. Residuals are multiplied by `loss.unit`,
    slopes by `loss.pull`. A row of `step` is the learning rate, Adam's epsilon, and the factor of the weights' decay.
    `part` is the thread's number: part 0 does all the work here, and `share`, the threads' barrier, is not used.
    """
    if part:
        return
    (net, loss, rule, _), (X, y, s) = task, rows
    X, s = X[:, : net.columns], np.ones(len(X)) if s is None else s.astype(float)
    weights, biases = net.views(params)
    firsts, seconds = (net.each(m) for m in moments)
    for k, (rate, least, left) in enumerate(step):
        rows = order[k * rule.batch_size : (k + 1) * rule.batch_size]
        value, by_weights, by_biases = _loss_grad(
            X[rows], y[rows], s[rows], weights, biases, net.activation,
            p=loss.definition, unit=loss.unit, pull=loss.pull,
        )  # fmt: skip
        total += value, s[rows].sum()
        for w in weights:
            w *= w.dtype.type(left)
        for a, g, m, v in zip([*weights, *biases], [*by_weights, *by_biases], firsts, seconds):
            g = g / len(rows)
            if rule.momentum_only:
                m[...] = rule.first * m + g
                a -= (rate * m).astype(a.dtype)
            else:
                m[...] = rule.first * m + (1 - rule.first) * g
                v[...] = rule.second * v + (1 - rule.second) * g * g
                a -= (rate * m / (np.sqrt(v) + least)).astype(a.dtype)
