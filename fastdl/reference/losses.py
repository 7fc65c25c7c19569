"""Losses of residuals: their sums and derivatives."""

import numpy as np


def lp_loss_grad(
    X, y, W, b=0.0, p=2.0, *, sample_weight=None, folds=None, held_out=None, part="train", reduction="sum"
):
    """Loss, its derivative by W and by b; floats where W is one model."""
    slope, value, s = _terms(X, y, W, b, p, sample_weight, folds, held_out, part)
    scale = s.sum(axis=0) if reduction == "mean" else np.ones(s.shape[1])
    kept = np.where((s != 0).any(axis=1)[:, None], X, 0).astype(float)
    loss, by_b = value.sum(axis=0) / scale, -slope.sum(axis=0) / scale
    by_w = -np.einsum("nk,nd->kd", slope, kept) / scale[:, None]
    return (loss, by_w, by_b) if np.ndim(W) == 2 else (float(loss[0]), by_w[0], float(by_b[0]))


def lp_loss(X, y, W, b=0.0, p=2.0, *, sample_weight=None, folds=None, held_out=None, part="train", reduction="sum"):
    """The loss alone."""
    _, value, s = _terms(X, y, W, b, p, sample_weight, folds, held_out, part)
    loss = value.sum(axis=0) / (s.sum(axis=0) if reduction == "mean" else 1)
    return loss if np.ndim(W) == 2 else float(loss[0])


def curvature(X, y, W, b=0.0, p=2.0, *, sample_weight=None, folds=None, held_out=None, part="train", floor=0.0):
    """The second derivative by the residual, row by row."""
    r, s = _residuals(X, y, W, b, sample_weight, folds, held_out, part)
    with np.errstate(divide="ignore"):
        bend = p * (p - 1) * np.maximum(np.abs(r), floor) ** (p - 2) if p != 1 else 0 * r
    bend = np.where(s != 0, s * np.where(s != 0, bend, 0), 0).astype(X.dtype)
    return bend if np.ndim(W) == 2 else bend[:, 0]


def _residuals(X, y, W, b, sample_weight, folds, held_out, part):
    W, b = np.atleast_2d(np.asarray(W, float)), np.asarray(b, float)
    s = (
        np.ones((len(X), len(W)))
        if sample_weight is None
        else np.repeat(np.asarray(sample_weight, float)[:, None], len(W), 1)
    )
    if folds is not None:
        held_out = np.arange(len(W)) if held_out is None else np.atleast_1d(held_out)
        s = np.where((np.asarray(folds)[:, None] == held_out) == (part == "test"), s, 0)
    return np.asarray(y, float)[:, None] - np.asarray(X, float) @ W.T - b, s


def _terms(X, y, W, b, p, *rows):
    r, s = _residuals(X, y, W, b, *rows)
    value, slope = residual_terms(r, p)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(s != 0, s * slope, 0), np.where(s != 0, s * value, 0), s


def residual_terms(r, p):
    """The losses of residuals and their derivatives; p is a power, or the user's function of residuals."""
    if callable(p):
        return p(r)
    u = np.abs(r)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return u**p, np.where(u == 0, 0, np.sign(r) * p * u ** (p - 1))


def small_loss(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""


small_loss_grad = small_loss
