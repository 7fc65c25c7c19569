"""Majority votes on voxels' labels, in little memory: only labels that differ from the first point's are counted."""

from __future__ import annotations

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.points._key_table import KeyTable
from fastdl.reference import _point_reductions as reference_reductions
from fastdl.reference import _point_votes as reference_kernel

kernel = _kernels.load("points_votes") or reference_kernel
reduction_kernel = _kernels.load("points_reduction") or reference_reductions

_LONG = np.dtype(np.uint64)
_HALF = np.uint64(32)
_MANY = 16  # labels in a row of counts: with more, a voxel takes more memory than its (voxel, label) pairs would


class LabelVotes:
    """For each voxel the counts of labels, among points whose label differs from that of the voxel's first point.

    A hash table of (voxel, label) pairs; `ByteVotes` does the same for labels of a byte.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._names: KeyTable | None = None if dtype.itemsize <= 2 else KeyTable(_LONG, 32)  # numbers of longer labels
        self._pairs = KeyTable(_LONG, 32)
        self._votes = np.zeros(64, np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        names = self._names.slots.nbytes if self._names is not None else 0
        return names + self._pairs.slots.nbytes + self._votes.nbytes

    def add(self, voxels: Array, labels: Array) -> None:
        """Take in labels of points."""
        if not len(voxels):
            return
        self._count(voxels, _words(labels), None)

    def _count(self, voxels: Array, words: Array, votes: Array | None) -> None:
        """Count (voxel, label) pairs, each once or `votes` times."""
        if self._names is not None:
            numbers = np.empty(len(words), np.int32)
            self._names.assign(words, numbers)
            words = numbers.astype(_LONG)
        ids = np.empty(len(words), np.int32)
        self._pairs.assign(voxels.astype(_LONG) << _HALF | words, ids)
        if len(self._pairs) > len(self._votes):
            self._votes = grow(self._votes, max(len(self._pairs), 2 * len(self._votes)), 0)
        if votes is None:
            reduction_kernel.count_ids(ids, len(self._votes), self._votes)
        else:
            np.add.at(self._votes, ids, votes)

    def pairs(self) -> tuple[Array, Array, Array]:
        """(voxel, bits of the label, votes) for every pair that was seen."""
        keys = self._pairs.keys()
        words = keys & np.uint64(0xFFFFFFFF)
        if self._names is not None:
            words = self._names.keys()[words.astype(np.int64)]
        return (keys >> _HALF).astype(np.int64), words, self._votes[: len(keys)].astype(np.int64)

    def elect(self, first: Array, counts: Array) -> tuple[Array, Array]:
        """The voxels of more than one label, and the label of most of their points.

        Of equally frequent labels the smallest wins; NaN is no label. `first` are the labels of all voxels' first
        points, `counts` the points of each voxel.
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


class ByteVotes(LabelVotes):
    """Votes on labels of one byte, of which clouds have few: a row of counts for each voxel with several labels.

    Rows of counts replace the hash table of pairs, which for 10 M points of six classes took a third of the time. Once
    there are more than sixteen labels it changes to the table of pairs.
    """

    def __init__(self, dtype: np.dtype):
        super().__init__(dtype)
        self._numbers = np.full(256, _MANY, np.uint8)  # of labels, by their bits
        self._labels: list[int] = []
        self._rows, self._counts, self._used = np.empty(0, np.int32), np.zeros((0, 4), np.int32), 0
        self._hashed = False

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return super().nbytes + self._rows.nbytes + self._counts.nbytes

    def add(self, voxels: Array, labels: Array) -> None:
        """Take in labels of points."""
        if not len(voxels):
            return
        bits = labels.view(np.uint8)
        if not self._hashed:
            self._learn(np.flatnonzero(np.bincount(bits, minlength=256)).tolist())
        if self._hashed:
            super().add(voxels, labels)
            return
        top, most = int(voxels.max()) + 1, self._used + len(voxels)
        if top > len(self._rows):
            self._rows = grow(self._rows, max(top, len(self._rows) * 3 // 2), -1)
        if most > len(self._counts):
            self._counts = grow(self._counts, max(most, len(self._counts) * 3 // 2), 0)
        numbers = self._numbers[bits]
        self._used = kernel.count_votes(voxels, numbers, self._rows, self._counts, self._used)

    def _learn(self, labels: list[int]) -> None:
        """Number labels that are new, and add a column of counts for each."""
        for label in labels:
            if self._numbers[label] == _MANY:
                if len(self._labels) == _MANY:
                    voxel, words, votes = self.pairs()
                    self._hashed = True
                    self._rows, self._counts, self._used = self._rows[:0], self._counts[:0], 0
                    self._count(voxel, words, votes)
                    return
                self._numbers[label] = len(self._labels)
                self._labels.append(label)
        width = self._counts.shape[1]
        if len(self._labels) > width:
            wide = np.zeros((len(self._counts), min(max(len(self._labels), 2 * width), _MANY)), np.int32)
            wide[: self._used, :width] = self._counts[: self._used]
            self._counts = wide

    def pairs(self) -> tuple[Array, Array, Array]:
        """(voxel, bits of the label, votes) for every pair that was seen."""
        if self._hashed:
            return super().pairs()
        voxels = np.flatnonzero(self._rows >= 0)
        owner = np.empty(self._used, np.int64)
        owner[self._rows[voxels]] = voxels
        counts = self._counts[: self._used]
        row, number = np.nonzero(counts)
        return owner[row], np.array(self._labels, _LONG)[number], counts[row, number].astype(np.int64)

    def elect(self, first: Array, counts: Array) -> tuple[Array, Array]:
        """As that of `LabelVotes`, from the rows of counts where there are some."""
        if self._hashed:
            return super().elect(first, counts)
        names = np.array(self._labels, np.uint8).view(self.dtype).astype(np.int64)
        voxels, best = np.empty(self._used, np.int64), np.empty(self._used, np.int64)
        rows = self._rows[: len(first)]
        m = kernel.elect_rows(rows, self._counts, names, first.astype(np.int64), counts, voxels, best)
        return voxels[:m], best[:m].astype(self.dtype)


def label_votes(dtype: np.dtype) -> LabelVotes:
    """The counter of votes for labels of this type."""
    return ByteVotes(dtype) if dtype.itemsize == 1 else LabelVotes(dtype)


def _words(labels: Array) -> Array:
    """The bits of labels, as one number each; -0 and 0 are one label."""
    labels = labels + labels.dtype.type(0) if labels.dtype.kind == "f" else labels
    return np.ascontiguousarray(labels).view(f"u{labels.itemsize}").astype(_LONG)


def _labels(words: Array, dtype: np.dtype) -> Array:
    """The labels whose bits these words are."""
    return words.astype(f"u{dtype.itemsize}").view(dtype)


def _ordered(words: Array, dtype: np.dtype, *, back: bool = False) -> Array:
    """The bits of labels changed so that unsigned order is the labels' order; with `back` the inverse."""
    sign = np.uint64(1 << (8 * dtype.itemsize - 1))
    if dtype.kind == "u":
        return words.copy()
    if dtype.kind == "i":
        return words ^ sign
    mask = np.uint64((1 << 8 * dtype.itemsize) - 1)
    negative = (words & sign) == 0 if back else (words & sign) != 0
    return np.where(negative, ~words & mask, words ^ sign)


def grow(old: Array, room: int, start: float | None = None) -> Array:
    """The array with more rows, by `realloc`, which moves large memory without copying; no other array may view it."""
    size = len(old)
    if room > 8 * size:  # zeroed pages cost nothing until they are written
        new = np.zeros((room, *old.shape[1:]), old.dtype)
        new[:size] = old
    else:
        new = old
        new.resize((room, *old.shape[1:]), refcheck=False)
    if start:
        new[size:] = start
    return new
