"""A loss that no linear model can go below, from any model: by duality for p >= 1, by subadditivity below.

For p >= 1 and any a with X'a = 0, every model has ``||r||_p >= r'a / ||a||_q`` (Hoelder; 1/p + 1/q = 1, weights left
out here). The slopes of the loss are such an a at the least loss; near it they are mended so that X'a = 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastdl._fit import Certificate
from fastdl._passes import Rows
from fastdl._standard import Standard, _cholesky, gram, losses, products, residuals

Array = np.ndarray

_SMOOTH = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5)  # of the mean |r|: below it slopes are straightened, for p < 2


class _Guess(NamedTuple):
    """Slopes a(r) and the weights h(r) by which they are mended."""

    below: float
    flat: bool = False

    def __call__(self, r: Array, p: float) -> tuple[Array, Array]:
        u = np.maximum(np.abs(r), self.below)
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = np.where(u > 0, u ** (p - 2), 0.0)
        h = np.where(np.abs(r) < self.below, 1.0, p - 1) * bend
        return r * bend, np.ones_like(r) if self.flat else h


def certificate(upper: float, standard: Standard, w: Array, b: float, p: Any) -> Certificate:
    """What is known of a fit of these rows by a model that is not proven to be the best."""
    if hasattr(p, "terms"):
        return Certificate.of(upper, -np.inf, "none")
    if upper == 0:
        return Certificate.of(0.0, 0.0, "interpolation")
    return Certificate.of(upper, bound(standard, *standard.unfolded(w, b), p), "dual" if p >= 1 else "bound")


def lower_bound(rows: Rows, w: Array, b: float, p: float, intercept: bool = True, threads: int | None = 1) -> float:
    """The loss that no model can go below, the closer to the least one the better the model (w, b) is.

    True up to rounding, and for every p > 0; for p < 1 it is that of a fit with p = 1, and loose.
    """
    standard = Standard(rows, intercept, threads)
    return bound(standard, *standard.unfolded(np.asarray(w, float), b), p)


def bound(standard: Standard, v: Array, c: float, p: float) -> float:
    """As `lower_bound`, of a model in the coordinates of `standard`."""
    if p < 1:
        return _subadditive(standard, p)
    one, c1 = v[None], np.array([c])
    loss = float(standard.total(lambda Z, t, s: losses(Z, t, s, one, c1, p)[0] if len(t) else 0.0))
    if not 0 < loss < np.inf:
        return 0.0
    sizes = standard.map(lambda Z, t, s: _sizes(residuals(Z, t, v, c), s) if len(t) else (0.0, 0.0, np.inf))
    most, mean = max(size[0] for size in sizes), sum(size[1] for size in sizes) / standard.weight
    guesses = [_Guess(k * mean / most) for k in _SMOOTH] if p < 2 else [_Guess(0.0), _Guess(0.0, True)]
    mends = _mends(standard, v, c, p, most, guesses)
    found = standard.map(lambda Z, t, s: _block(Z, t, s, v, c, p, most, guesses, mends, standard) if len(t) else None)
    parts = [block for block in found if block is not None]
    # |b* - b| in whitened coordinates is at most this, as the best model's residuals are no larger than these.
    least = min(size[2] for size in sizes)
    reach = 2 * (loss ** (1 / p)) * (standard.weight if p >= 2 else least) ** (0.5 - 1 / p) / standard.weight**0.5
    norms = (_norm([block[k] for block in parts], p, reach, standard) for k in range(len(guesses)))
    return max(0.0, *norms) ** p * standard._y_scale**p


def _sizes(r: Array, s: Array | None) -> tuple[float, float, float]:
    u = np.abs(r)
    return float(u.max()), float((u if s is None else s * u).sum()), 1.0 if s is None else float(s.min())


def _mends(standard: Standard, v: Array, c: float, p: float, most: float, guesses: list[_Guess]) -> list[Array]:
    """For each guess the model x with X'(a - s h X x) = 0."""

    def work(Z: Array, t: Array, s: Array | None) -> Array:
        Z1 = _with_ones(Z, standard)
        out = np.zeros((len(guesses), Z1.shape[1] + 1, Z1.shape[1]))
        if len(t):
            r = residuals(Z, t, v, c) / most
            for k, guess in enumerate(guesses):
                a, h = guess(r, p)
                out[k, 0] = products(Z1, a if s is None else s * a)
                out[k, 1:] = gram(Z1, h if s is None else s * h)
        return out

    return [_solved(total[1:], total[0]) for total in np.asarray(standard.total(work))]


def _with_ones(Z: Array, standard: Standard) -> Array:
    """The columns that count, and that of the intercept."""
    Z = Z[:, standard.kept] if len(standard.kept) < Z.shape[1] else Z
    return np.column_stack([Z, np.ones(len(Z))]) if standard.intercept else Z


def _solved(G: Array, e: Array) -> Array:
    scale = np.sqrt(np.diag(G))
    scale[scale == 0] = 1
    kept, L = _cholesky(G / np.outer(scale, scale))
    x = np.zeros(len(e))
    if len(kept):
        x[kept] = np.linalg.solve(L.T, np.linalg.solve(L, (e / scale)[kept]))
    return x / scale


def _block(Z, t, s, v, c, p, most, guesses, mends, standard) -> list[tuple[float, float, float, Array]]:
    """Of each guess, mended: r'a, the largest |a|/s, the sum of s (|a| / s / largest)^q, and what is left of X'a."""
    Z1, r = _with_ones(Z, standard), residuals(Z, t, v, c)
    q = p / (p - 1) if p > 1 else np.inf
    out = []
    for guess, x in zip(guesses, mends):
        a, h = guess(r / most, p)
        a = a - h * -residuals(Z1, np.zeros(len(t)), x, 0.0)
        u, weighted = np.abs(a), a if s is None else s * a
        largest = float(u.max())
        relative = (u / largest) ** q if largest > 0 and p > 1 else np.zeros_like(u)
        out.append(
            (
                float((r * weighted).sum()),
                largest,
                float((relative if s is None else s * relative).sum()),
                products(Z1, weighted),
            )
        )
    return out


def _norm(blocks: list[tuple[float, float, float, Array]], p: float, reach: float, standard: Standard) -> float:
    """The bound of the p-norm of the residuals."""
    value, left = sum(block[0] for block in blocks), sum((block[3] for block in blocks), np.zeros(0) if not blocks else 0)
    largest = max(block[1] for block in blocks)
    if largest == 0:
        return 0.0
    k = len(standard.kept)
    half = np.linalg.solve(standard.factor, left[:k]) if k else left[:0]
    slack = reach * float(np.sqrt((half**2).sum() + (left[k:] ** 2).sum()))
    q = p / (p - 1) if p > 1 else np.inf
    size = 1.0 if p == 1 else sum(block[2] * (block[1] / largest) ** q for block in blocks) ** (1 / q)
    return (value - slack) / (largest * size)


def _subadditive(standard: Standard, p: float) -> float:
    """sum s |r|^p >= (sum s^(1/p) |r|)^p, and for the right side the least is known."""
    from fastdl.linear import fit_lp

    most = max((1.0 if s is None else float(s.max()) for _, _, s in standard.rows.blocks() if s is None or len(s)), default=1.0)

    def chunks():
        for X, y, s in standard.rows.blocks():
            yield X, y / standard.y_scale, None if s is None else (s / most) ** (1 / p)

    least = fit_lp(chunks, p=1.0, intercept=standard.intercept, threads=standard.threads)
    return most * max(0.0, least.certificate.lower) ** p * standard.y_scale**p
