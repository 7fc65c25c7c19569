"""Lower bounds of the loss of all linear models, from any one of them: by duality for p >= 1, by subadditivity below.

For p >= 1 and any a with X'a = 0, every model has ``||r||_p >= r'a / ||a||_q`` (Hoelder; 1/p + 1/q = 1; weights left
out here). At the minimum the slopes of the loss are such an a; near it they are corrected so that X'a = 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastdl._rows import Block, Rows
from fastdl.linear._matrix import DesignMatrix
from fastdl.linear._standard_rows import StandardRows, block_losses
from fastdl.linear.methods import vertex
from fastdl.linear.result import Certificate, LpFit
from fastdl.losses.powers import as_loss

Array = np.ndarray

#: For p < 2, whose slopes bend sharply at 0: shares of the mean |r| below which slopes are taken as linear in r. Each
#: gives a dual solution, and the best of these bounds is returned.
_SMOOTH = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5)


class DualGuess(NamedTuple):
    """A first dual solution, the slopes a(r), and the weights h(r) of the least squares that makes it feasible.

    Below `below` slopes are linear in r; with `flat` all weights are 1.
    """

    below: float
    flat: bool = False

    def __call__(self, r: Array, p: float) -> tuple[Array, Array]:
        u = np.maximum(np.abs(r), self.below)
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = np.where(u > 0, u ** (p - 2), 0.0)
        a = r * bend
        if self.flat:
            return a, np.ones_like(r)
        if p == 1:  # dual values must stay within -1 and 1: those near the ends are moved least
            return a, np.maximum(0, 1 - np.abs(a))
        return a, np.where(np.abs(r) < self.below, 1.0, p - 1) * bend


def certificate(upper: float, standard: StandardRows, w: Array, b: float, p: Any) -> Certificate:
    """The certificate of a model that no method has proven to be optimal."""
    if as_loss(p).is_custom:
        return Certificate.of(upper, -np.inf, "none")
    if upper == 0:
        return Certificate.of(0.0, 0.0, "interpolation")
    return Certificate.of(upper, bound(standard, *standard.from_users_units(w, b), p), "dual" if p >= 1 else "bound")


def lower_bound(rows: Rows, w: Array, b: float, p: float, intercept: bool = True, threads: int | None = 1) -> float:
    """A lower bound of the loss of all models, the closer to the minimum the better the model (w, b) is.

    It holds up to rounding, for every p > 0; for p < 1 it comes from a fit with p = 1, and is loose.
    """
    standard = StandardRows(rows, intercept, threads)
    return bound(standard, *standard.from_users_units(np.asarray(w, float), b), p)


def bound(standard: StandardRows, v: Array, c: float, p: float) -> float:
    """As `lower_bound`, for a model in the coordinates of `standard`."""
    if p < 1:
        return subadditive(standard, p, least_absolute(standard, p))
    one, constant = v[None], np.array([c])
    loss = float(standard.total(lambda Z, t, s: block_losses(Z, t, s, one, constant, p)[0]))
    if not 0 < loss < np.inf:
        return 0.0
    gamma = np.append(c, v) if standard.intercept else v
    sizes = standard.map(lambda Z, t, s: _sizes(DesignMatrix(Z, standard.intercept).minus(t, gamma), s))
    most, mean = max(size[0] for size in sizes), sum(size[1] for size in sizes) / standard.weight
    if not most > 0:  # the loss above came from residuals that are mere rounding errors
        return 0.0
    smooth = _SMOOTH if p < 1.25 else _SMOOTH[3::3]
    guesses = [DualGuess(k * mean / most) for k in smooth] if p < 2 else [DualGuess(0.0), DualGuess(0.0, True)]
    mends = _mends(standard, gamma, p, most, guesses)
    blocks = standard.map(lambda *rows: _block(rows, standard, gamma, p, most=most, guesses=guesses, mends=mends))
    # The optimal model's residuals are no larger than these, so its distance, whitened, is at most this.
    least = min(size[2] for size in sizes)
    reach = 2 * loss ** (1 / p) * (standard.weight if p >= 2 else least) ** (0.5 - 1 / p) / standard.weight**0.5
    norms = [_norm([block[k] for block in blocks], p, reach, standard) for k in range(len(guesses))]
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float64(max(0.0, *norms) * standard.scale) ** p)


def _sizes(r: Array, s: Array | None) -> tuple[float, float, float]:
    """The largest |r|, the sum of s |r|, and the smallest weight."""
    u = np.abs(r)
    return float(u.max()), float((u if s is None else s * u).sum()), 1.0 if s is None else float(s.min())


def _mends(standard: StandardRows, gamma: Array, p: float, most: float, guesses: list[DualGuess]) -> list[Array]:
    """For each guess the coefficients x with X'(a - s h X x) = 0: a - s h X x is then a dual solution."""

    def work(Z: Array, t: Array, s: Array | None) -> Array:
        A = DesignMatrix(Z, standard.intercept)
        out = np.empty((len(guesses), A.width + 1, A.width))
        r = A.minus(t, gamma) / most
        for k, guess in enumerate(guesses):
            a, h = guess(r, p)
            out[k, 0] = A.products(a if s is None else s * a)
            out[k, 1:] = A.gram(h if s is None else s * h)
        return out

    return [_solve_scaled(total[1:], total[0]) for total in standard.total(work)]


def _solve_scaled(G: Array, e: Array) -> Array:
    """G^-1 e; where G is singular, the least squares solution."""
    scale = np.sqrt(np.maximum(G.diagonal(), 0))
    scale[scale == 0] = 1
    return np.linalg.lstsq(G / np.outer(scale, scale), e / scale, rcond=1e-13)[0] / scale


def _block(
    rows: Block,
    standard: StandardRows,
    gamma: Array,
    p: float,
    *,
    most: float,
    guesses: Sequence[DualGuess],
    mends: Sequence[Array],
) -> list[tuple[float, float, float, Array]]:
    """For each corrected guess: r'a, the largest |a|/s, the sum of s (|a| / s / largest)^q, and X'a, about 0."""
    Z, t, s = rows
    A, out = DesignMatrix(Z, standard.intercept), []
    r = A.minus(t, gamma)
    for guess, x in zip(guesses, mends):
        a, h = guess(r / most, p)
        a = a - h * A.dot(x)
        u, weighted = np.abs(a), a if s is None else s * a
        largest = float(u.max())
        power = np.zeros_like(u) if p == 1 or largest == 0 else (u / largest) ** (p / (p - 1))
        total = float((power if s is None else s * power).sum())
        out.append((float((r * weighted).sum()), largest, total, A.products(weighted)))
    return out


def _norm(blocks: list[tuple[float, float, float, Array]], p: float, reach: float, standard: StandardRows) -> float:
    """The lower bound of the p-norm of the residuals, from one guess's values in all blocks."""
    value, largest = sum(block[0] for block in blocks), max(block[1] for block in blocks)
    if largest == 0:
        return 0.0
    left = sum((block[3] for block in blocks), np.zeros(standard.rank))
    slack = reach * standard.whitened_length(left)
    q = p / (p - 1) if p > 1 else np.inf
    size = 1.0 if p == 1 else sum(block[2] * (block[1] / largest) ** q for block in blocks) ** (1 / q)
    return (value - slack) / (largest * size)


def least_absolute(standard: StandardRows, p: float = 1.0) -> LpFit:
    """The fit that minimizes the sum of s^(1/p) |r|, in the coordinates of `standard`, the largest weight being 1."""
    most = _most(standard)

    def chunks() -> Iterator[Block]:
        for Z, t, s in standard.blocks():
            yield Z, t, None if s is None else (s / most) ** (1 / p)

    return vertex.fit(Rows(chunks), intercept=standard.intercept, seed=0, threads=standard.threads)


def subadditive(standard: StandardRows, p: float, absolute: LpFit) -> float:
    """A lower bound for p < 1: sum s |r|^p >= (sum s^(1/p) |r|)^p, whose minimum `absolute` bounds.

    Weights of very different size, to the power of 1/p, may leave columns that depend on each other but for rounding:
    the bound of `absolute` is then that of fewer columns, and none of all.
    """
    if absolute.rank != standard.rank:
        return 0.0
    return _most(standard) * (max(0.0, absolute.certificate.lower) * standard.scale) ** p


def _most(standard: StandardRows) -> float:
    return max((float(s.max()) for _, _, s in standard.blocks() if s is not None and len(s)), default=1.0)
