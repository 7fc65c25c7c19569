"""Where the values of columns are: about which middle, and how far they reach from it."""

from __future__ import annotations

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array


def extent_of_block(X: Array, y: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Of each column, and of y: about the middle of the values, and how far they reach from it."""
    with np.errstate(over="ignore"):
        middles = X.mean(axis=0) if np.isfinite(X.sum()) else np.zeros(X.shape[1]), y.mean()
    middles = tuple(np.where(np.isfinite(m), m, 0.0) for m in middles)  # type: ignore[assignment]
    return (middles[0], np.abs(X - middles[0]).max(axis=0)), (middles[1], np.abs(y - middles[1]).max())


def extents_of_rows(rows: Rows) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The same over all rows, about 0."""
    reach = np.zeros(rows.columns + 1)
    for X, y, _ in rows.blocks():
        if len(y):
            reach = np.maximum(reach, np.append(np.abs(X).max(axis=0), np.abs(y).max()))
    return (np.zeros(rows.columns), reach[:-1]), (np.zeros(()), reach[-1])
