"""Rows of a cloud that is to be written: from memory, or merged by key from sorted parts in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError

_BLOCK = 1 << 18  # rows


class CloudRows(Protocol):
    """The rows that a writer of clouds takes; `low` and `high` are the extremes of x, y and z."""

    schema: np.dtype
    count: int
    low: Array
    high: Array

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of the rows in order; may be called several times."""


class TableRows:
    """The rows of a table of floats, one column per field of `schema`; for integers, rounded (ties to even)."""

    def __init__(self, table: Array, schema: np.dtype):
        self.table, self.schema, self.count = table, schema, len(table)
        ends = table[:, :3]
        self.low: Array = ends.min(axis=0) if len(table) else np.zeros(3)
        self.high: Array = ends.max(axis=0) if len(table) else np.zeros(3)

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of the rows in order; may be called several times."""
        for start in range(0, self.count, _BLOCK):
            table = self.table[start : start + _BLOCK]
            out = np.empty(len(table), self.schema)
            for k, name in enumerate(self.schema.names or ()):
                column = table[:, k]
                out[name] = np.rint(column) if out.dtype[name].kind in "iu" else column
            yield out


class MadeRows:
    """Rows that `make(start, stop)` computes when they are written; `ends` are the extremes of their coordinates."""

    def __init__(self, schema: np.dtype, count: int, ends: tuple[Array, Array], make: Callable[[int, int], Array]):
        self.schema, self.count, self.make = schema, count, make
        self.low, self.high = ends

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of the rows in order; may be called several times."""
        for start in range(0, self.count, _BLOCK):
            yield self.make(start, min(start + _BLOCK, self.count))

    def part(self, start: int, stop: int) -> MadeRows:
        """The rows from start to stop."""
        ends = self.low, self.high
        return MadeRows(self.schema, stop - start, ends, lambda a, b: self.make(start + a, start + b))


class SortedRowFile:
    """An external merge: parts are added, each sorted by key, and `blocks` yields all rows in the order of their keys.

    It takes eight bytes of memory a row and one block; the rows are in an unnamed temporary file. Keys are unique
    integers from 0 on: the index of a voxel's first point. The bytes written and read back are counted, so that a full
    disk is an error, never missing rows.
    """

    def __init__(self, schema: np.dtype):
        self.schema = schema
        self.low, self.high = np.full(3, np.inf), np.full(3, -np.inf)
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._keys: list[Array] = []
        self._starts: list[int] = []
        self.count = 0

    def add(self, keys: Array, rows: Callable[[int, int], Array], ends: tuple[Array, Array]) -> None:
        """Add a part: its ascending keys, a function that makes its rows, and the extremes of their coordinates."""
        if not len(keys):
            return
        self._starts.append(self.count)
        self._keys.append(np.array(keys, np.int64))
        self.low, self.high = np.minimum(self.low, ends[0]), np.maximum(self.high, ends[1])
        for start in range(0, len(keys), _BLOCK):
            self._write(rows(start, min(start + _BLOCK, len(keys))))
        self.count += len(keys)

    def _write(self, rows: Array) -> None:
        data = memoryview(np.ascontiguousarray(rows).view(np.uint8).reshape(-1))
        try:
            self._file.seek(0, 2)
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            kept = self.count * self.schema.itemsize
            problem = f"{kept} bytes of temporary rows and {rows.nbytes} more cannot be kept: {error.strerror}"
            raise FileError(tempfile.gettempdir(), f"{problem}; TMPDIR names another folder") from None

    def _read(self, row: int, rows: int) -> Array:
        out = np.empty((rows, self.schema.itemsize), np.uint8)  # as bytes, since fields may overlap
        data = memoryview(out.reshape(-1))
        place = row * self.schema.itemsize
        self._file.seek(place)
        while data:
            got = self._file.readinto(data)
            if not got:
                problem = f"temporary rows end at byte {place}, {self.count * self.schema.itemsize} were written"
                raise FileError(tempfile.gettempdir(), problem, place)
            data, place = data[got:], place + got
        return out

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of at most 2^18 rows in order; may be called several times."""
        yield from self._between(0, None)

    def _between(self, first: int, last: int | None) -> Iterator[Array]:
        """The rows with first <= key < last."""
        at = [int(np.searchsorted(keys, first)) for keys in self._keys]
        while True:
            ahead = [int(keys[k]) for keys, k in zip(self._keys, at) if k < len(keys)]
            if not ahead or (last is not None and min(ahead) >= last):
                return
            # Keys are unique: a range of _BLOCK keys has at most _BLOCK rows.
            end = min(ahead) + _BLOCK if last is None else min(min(ahead) + _BLOCK, last)
            keys, pieces = [], []
            for part, k in enumerate(at):
                stop = int(np.searchsorted(self._keys[part], end))
                if stop > k:
                    keys.append(self._keys[part][k:stop])
                    pieces.append(self._read(self._starts[part] + k, stop - k))
                    at[part] = stop
            rows = pieces[0]
            if len(pieces) > 1:
                rows = np.concatenate(pieces)[np.argsort(np.concatenate(keys))]
            yield rows.reshape(-1).view(self.schema)

    def part(self, first: int, last: int) -> KeyRange:
        """The rows with first <= key < last, for a writer."""
        return KeyRange(self, first, last)

    def close(self) -> None:
        """Close the temporary file, which removes it."""
        self._file.close()


class KeyRange:
    """The rows of a SortedRowFile with keys in a range."""

    def __init__(self, rows: SortedRowFile, first: int, last: int):
        self.rows, self.first, self.last = rows, first, last
        self.schema, self.low, self.high = rows.schema, rows.low, rows.high
        ends = [np.searchsorted(keys, (first, last)) for keys in rows._keys]
        self.count = int(sum(b - a for a, b in ends))

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of the rows in order; may be called several times."""
        yield from self.rows._between(self.first, self.last)
