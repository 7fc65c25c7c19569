"""Chunks of (x, y, sample_weight, folds) cut at fixed borders: what one pass of moments or of factors has in common."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from fastdl import _check

Array = np.ndarray
Points = tuple[Any, ...]

BLOCK = 4096  # rows


class RowBlocks:
    """Rows wait until they fill a block; `_add` takes whole blocks, in their order."""

    block = BLOCK

    def __init__(self) -> None:
        self.rows = 0  # taken in so far
        self._waiting: list[Points] = []

    @property
    def _pending(self) -> int:
        return sum(len(rows[0]) for rows in self._waiting)

    def update(self, chunk: Points) -> Self:
        """Take in (x, y), (x, y, sample_weight) or (x, y, sample_weight or None, folds); returns itself."""
        rows = points(chunk, self.rows)
        n, have = len(rows[0]), self._pending
        if not n:
            return self
        first = _first(rows)
        if first is not None:
            self._begin(first)
        start, self.rows = self.rows - have, self.rows + n
        if have and have + n >= self.block:
            self._waiting.append(cut(rows, slice(self.block - have)))
            self._add(self._joined(), start)
            rows, start, self._waiting = cut(rows, slice(self.block - have, None)), start + self.block, []
        whole = 0 if self._waiting else len(rows[0]) // self.block * self.block
        if whole:
            self._add(cut(rows, slice(whole)), start)
        if whole < len(rows[0]):
            self._waiting.append(tuple(None if a is None else a[whole:].copy() for a in rows))
        return self

    def _flush(self) -> None:
        if self._waiting:
            self._add(self._joined(), self.rows - self._pending)
            self._waiting = []

    def _joined(self) -> Points:
        if len(self._waiting) == 1:
            return self._waiting[0]
        columns = zip(*self._waiting)
        fill: tuple[Any, ...] = (None, None, 1.0, np.int32(0))
        return tuple(self._column(parts, value) for parts, value in zip(columns, fill))

    def _column(self, parts: tuple[Any, ...], value: Any) -> Array | None:
        if all(a is None for a in parts):
            return None
        sizes = [len(rows[0]) for rows in self._waiting]
        return np.concatenate([np.full(n, value) if a is None else a for n, a in zip(sizes, parts)])

    def _begin(self, y: float) -> None:
        """Called with the first y that counts, before any row is added."""

    def _add(self, rows: Points, start: int) -> None:
        raise NotImplementedError

    @staticmethod
    def _refuse(rows: Points, start: int) -> None:
        """Name the first row that is not finite; without one, the sums themselves overflowed."""
        x, y, s, fold = rows
        counts = np.ones(len(x), bool)
        for a in (s, fold):
            if a is not None:
                counts &= a != 0 if a is s else a >= 0
        for name, a in (("x", x), ("y", y)):
            bad = np.flatnonzero(counts & ~np.isfinite(a))
            if len(bad):
                raise _check.InputError(f"{name} must be finite, got {a[bad[0]]} in row {start + bad[0]}")
        raise _check.InputError("the sums overflow: x is too far outside the domain, or y too large to be squared")


def points(chunk: Any, start: int = 0) -> Points:
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


def cut(rows: Points, which: Any) -> Points:
    """The rows that a slice or a mask names."""
    return tuple(None if a is None else a[which] for a in rows)


def _first(rows: Points) -> float | None:
    """The first y of a weight above 0, or 0 where it is not finite; None where no weight is."""
    _, y, s, _ = rows
    at = 0 if s is None or s[0] else int(np.argmax(s != 0))
    if s is not None and not s[at]:
        return None
    return float(y[at]) if np.isfinite(y[at]) else 0.0
