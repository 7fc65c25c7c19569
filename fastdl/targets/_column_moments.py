"""Means and variances of columns, from rows that come in chunks: the same bits wherever the chunks are cut."""

from __future__ import annotations

import numpy as np

from fastdl import _check, _kernels
from fastdl._row_buffer import RowBuffer
from fastdl._threads import split
from fastdl._typing import Array, ArrayLike, FloatOrArray
from fastdl.reference import _target_kernels
from fastdl.reference import targets as reference

kernel = _kernels.load("targets_moments") or _target_kernels

_LANES = 64  # independent running sums in the kernel, at least, so that it vectorises
_FILL = (None, 1.0)
_VALUES = 1 << 18  # in a block


class ColumnMoments:
    """The moments of columns, block by block.

    With `leads` the moments of a block are merged into those of all before; without, they are kept one by one, so that
    merging them into another state later gives the same bits as if that state had seen the rows.
    """

    def __init__(self, skip: bool, leads: bool):
        self.skip, self._leads = skip, leads
        self.single = True  # whether y has one dimension
        self.columns: int | None = None
        self._rows = 0  # rows so far, for the messages
        self._buffer = RowBuffer(_FILL)
        self._parts: list[Array] = []

    @staticmethod
    def block(columns: int) -> int:
        """The number of rows in a block, which depends on the number of columns alone."""
        return max(64, _VALUES // max(1, columns) // 64 * 64)

    def add(self, y: ArrayLike, weight: ArrayLike | None, threads: int | None = 1) -> None:
        """Take in rows; all are checked before any is kept."""
        came, y, weight, where = self._read(y, weight)
        kept = list(self._buffer.parts)
        try:
            wholes = self._buffer.push((y, weight), self.block(y.shape[1]))
            parts = [part for rows in wholes for part in self._of_blocks(rows, threads)]
            rest = [rows[0] for rows in self._buffer.parts[-1:]]
            if self.skip or not all(np.isfinite(part).all() for part in parts + rest):
                self._refuse(y, where)
        except BaseException:
            self._buffer.parts = kept
            raise
        for part in parts:
            self._append(part)
        self._rows += came

    def fit_block(self, y: ArrayLike) -> tuple[Standardizer, tuple[FloatOrArray, ...]] | None:
        """`add` and `result` of less than a block of one column in an empty state; or None."""
        found = None if self.skip else kernel.fit_column(y, _VALUES - 1)
        if found is None:
            return None
        rows, lanes, values = found
        self.columns, self.single, self._rows = 1, type(values[0]) is float, len(rows)
        self._buffer.parts.append((rows, None))
        return Standardizer(lanes, 1), values

    def _read(self, y: ArrayLike, weight: ArrayLike | None) -> tuple[int, Array, Array | None, Array | None]:
        """The number of rows; those of weight above 0, (N, D); their weights, and their indices (None: all rows)."""
        given = _check.asarray("y", y)
        _check.dtype("y", given.dtype, ("f", "i", "u", "b"))
        if given.ndim not in (1, 2):
            raise _check.InputError(f"y must have 1 or 2 dimensions, got shape {given.shape}")
        columns = 1 if given.ndim == 1 else given.shape[1]
        if self.columns is not None and (self.columns, self.single) != (columns, given.ndim == 1):
            raise _check.InputError(f"y must have the columns of the chunks before, {self.columns}, got {given.shape}")
        self.columns, self.single = columns, given.ndim == 1
        small = given.dtype.kind == "f" and given.dtype.itemsize <= 4
        y = _check.contiguous(given, np.float32 if small else np.float64).reshape(len(given), columns)
        if weight is None:
            return len(y), y, None, None
        weight = _check.contiguous(_check.asarray("sample_weight", weight), np.float64)
        if weight.shape != y.shape[:1]:
            raise _check.InputError(f"sample_weight must have shape {y.shape[:1]}, got {weight.shape}")
        wrong = ~((weight >= 0) & (weight < np.inf))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise _check.InputError(f"sample_weight must be finite and not negative, got {weight[at]} at index {at}")
        where = np.flatnonzero(weight)
        return len(y), y[where], weight[where], where

    def _refuse(self, y: Array, where: Array | None) -> None:
        """Raise for the first value that is not allowed, if there is one."""
        bad = np.isinf(y) if self.skip else ~np.isfinite(y)
        if bad.any():
            row, column = map(int, np.argwhere(bad)[0])
            value = y[row, column]
            row = self._rows + (row if where is None else int(where[row]))
            place = row if self.single else (row, column)
            hint = " (or choose nan='skip')" if np.isnan(value) else ""
            raise _check.InputError(f"y must be finite{hint}, got {value} at index {place}")

    def _of_blocks(self, rows: tuple[Array, Array | None], threads: int | None) -> list[Array]:
        y, weight = rows
        return split(
            len(y),
            threads,
            lambda s: self._of(y[s], None if weight is None else weight[s]),
            self.block(y.shape[1]),
        )

    def _append(self, part: Array) -> None:
        if self._leads and self._parts:
            self._parts[0] = _merged(self._parts[0], part)
        else:
            self._parts.append(part)

    def _of(self, y: Array, weight: Array | None) -> Array:
        """The moments of a block."""
        if self.skip and np.isnan(y).any():
            out = np.zeros((4, y.shape[1]))
            for c in range(y.shape[1]):
                kept = ~np.isnan(y[:, c])
                if kept.any():
                    column = np.ascontiguousarray(y[kept, c : c + 1])
                    out[:, c : c + 1] = _moments(column, None if weight is None else weight[kept])
            return out
        return _moments(y, weight)

    def merge(self, other: ColumnMoments) -> None:
        """Take in the blocks of a state that saw the rows after this one's."""
        if other.columns is None:
            return
        if self.columns is None:
            self.columns, self.single = other.columns, other.single
        if (self.columns, self.single) != (other.columns, other.single):
            raise _check.InputError(f"the states must have the same columns, got {self.columns} and {other.columns}")
        if len(self._buffer) and other._parts:
            self._append(self._of(*self._buffer.drain()))
        for part in other._parts:
            self._append(part)
        self._rows += other._rows - len(other._buffer)
        for y, weight in other._buffer.parts:
            self.add(y[:, 0] if self.single else y, weight)

    def result(self) -> tuple[Standardizer, tuple[Array, ...]]:
        """The standardiser, and (weight, mean, variance, scale)."""
        parts = list(self._parts)
        if len(self._buffer):
            parts.append(self._of(*self._buffer.peek()))
        if not parts:
            raise _check.InputError("there were no values: a mean needs one at least")
        total = parts[0]
        for part in parts[1:]:
            total = _merged(total, part)
        weight, high, low, squares = total
        if not weight.all():
            raise _check.InputError(f"column {int(np.flatnonzero(weight == 0)[0])} of y holds no value but NaN")
        if not np.isfinite(squares).all():
            raise _check.InputError(f"y spreads too far: column {_place(~np.isfinite(squares))} has no finite variance")
        variance = squares / weight
        scale = np.where(squares > 0, np.sqrt(variance), 1.0)
        return Standardizer.of(high, low, scale), (weight, high, variance, scale)


def _place(bad: Array) -> int:
    return int(np.flatnonzero(bad)[0])


def _merged(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):  # a column may be empty on one side
        both = reference.merged(a, b) if a[0, 0] else b
    return np.where(a[0] == 0, b, np.where(b[0] == 0, a, both))


def _moments(y: Array, weight: Array | None) -> Array:
    if not y.shape[1]:
        return np.zeros((4, 0))
    lanes = y.shape[1] * max(1, _LANES // y.shape[1])
    out = np.empty((4, y.shape[1]))
    kernel.moments(y, weight, np.empty((5, lanes)), out)
    return out


class Standardizer:
    """Means and scales of columns, repeated so that one vectorised loop runs over flat rows."""

    def __init__(self, lanes: Array, columns: int):
        self.lanes, self.columns = lanes, columns

    @classmethod
    def of(cls, high: Array, low: Array, scale: Array) -> Standardizer:
        """For columns of these means, each a sum of two, and scales."""
        columns = max(1, len(high))
        return cls(np.tile(np.stack([high, low, scale]), (1, max(1, 4 * _LANES // columns))), columns)

    def apply(self, y: Array, back: bool, out: Array) -> None:
        """Standardise whole rows, given flat, or (`back`) undo it."""
        kernel.standardise(y, self.lanes, back, out)

    def apply_few(self, y: ArrayLike, back: bool) -> Array | None:
        """The same for few values by one call of the kernel, or None where they are not for that."""
        found: Array | None = kernel.small_standardise(y, self.lanes, back)
        return found
