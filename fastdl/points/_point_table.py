"""Points as they were given: a matrix of numbers, or records with named fields; each column keeps its dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import _grid

_PLACE = ("x", "y", "z")


@dataclass(frozen=True)
class PointTable:
    """Points as given, and their coordinates as floats.

    Attributes
    ----------
    given : ndarray
        A C-contiguous matrix (N, C), or records (N,), in the machine's byte order.
    floats : ndarray of float32 or float64, shape (N, 3 or C)
        The coordinates that cells are computed from: x, y, z first; for a matrix all its columns.
    """

    given: Array
    floats: Array

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, rows: slice | Array) -> PointTable:
        return PointTable(self.given[rows], self.floats[rows])

    @property
    def names(self) -> tuple[str, ...] | None:
        """The fields of records; None for a matrix."""
        return self.given.dtype.names

    @property
    def columns(self) -> int:
        """How many columns a point has."""
        return len(self.names) if self.names else self.given.shape[1]

    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of every column."""
        dtype = self.given.dtype
        return column_dtypes(dtype, self.columns)

    def column(self, k: int) -> Array:
        """One column as a contiguous array, bool as uint8."""
        x = self.given[self.names[k]] if self.names else self.given[:, k]
        return _check.native(x.view(np.uint8) if x.dtype == np.bool_ else x)  # fields are often not aligned

    def copy_unless_own(self, points: ArrayLike) -> PointTable:
        """These points in memory of our own, which the user cannot change."""
        source = np.asarray(points)
        if not np.may_share_memory(source, self.given) and not np.may_share_memory(source, self.floats):
            return self
        given = self.given.copy()
        return PointTable(given, given if self.floats is self.given else self.floats.copy())

    def as_rows(self) -> Array:
        """The points as a matrix that a file can hold, from which `restore` makes them again."""
        return self.given if self.names is None else self.given.view(np.uint8).reshape(len(self), -1)

    def restore(self, rows: Array) -> PointTable:
        """The points from what `as_rows` gave."""
        if self.names is None:
            return point_table(rows)
        return point_table(np.ascontiguousarray(rows).view(self.given.dtype).reshape(-1))


def column_dtypes(dtype: np.dtype, columns: int) -> tuple[np.dtype, ...]:
    """The dtype of every column of points of this dtype, uint8 for bool."""
    if dtype.names is None:
        return (dtype,) * columns
    fields = [dtype[name] for name in dtype.names]
    return tuple(np.dtype(np.uint8) if f == np.bool_ else f for f in fields)


def point_table(points: ArrayLike, name: str = "points") -> PointTable:
    """Points as a table; an error where x, y, z are missing or a column is not of numbers."""
    x = _check.asarray(name, points)
    if x.dtype.names is None:
        floats = _grid.as_cloud(x, name)
        whole = x.dtype.kind in "iu" and x.ndim == 2
        return PointTable(_check.array(name, x) if whole else floats, floats)
    if x.ndim != 1:
        raise _check.InputError(f"{name} with fields must have one dimension, got shape {x.shape}")
    missing = [axis for axis in _PLACE if axis not in x.dtype.names]
    if missing:
        raise _check.InputError(f"{name} must have fields x, y and z, got {', '.join(x.dtype.names)}")
    for field in x.dtype.names:
        if x.dtype[field].kind not in "fiub" or x.dtype[field].itemsize > 8:
            raise _check.InputTypeError(f"field {field!r} of {name} must hold numbers, got {x.dtype[field]}")
    packed = np.dtype([(f, _native(x.dtype[f])) for f in x.dtype.names])
    given = x if x.dtype == packed and x.flags.c_contiguous else x.astype(packed)
    single = all(given.dtype[axis] == np.float32 for axis in _PLACE)
    place = np.empty((len(given), 3), np.float32 if single else np.float64)
    for k, axis in enumerate(_PLACE):
        _grid.check_integers(f"field {axis!r} of {name}", given[axis])
        place[:, k] = given[axis]
    return PointTable(given, place)


def _native(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.float32) if dtype == np.float16 else dtype.newbyteorder("=")
