"""Chunks of (x, y, sample_weight, folds) cut into blocks at fixed borders, for passes that sum or factorise them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from fastdl import _check
from fastdl._row_buffer import Columns, RowBuffer
from fastdl._typing import RowsLike

BLOCK = 4096  # rows
_FILL = (None, None, 1.0, np.int32(0))


class RowBlocks:
    """Rows are buffered until they fill a block; `_add` then gets whole blocks, in order."""

    block = BLOCK

    def __init__(self) -> None:
        self.rows = 0  # so far, those in the buffer included
        self._buffer = RowBuffer(_FILL)

    def update(self, chunk: Columns) -> Self:
        """Take in (x, y), (x, y, sample_weight) or (x, y, sample_weight or None, folds); returns itself."""
        rows = checked_chunk(chunk, self.rows)
        if not len(rows[0]):
            return self
        first = _first(rows)
        if first is not None:
            self._begin(first)
        start = self.rows - len(self._buffer)
        self.rows += len(rows[0])
        for whole in self._buffer.push(rows, self.block):
            self._add(whole, start)
            start += len(whole[0])
        return self

    def _flush(self) -> None:
        if len(self._buffer):
            start = self.rows - len(self._buffer)
            self._add(self._buffer.drain(), start)

    def _begin(self, y: float) -> None:
        """Called with the first y that counts, before any row is added."""

    def _add(self, rows: Columns, start: int) -> None:
        raise NotImplementedError

    @staticmethod
    def _refuse(rows: Columns, start: int) -> None:
        """Raise an error that names the first row that is not finite; without one, the sums overflowed."""
        RowBlocks._check_finite(rows, start)
        raise _check.InputError("the sums overflow: x is too far outside the domain, or y too large to be squared")

    @staticmethod
    def _check_finite(rows: Columns, start: int) -> None:
        """Raise an error that names the first row that is not finite, has weight and is in a fold."""
        x, y, s, fold = rows
        counts = np.ones(len(x), bool)
        for a in (s, fold):
            if a is not None:
                counts &= a != 0 if a is s else a >= 0
        for name, a in (("x", x), ("y", y)):
            bad = np.flatnonzero(counts & ~np.isfinite(a))
            if len(bad):
                raise _check.InputError(f"{name} must be finite, got {a[bad[0]]} in row {start + bad[0]}")


def checked_chunk(chunk: Sequence[RowsLike | None], start: int = 0) -> Columns:
    """(x, y, sample_weight or None, folds or None) as real arrays of one length; weights checked."""
    if not isinstance(chunk, (tuple, list)) or not 2 <= len(chunk) <= 4:
        raise _check.InputTypeError(
            f"a chunk must be (x, y), (x, y, sample_weight) or (x, y, sample_weight, folds), got {type(chunk).__name__}"
        )
    x, y, s, fold = (None if a is None else _check.asarray("chunk", a) for a in (*chunk, None, None)[:4])
    for name, a in (("x", x), ("y", y), ("sample_weight", s), ("folds", fold)):
        if a is None:
            continue
        if a.size:
            _check.dtype(name, a.dtype, ("i", "u") if name == "folds" else ("f", "i", "u", "b"))
        if a.ndim != 1:
            raise _check.InputError(f"{name} must have 1 dimension(s), got shape {a.shape}")
    _check.same_length(x=x, y=y, sample_weight=s, folds=fold)
    if s is not None and len(s) and not (s.min() >= 0 and s.max() < np.inf):
        bad = int(np.flatnonzero(~((s >= 0) & (s < np.inf)))[0])
        raise _check.InputError(f"sample_weight must be finite and not negative, got {s[bad]} in row {start + bad}")
    if fold is not None and fold.dtype != np.int32:
        fold = np.clip(fold, -1, 2**31 - 1).astype(np.int32)
    return x, y, s, fold


def _first(rows: Columns) -> float | None:
    """The y of the first row of weight above 0, or 0 where it is not finite; None where there is no such row."""
    _, y, s, _ = rows
    at = 0 if s is None or s[0] else int(np.argmax(s != 0))
    if s is not None and not s[at]:
        return None
    return float(y[at]) if np.isfinite(y[at]) else 0.0
