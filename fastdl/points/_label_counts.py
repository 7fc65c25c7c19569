"""State arrays that grow with the number of voxels, and label counts for every voxel."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array, DTypeLike
from fastdl.points._key_table import KeyTable

#: A column of a state, or a part of the state of a column of points.
ColumnName = str | tuple[str, int]

_LONG = np.dtype(np.uint64)
_NONE = np.uint64(2**64 - 1)
_NO_NUMBER = 2**31 - 1  # stands for the label -1: no table of labels gets as long


class GrowingColumns:
    """Named arrays with a row per voxel, and room for more."""

    def __init__(self) -> None:
        self.arrays: dict[ColumnName, Array] = {}
        self.starts: dict[ColumnName, float] = {}
        self.room = 0

    def add(self, name: ColumnName, start: float, dtype: DTypeLike = np.float64, width: tuple[int, ...] = ()) -> None:
        """Add a column whose rows all begin as `start`."""
        if name not in self.arrays:
            self.arrays[name], self.starts[name] = np.full((self.room, *width), start, dtype), start

    def reserve(self, rows: int) -> None:
        """Make room for at least this many rows."""
        if rows > self.room:
            room = rows if not self.room else max(rows, self.room + self.room // 2, 1024)
            for name, old in self.arrays.items():
                new = np.empty((room, *old.shape[1:]), old.dtype)
                new[: self.room] = old
                new[self.room :] = self.starts[name]
                self.arrays[name] = new
            self.room = room

    def __getitem__(self, name: ColumnName) -> Array:
        return self.arrays[name]

    def __contains__(self, name: ColumnName) -> bool:
        return name in self.arrays

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(a.nbytes for a in self.arrays.values())


class LabelCounts:
    """For every voxel the number of points of each label, in a hash table of (voxel, label) pairs."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.labels, self.pairs, self.counts = KeyTable(_LONG, 32), KeyTable(_LONG, 32), GrowingColumns()
        self.counts.add("points", 0, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return self.labels.slots.nbytes + self.pairs.slots.nbytes + self.counts.nbytes

    def add(self, labels: Array, ids: Array, points: Array | int = 1) -> None:
        """Count labels in voxels, each `points` times."""
        if not len(labels):
            return
        numbers = np.empty(len(labels), np.int32)
        # float32 labels are counted as float64, so that keys have 64 bits; equal labels have equal bits in either.
        wide = labels.astype(np.float64) if labels.dtype.kind == "f" else labels
        keys = np.ascontiguousarray(wide).view(np.uint64)
        self.labels.assign(keys, numbers)
        numbers[keys == _NONE] = _NO_NUMBER  # the bits of the integer -1 are what a KeyTable takes for "no key"
        self.pairs.assign(ids.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64), numbers)
        self.counts.reserve(len(self.pairs))
        np.add.at(self.counts["points"], numbers, points)

    def rows(self) -> tuple[Array, Array, Array]:
        """(voxel, label, points) for every pair that was seen."""
        keys = self.pairs.keys()
        wide = np.dtype(np.float64) if self.dtype.kind == "f" else self.dtype
        number = (keys & np.uint64(2**32 - 1)).astype(np.int64)
        label = np.full(len(keys), _NONE).view(wide)
        named = number != _NO_NUMBER
        label[named] = self.labels.keys().view(wide)[number[named]]
        return (keys >> np.uint64(32)).astype(np.int64), label, self.counts["points"][: len(keys)]

    def winners(self, m: int) -> tuple[Array, Array]:
        """For each of m voxels the label of most points (the smallest of equals), and whether there is one."""
        voxel, label, points = self.rows()
        order = np.lexsort((label, -points, voxel))
        first = order[np.flatnonzero(np.diff(voxel[order], prepend=-1))]
        labels, known = np.zeros(m, label.dtype), np.zeros(m, bool)
        labels[voxel[first]], known[voxel[first]] = label[first], True
        return labels, known

    def join(self, other: LabelCounts, ids: Array) -> None:
        """Take in another's counts; `ids` are its voxels' numbers here."""
        voxel, label, points = other.rows()
        if len(voxel):
            self.add(label, ids[voxel], points)
