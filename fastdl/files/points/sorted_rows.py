"""Rows of a cloud on their way to a file: from a table in memory, or in parts on the disk, in order of their keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Protocol

import numpy as np

Array = np.ndarray

_BLOCK = 1 << 18  # rows


class Rows(Protocol):
    """What a writer takes."""

    schema: np.dtype
    count: int
    low: Array
    high: Array

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of the rows in order, as often as they are asked for."""


class TableRows:
    """The rows of a table of floats, one column per field of `schema`; integers are the nearest ones (ties to even)."""

    def __init__(self, table: Array, schema: np.dtype):
        self.table, self.schema, self.count = table, schema, len(table)
        ends = table[:, :3]
        self.low: Array = ends.min(axis=0) if len(table) else np.zeros(3)
        self.high: Array = ends.max(axis=0) if len(table) else np.zeros(3)

    def blocks(self) -> Iterator[Array]:
        """Structured arrays, as often as they are asked for."""
        for start in range(0, self.count, _BLOCK):
            yield self._rows(self.table[start : start + _BLOCK])

    def _rows(self, table: Array) -> Array:
        out = np.empty(len(table), self.schema)
        fill(out, table)
        return out


def fill(out: Array, table: Array, *others: Array) -> None:
    """The columns of `table` to the fields of `out`, rounded where they are integers; then `others`, as they stand."""
    names = out.dtype.names or ()
    for k, name in enumerate(names[: table.shape[1]]):
        out[name] = np.rint(table[:, k]) if out.dtype[name].kind in "iu" else table[:, k]
    for name, column in zip(names[table.shape[1] :], others):
        out[name] = column


class Spool:
    """Rows that come in parts, each in ascending order of its keys, and leave in the order of all keys.

    Memory: eight bytes a row and one block; the rows wait in a temporary file without a name. Keys are whole, not
    negative and there once: the number of a voxel's first point.
    """

    def __init__(self, schema: np.dtype):
        self.schema = schema
        self.low, self.high = np.full(3, np.inf), np.full(3, -np.inf)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._keys: list[Array] = []
        self._starts: list[int] = []
        self.count = 0

    def add(self, keys: Array, *tables: Array) -> None:
        """Take in a part: its keys, an (n, C) table, and further fields as they stand, if the schema has them."""
        if not len(keys):
            return
        if (keys[1:] < keys[:-1]).any():
            order = np.argsort(keys)
            keys, tables = keys[order], tuple(table[order] for table in tables)
        self._starts.append(self.count)
        self._keys.append(np.array(keys, np.int64))
        self.low = np.minimum(self.low, tables[0][:, :3].min(axis=0))
        self.high = np.maximum(self.high, tables[0][:, :3].max(axis=0))
        for start in range(0, len(keys), _BLOCK):
            s = slice(start, start + _BLOCK)
            out = np.empty(len(keys[s]), self.schema)
            fill(out, tables[0][s], *(table[s] for table in tables[1:]))
            out.tofile(self._file)
        self.count += len(keys)

    def blocks(self) -> Iterator[Array]:
        """Structured arrays of at most 2^18 rows, as often as they are asked for."""
        self._file.flush()
        at = [0] * len(self._keys)
        while True:
            ahead = [int(keys[k]) for keys, k in zip(self._keys, at) if k < len(keys)]
            if not ahead:
                return
            # Keys are there once, so there are no more rows in a stretch of keys than it is long.
            end = min(ahead) + _BLOCK
            keys, pieces = [], []
            for part, k in enumerate(at):
                stop = int(np.searchsorted(self._keys[part], end))
                if stop > k:
                    keys.append(self._keys[part][k:stop])
                    self._file.seek((self._starts[part] + k) * self.schema.itemsize)
                    pieces.append(np.fromfile(self._file, self.schema, stop - k))
                    at[part] = stop
            if len(pieces) == 1:
                yield pieces[0]
            else:
                yield np.concatenate(pieces)[np.argsort(np.concatenate(keys))]

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()
