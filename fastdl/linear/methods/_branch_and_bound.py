"""Branch and bound for p < 1: a lower bound of the loss of models with few coefficients, from ever smaller boxes.

In a box of models, each row whose residual does not change sign adds a concave function to the loss, and the sum of
concave functions is smallest at a corner of the box. The other rows, which cross the box, add 0 or more.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from fastdl.linear.methods._elemental_fits import ElementalFits

Array = np.ndarray

_GAP = 1e-6  # relative: boxes whose models cannot be better than the best one by more than this are not divided
_CROSSINGS = 1 << 24  # pairs of a box and a row that crosses it, at most: all are in memory at once


def least_in_boxes(fits: ElementalFits, loss: float, boxes: int) -> float:
    """A lower bound of the loss of every model, from at most `boxes` boxes; `loss` is that of the best model known."""
    center, half = _all_models(fits, loss)
    goal, done = loss * (1 - _GAP), 0
    least = np.zeros(1)
    # Which rows cross which box. Rows that cross a part of a box cross the box, so only these are looked at again.
    box, row = np.zeros(fits.n, np.intp), np.arange(fits.n)
    A = fits.A.rows(row)
    while len(center) and done + 2 * len(center) <= boxes and 2 * len(row) <= _CROSSINGS:
        center, half = _split(center, half)
        done += len(center)
        box, row = np.concatenate([2 * box, 2 * box + 1]), np.tile(row, 2)
        crosses = np.abs(fits.t[row] - (center[box] * A[row]).sum(1)) <= (half[box] * np.abs(A[row])).sum(1)
        box, row = box[crosses], row[crosses]
        least = np.maximum(np.repeat(least, 2), bounds(fits, A, center, half, box, row))
        open_ = least < goal
        center, half, least = center[open_], half[open_], least[open_]
        kept = open_[box]
        box, row = (np.cumsum(open_) - 1)[box[kept]], row[kept]
    return float(min(goal, least.min(initial=goal)))


def _all_models(fits: ElementalFits, loss: float) -> tuple[Array, Array]:
    """A box that holds every model whose loss is below `loss`: no single row's term may exceed it."""
    size = np.sqrt((fits.A.rows(np.arange(fits.n)) ** 2).sum(1))
    s = np.ones(fits.n) if fits.s is None else fits.s
    basis = fits.determining_rows(size)
    inverse = np.linalg.inv(fits.A.rows(basis))
    far = (loss / s[basis]) ** (1 / fits.p)
    return (inverse @ fits.t[basis])[None], (np.abs(inverse) @ far)[None]


def _split(center: Array, half: Array) -> tuple[Array, Array]:
    """Each box divided in two, across its longest side."""
    side = half.argmax(1)
    half = half.copy()
    half[np.arange(len(half)), side] /= 2
    move = np.zeros_like(half)
    move[np.arange(len(half)), side] = half[np.arange(len(half)), side]
    return np.stack([center - move, center + move], 1).reshape(-1, center.shape[1]), np.repeat(half, 2, 0)


def bounds(fits: ElementalFits, A: Array, center: Array, half: Array, box: Array, row: Array) -> Array:
    """The lower bound of each box; row[i], whose columns are A[i], crosses box[i]."""
    s = 1.0 if fits.s is None else fits.s[row]
    least = np.full(len(center), np.inf)
    for signs in product((-1.0, 1.0), repeat=center.shape[1]):
        corner = center + half * np.array(signs)
        crossing = s * np.abs(fits.t[row] - (corner[box] * A[row]).sum(1)) ** fits.p
        fixed = fits.losses(corner) + fits.base - np.bincount(box, crossing, len(center))
        least = np.minimum(least, fixed)
    return np.maximum(least, 0)
