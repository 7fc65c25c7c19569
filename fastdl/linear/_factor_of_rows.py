"""R of the QR factorisation of many rows, by blocks, with rounding errors that hardly grow with the rows.

The factors of groups of rows are joined in pairs, and those in pairs (Demmel, Grigori, Hoemmen and Langou,
"Communication-optimal parallel and sequential QR and LU factorizations", 2012, of which this is the tree), so that
errors grow with the logarithm of the number of rows. Joined one after the other, those of a million rows of small whole
numbers reached 500 EPS, and columns that depend on others exactly counted as independent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array

#: Rows for each column that are gathered before a QR factorisation: with fewer, most of the work would be to factorise
#: again the rows of the R so far.
_ROWS_PER_COLUMN = 4
_LEAF = 256  # rows of a factorisation, whose error grows with them where values repeat: of 4,096 rows eight times


def triangle(A: Array) -> Array:
    """R of the QR factorisation of a matrix, or of each of several."""
    return np.asarray(np.linalg.qr(A, mode="r"))


def factor_of_rows(
    rows: Rows, matrix: Callable[[Array, Array, Array | None], Array], width: int, threads: int | None
) -> Array:
    """R of the rows matrix(X, y, s) of all blocks, which have `width` columns."""
    factors: list[tuple[int, Array]] = []  # with how often each was joined
    group: list[Array] = []

    def work(X: Array, y: Array, s: Array | None) -> Array:
        return _fewer_rows(matrix(X, y, s))

    def take(part: Array) -> None:
        group.append(part)
        if sum(map(len, group)) < _ROWS_PER_COLUMN * width:
            return
        level, R = 0, triangle(np.concatenate(group))
        while factors and factors[-1][0] == level:
            level, R = level + 1, triangle(np.concatenate([factors.pop()[1], R]))
        factors.append((level, R))
        group.clear()

    rows.each(work, take, threads)
    R = triangle(np.concatenate(group)) if group else np.zeros((0, width))
    for _, other in reversed(factors):
        R = triangle(np.concatenate([other, R])) if len(R) else other
    return R


def _fewer_rows(A: Array) -> Array:
    """Rows with the same R: of a few columns those of the R of every few rows, while there are more than a few."""
    k = A.shape[1]
    while len(A) > _LEAF and 8 * k <= _LEAF:
        whole = len(A) // _LEAF * _LEAF
        R = triangle(A[:whole].reshape(-1, _LEAF, k))
        A = np.concatenate([R.reshape(-1, k), A[whole:]])
    return A
