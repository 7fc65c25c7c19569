"""QR factors of each fold, updated block by block, for x so clustered that sums of products lose their digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl._row_buffer import select_rows
from fastdl._typing import Array
from fastdl.features.basis import vandermonde
from fastdl.selection._row_blocks import RowBlocks
from fastdl.selection._solvers import TriangularFactor


class QrPass(RowBlocks):
    """The R of the QR factorisation of the columns T_0 .. T_P, y - offset of each fold: stable, in bounded memory."""

    block = 1 << 14  # rows of one factorisation

    def __init__(self, degree: int, domain: tuple[float, float], folds: int, offset: float):
        super().__init__()
        self.degree, self.domain, self.offset = degree, domain, offset
        self._R = [np.zeros((degree + 2, degree + 2)) for _ in range(folds)]
        self._rows, self._weight = [0] * folds, [0.0] * folds

    def _add(self, rows: tuple[Any, ...], start: int) -> None:
        for first in range(0, len(rows[0]), self.block):
            some = select_rows(rows, slice(first, first + self.block))
            x, _, s, fold = some
            counts = np.ones(len(x), dtype=bool) if s is None else s != 0
            for k in range(len(self._R)):
                mine = counts if fold is None else counts & (fold == k)
                if mine.any() and not self._one(k, *select_rows(some, mine)[:3]):
                    self._refuse(rows, start)

    def _one(self, k: int, x: Array, y: Array, s: Array | None) -> bool:
        """Take in rows of one fold; returns whether they are finite."""
        columns = np.empty((len(x), self.degree + 2))
        columns[:, :-1] = vandermonde(x.astype(float), self.degree, basis="chebyshev", domain=self.domain)
        columns[:, -1] = y - self.offset
        if s is not None:
            columns *= np.sqrt(s)[:, None]
        if not np.isfinite(columns).all():
            return False
        self._R[k] = np.asarray(np.linalg.qr(np.vstack([self._R[k], columns]), mode="r"))
        self._rows[k] += len(x)
        self._weight[k] += len(x) if s is None else float(s.sum())
        return True

    def triangles(self) -> list[TriangularFactor]:
        """The factors of each fold."""
        self._flush()
        return [TriangularFactor(*parts) for parts in zip(self._R, self._rows, self._weight)]
