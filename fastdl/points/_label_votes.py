"""The votes of points on their voxels' labels, kept only where they differ from the first point's."""

from __future__ import annotations

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.points._key_table import KeyTable
from fastdl.reference import _point_records as reference_kernel
from fastdl.reference import _point_reductions as reference_reductions

kernel = _kernels.load("points_records") or reference_kernel
reduction_kernel = _kernels.load("points_reduction") or reference_reductions

_LONG = np.dtype(np.uint64)
_HALF = np.uint64(32)


class LabelVotes:
    """How often each label is there among the points of a voxel whose label is not that of its first one."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._names: KeyTable | None = None if dtype.itemsize <= 2 else KeyTable(_LONG, 32)  # numbers of longer labels
        self._pairs = KeyTable(_LONG, 32)
        self._votes = np.zeros(64, np.int32)

    @property
    def nbytes(self) -> int:
        names = self._names.slots.nbytes if self._names is not None else 0
        return names + self._pairs.slots.nbytes + self._votes.nbytes

    def add(self, voxels: Array, labels: Array) -> None:
        """Take in labels of points."""
        if not len(voxels):
            return
        words = _words(labels)
        if self._names is not None:
            numbers = np.empty(len(words), np.int32)
            self._names.assign(words, numbers)
            words = numbers.astype(_LONG)
        ids = np.empty(len(words), np.int32)
        self._pairs.assign(voxels.astype(_LONG) << _HALF | words, ids)
        if len(self._pairs) > len(self._votes):
            self._votes = grow(self._votes, max(len(self._pairs), 2 * len(self._votes)), 0)
        reduction_kernel.count_ids(ids, len(self._votes), self._votes)

    def pairs(self) -> tuple[Array, Array, Array]:
        """(voxel, bits of the label, votes) for every pair that was seen."""
        keys = self._pairs.keys()
        words = keys & np.uint64(0xFFFFFFFF)
        if self._names is not None:
            words = self._names.keys()[words.astype(np.int64)]
        return (keys >> _HALF).astype(np.int64), words, self._votes[: len(keys)].astype(np.int64)

    def elect(self, first: Array, counts: Array) -> tuple[Array, Array]:
        """The voxels of more than one label, and the label that most points have; of equals the least, and NaN is none.

        `first` are the labels of all voxels' first points and `counts` the points of each.
        """
        voxel, words, votes = self.pairs()
        met = np.zeros(len(first), bool)
        met[voxel] = True
        rows, at = np.flatnonzero(met), (np.cumsum(met, dtype=np.int32) - 1)[voxel].astype(np.int64)
        first = first[rows]
        most = counts[rows] - np.bincount(at, votes, len(rows)).astype(np.int64)
        most[first != first] = -1
        labels = _labels(words, self.dtype)
        good = labels == labels
        best = _ordered(_words(first), self.dtype)
        kernel.elect(at[good], _ordered(words, self.dtype)[good], votes[good], best, most)
        return rows, _labels(_ordered(best, self.dtype, back=True), self.dtype)


def _words(labels: Array) -> Array:
    """The bits of labels, as one number each; -0 and 0 are one label."""
    labels = labels + labels.dtype.type(0) if labels.dtype.kind == "f" else labels
    return np.ascontiguousarray(labels).view(f"u{labels.itemsize}").astype(_LONG)


def _labels(words: Array, dtype: np.dtype) -> Array:
    """The labels of words of bits."""
    return words.astype(f"u{dtype.itemsize}").view(dtype)


def _ordered(words: Array, dtype: np.dtype, *, back: bool = False) -> Array:
    """Words that are in the order of the labels whose bits they are, or from those back to the bits."""
    sign = np.uint64(1 << (8 * dtype.itemsize - 1))
    if dtype.kind == "u":
        return words.copy()
    if dtype.kind == "i":
        return words ^ sign
    mask = np.uint64((1 << 8 * dtype.itemsize) - 1)
    negative = (words & sign) == 0 if back else (words & sign) != 0
    return np.where(negative, ~words & mask, words ^ sign)


def grow(old: Array, room: int, start: float | None = None) -> Array:
    """The array with more rows. Large memory is moved by the system, not copied; nothing else may hold it."""
    size = len(old)
    if room > 8 * size:  # memory that is not touched costs nothing
        new = np.zeros((room, *old.shape[1:]), old.dtype)
        new[:size] = old
    else:
        new = old
        new.resize((room, *old.shape[1:]), refcheck=False)
    if start:
        new[size:] = start
    return new
