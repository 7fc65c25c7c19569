"""Gradient descent on all rows: what its steps are."""

import numpy as np

from fastdl.reference.losses import lp_loss_grad


def gradient_descent(
    X, y, p=2.0, *, optimizer="adam", learning_rate=0.1, momentum=0.9, epochs=200, sample_weight=None, intercept=True
):
    """(w, b, losses): of the best model seen and of all models, the rate following a cosine."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    middle, level = (s @ X / s.sum(), s @ y / s.sum()) if intercept else (np.zeros(X.shape[1]), 0.0)
    size, unit = np.sqrt(s @ (X - middle) ** 2 / s.sum()), np.sqrt(s @ (y - level) ** 2 / s.sum())
    Z, t = (X - middle) / size, (y - level) / unit
    x, largest, losses = np.zeros(X.shape[1] + 1), 0.0, []
    best, mean, square = x, np.zeros_like(x), np.zeros_like(x)
    for epoch in range(epochs + 1):
        loss, by_v, by_c = lp_loss_grad(Z, t, x[:-1], x[-1], p, sample_weight=s, reduction="mean")
        losses.append(loss * s.sum() * unit**p)
        best = x if losses[-1] <= min(losses) else best
        g = np.append(by_v, by_c * intercept)
        rate = learning_rate * (1 + np.cos(np.pi * epoch / max(1, epochs))) / 2
        if optimizer == "adam":
            largest = max(largest, np.abs(g).max())
            g = np.where(np.abs(g) > 1e-13 * largest, g, 0)  # rounding, which is not to become a step
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            step = mean / (1 - 0.9 ** (epoch + 1)) / (np.sqrt(square / (1 - 0.999 ** (epoch + 1))) + 1e-8)
        else:
            step = mean = (momentum if optimizer == "momentum" else 0.0) * mean + g
        x = x - rate * step
    w = best[:-1] * unit / size
    return w, level + unit * best[-1] - w @ middle, np.array(losses)
