"""Voxels of large clouds: points are partitioned into buckets by their key, each small enough for the caches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastdl import _kernels, _threads
from fastdl._typing import Array
from fastdl.points._grid import NONE, Grid
from fastdl.reference import _point_buckets as reference_kernel

kernel = _kernels.load("points_buckets") or reference_kernel

_ROWS = 1 << 18  # points of a block of the two passes over the cloud
_BUCKET = 16384  # points that a bucket has on average: its hash table then fits a core's L2 cache
_BLOCKS = 64  # blocks of buckets that threads share: enough to keep many busy, whatever their sizes


class BucketedVoxels:
    """The voxels of a cloud, by bucket, and their order of first appearance."""

    def __init__(self, points: Array, grid: Grid, threads: int | None):
        self.points, self.threads = points, _threads.count(threads)
        n = len(points)
        self.bits = min(max((n // _BUCKET).bit_length(), 2), 12)
        buckets = 1 << self.bits
        numbers, single, key = grid.numbers, grid.single, grid.key
        empty = np.full(1, NONE[key])
        blocks = -(-n // _ROWS)
        counts = np.zeros((blocks, buckets), np.int64)
        self.missing = sum(
            _threads.split(
                n,
                self.threads,
                lambda s: kernel.count(points[s], numbers, single, self.bits, empty, counts[s.start // _ROWS]),
                _ROWS,
            )
        )
        places = np.concatenate([[0], np.cumsum(counts.T)])
        self.starts = places[::blocks].copy()
        next_places = places[:-1].reshape(buckets, blocks).T.copy()
        inside = int(places[-1])
        keys = np.empty(max(inside, 1), key)
        self.index = np.empty(max(inside, 1), np.uint32)
        _threads.split(
            n,
            self.threads,
            lambda s: kernel.scatter(
                points[s], s.start, numbers, single, self.bits, next_places[s.start // _ROWS], keys, self.index
            ),
            _ROWS,
        )
        self.ids = np.empty(max(inside, 1), np.int32)
        self.sizes = np.zeros(buckets, np.int64)
        flags = np.zeros(-(-n // 64) * 64, np.uint8)
        step = max(1, buckets // _BLOCKS)
        self.blocks = [(a, min(a + step, buckets)) for a in range(0, buckets, step)]
        self._each(lambda a, b: self._assign(keys, flags, a, b))
        self.words = np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64, copy=False)
        ones = np.cumsum(np.bitwise_count(self.words), dtype=np.int32)
        self.before = np.concatenate([np.zeros(1, np.int32), ones[:-1]])
        self.size = int(ones[-1])
        self.most = int(self.sizes.max())

    def _each(self, run: Callable[[int, int], None]) -> None:
        _threads.share(len(self.blocks), self.threads, lambda k: run(*self.blocks[k]))

    def _assign(self, keys: Array, flags: Array, first: int, last: int) -> None:
        most = int((4 * _BUCKET - 1).bit_length())
        while first < last:
            table = np.empty((1 if keys.dtype == np.uint32 else 2) << most, np.uint64)
            first = kernel.assign(keys, self, first, last, table, most, flags)
            most += 2  # a bucket with more voxels than the table takes

    def sums(self, mean: bool) -> Array:
        """Sums or means of all columns, in order of first appearance."""
        out = np.empty((self.size, self.points.shape[1]), self.points.dtype)
        if not self.size:
            return out

        def run(first: int, last: int) -> None:
            most = max(int(self.sizes[first:last].max()), 1)
            sums = np.empty((most, self.points.shape[1]))
            room = (sums, np.empty(most, np.int64), np.empty(most, np.uint32))
            kernel.sum_rows(self.points, self, first, last, mean, room, out)

        self._each(run)
        return out

    def voxel_ids(self) -> Array:
        """The voxel of every point, -1 where it has none."""
        out = np.full(len(self.points), -1, np.int32)

        def run(first: int, last: int) -> None:
            ranks = np.empty(max(int(self.sizes[first:last].max()), 1), np.int32)
            kernel.number(self, first, last, ranks, out)

        self._each(run)
        return out

    def first_points(self) -> Array:
        """The first point of every voxel."""
        return np.flatnonzero(np.unpackbits(self.words.astype("<u8").view(np.uint8), bitorder="little"))
