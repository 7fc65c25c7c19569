"""What all point-cloud readers share: columns, tables of floats, rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastdl import _check

Array = np.ndarray

_EXACT = 1 << 53  # the integers up to here are float64 numbers


class PointReader:
    """A cloud in a file: how many points, which columns, and the points themselves in chunks.

    Attributes
    ----------
    path : Path
    points : int
        Points in the file.
    schema : numpy.dtype
        A structured dtype: "x", "y", "z", then the attributes, each in the dtype that holds its values.
    """

    path: Path
    points: int
    schema: np.dtype
    _axes: tuple[str, ...]

    def _describe(self, dtype: np.dtype, points: int) -> None:
        """Take over the columns of `dtype`, which must have coordinates."""
        names = dtype.names or ()
        lower = {name.lower(): name for name in reversed(names)}
        missing = [axis for axis in "xyz" if axis not in lower]
        if missing:
            raise _check.FileError(self.path, f"has no column {', '.join(missing)}; its columns are {', '.join(names)}")
        self._axes = tuple(lower[axis] for axis in "xyz")
        fields = [(axis, _real(dtype[name])) for axis, name in zip("xyz", self._axes)]
        fields += [(name, dtype[name].newbyteorder("=")) for name in names if name not in self._axes]
        for name, kind in fields:
            if kind.kind not in "biuf" or kind.shape:
                raise _check.FileError(self.path, f"column {name} is {kind}; only columns of numbers are read")
        self.schema, self.points = np.dtype(fields), points

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: x, y, z, then the attributes."""
        return tuple(self.schema.names or ())

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points, in the order of the file, with the file's own fields."""
        raise NotImplementedError

    def table(self, chunk: Array, columns: Sequence[str] | None = None, dtype: Any = np.float64) -> Array:
        """(n, C) floats of a chunk's columns; the first three of `columns` are x, y, z."""
        columns = self.columns if columns is None else columns
        out = np.empty((len(chunk), len(columns)), dtype)
        self._coordinates(chunk, out[:, :3])
        for k, name in enumerate(columns[3:], 3):
            x = chunk[name]
            if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and len(x) and max(int(x.max()), -int(x.min())) > _EXACT:
                raise _check.FileError(
                    self.path, f"column {name} holds integers beyond 2^53, which float64 cannot hold"
                )
            out[:, k] = x
        return out

    def _coordinates(self, chunk: Array, out: Array) -> None:
        for k, name in enumerate(self._axes):
            out[:, k] = chunk[name]

    def cells(self, chunk: Array, voxel_size: Sequence[float], origin: Sequence[float]) -> Array | None:
        """(n, 3) int64 cells of a chunk where the file's own integers give them exactly, else None."""
        del chunk, voxel_size, origin
        return None


def _real(dtype: np.dtype) -> np.dtype:
    """The dtype of a coordinate: a float, for means of integers need not be integers."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)


def binary(path: Path, dtype: np.dtype, offset: int, total: int, size: int) -> Iterator[Array]:
    """`total` records that stand one after the other from `offset` on, in chunks of `size`."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        for start in range(0, total, size):
            n = min(size, total - start)
            x = np.fromfile(file, dtype, n)
            if len(x) < n:
                raise _check.FileError(
                    path, "became shorter while it was read", offset + (start + len(x)) * dtype.itemsize
                )
            yield x


def announced(path: Path, offset: int, record: int, points: int) -> None:
    """Raise where the file ends before the `points` records of `record` bytes that its header announces."""
    there = max(path.stat().st_size - offset, 0)
    if there < points * record:
        problem = f"truncated: {points} points of {record} bytes announced, {there // record} there"
        raise _check.FileError(path, problem, offset + there)


def text(path: Path, file: IO[bytes], line: int, dtype: np.dtype, total: int, size: int) -> Iterator[Array]:
    """`total` rows of numbers, from line number `line` + 1 on, in chunks of `size`; blank lines do not count."""
    done = 0
    while done < total:
        numbered: list[tuple[int, str]] = []
        while len(numbered) < min(size, total - done):
            raw = list(islice(file, min(size, total - done) - len(numbered)))
            if not raw:
                problem = f"truncated: {total} points announced, {done + len(numbered)} there"
                raise _check.FileError(path, problem, line=line + 1)
            numbered += [(line + k, r.decode("latin1")) for k, r in enumerate(raw, 1) if not r.isspace()]
            line += len(raw)
        yield _parse(path, numbered, dtype)
        done += len(numbered)


def _parse(path: Path, numbered: list[tuple[int, str]], dtype: np.dtype) -> Array:
    try:
        return _load([row for _, row in numbered], dtype)
    except (ValueError, OverflowError, DeprecationWarning):
        for number, row in numbered:
            try:
                _load([row], dtype)
            except (ValueError, OverflowError, DeprecationWarning):
                wanted = f"{len(dtype.names or ())} numbers ({', '.join(dtype.names or ())})"
                raise _check.FileError(path, f"{row.strip()[:80]!r} is not {wanted}", line=number) from None
        raise


def _load(lines: list[str], dtype: np.dtype) -> Array:
    return np.loadtxt(lines, dtype, comments=None, ndmin=1)
