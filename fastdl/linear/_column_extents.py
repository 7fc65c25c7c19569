"""Where the values of columns are: what they are first centred and scaled by."""

from __future__ import annotations

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array


def extent_of_block(X: Array, y: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Of each column, and of y: about the middle of the values, and how far they reach from it."""
    with np.errstate(over="ignore", invalid="ignore"):
        middles = _reduce(np.add, X, 0.0) / len(X), y.mean()
    middles = tuple(np.where(np.isfinite(m), m, 0.0) for m in middles)  # type: ignore[assignment]
    low, high = column_extents(X)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = np.maximum(high - middles[0], middles[0] - low)
        return (middles[0], reach), (middles[1], np.abs(y - middles[1]).max())


def extents_of_rows(rows: Rows) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The same over all rows, about 0."""
    reach = np.zeros(rows.columns + 1)
    for X, y, _ in rows.blocks():
        if len(y):
            reach = np.maximum(reach, np.append(np.abs(X).max(axis=0), np.abs(y).max()))
    return (np.zeros(rows.columns), reach[:-1]), (np.zeros(()), reach[-1])


def column_extents(X: Array) -> tuple[Array, Array]:
    """The least and the greatest value of each column, of 64 rows side by side first: NumPy is slow on short rows."""
    return _reduce(np.minimum, X, np.inf), _reduce(np.maximum, X, -np.inf)


def _reduce(by: np.ufunc, X: Array, initial: float) -> Array:
    d, whole = X.shape[1], len(X) // 64 * 64
    rest = by.reduce(X[whole:], axis=0, initial=initial)
    if not whole:
        return rest
    wide = by.reduce(X[:whole].reshape(whole // 64, 64 * d), axis=0)
    return by(rest, by.reduce(wide.reshape(64, d), axis=0))
