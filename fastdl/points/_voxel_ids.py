"""The voxel id of each point, by a table of cells or a hash table, whichever suits the size of the grid."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from fastdl import _threads
from fastdl._typing import Array, DTypeLike
from fastdl.points._grid import Grid, kernel
from fastdl.points._key_table import KeyTable

_DIRECT = 1 << 18  # cells of the largest grid with a table entry per cell: 1 MiB, what a core's L2 cache holds
_BLOCK = 1 << 17  # points of a block
_LARGEST = (1 << 25) - 4096  # bytes: glibc raises its mmap threshold up to 32 MiB, header included
_KEEP = 1 << 24  # bytes of the largest array that is kept between calls


class Workspace(threading.local):
    """Scratch arrays that are kept between calls; each thread has its own, and pickling drops them."""

    @contextmanager
    def borrow(self) -> Iterator[Scratch]:
        """The scratch arrays, for one call.

        A call that fails or is interrupted may leave a table half written: its arrays are dropped. A call within
        another one, by a signal handler, gets others.
        """
        scratch = self.__dict__.pop("scratch", None) or Scratch()
        yield scratch
        self.scratch = scratch

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        return Workspace, ()


class Scratch:
    """Arrays that a call writes to and the next call may write to again."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.last: dict[str, Array] = {}  # views of these that were taken last: loops ask for the same again
        self.largest = 0  # bytes of the largest result that `expect_result` was told of
        self.voxels = 16  # of the last cloud: the next is likely to have about as many
        self.used = 0  # the largest number in the slots of `slots`

    def take(self, name: str, size: int, dtype: DTypeLike) -> Array:
        """An uninitialised array."""
        dtype = np.dtype(dtype)
        last = self.last.get(name)
        if last is not None and len(last) == size and last.dtype is dtype:
            return last
        found = self.arrays.get(name)
        if found is None or found.nbytes < size * dtype.itemsize:
            found = np.empty(size * dtype.itemsize * 5 // 4 + 64, np.uint8)
            if found.nbytes > _KEEP:
                return found[: size * dtype.itemsize].view(dtype)
            self.arrays[name] = found
        part = self.last[name] = found[: size * dtype.itemsize].view(dtype)
        return part

    def slots(self, bits: int, points: int) -> tuple[Array, int]:
        """A hash table of 2^bits slots of 64 bits, and the number that is in the lower halves of free ones at most.

        The caller writes larger numbers, by the number of `points` at most. So nothing need be cleared between clouds,
        which takes as long as 5,000 look-ups, until the numbers come to 2^32.
        """
        kept = self.arrays.get("hashed")
        if kept is None or len(kept) < 1 << bits or self.used + points >= 1 << 32:
            kept = np.zeros(1 << bits, np.uint64)
            if kept.nbytes > _KEEP:
                return kept, 0
            self.arrays["hashed"], self.used = kept, 0
        free, self.used = self.used, self.used + points
        return kept[: 1 << bits], free

    def expect_result(self, size: int) -> None:
        """Make the allocator keep freed memory of this many bytes, so that the next result causes no page faults.

        glibc maps blocks above a threshold anew for each array, and raises the threshold to the largest such block that
        was freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). Results that are cut to their length are freed smaller
        than they were allocated, and would never raise it: so this frees an untouched block, once. The block has twice
        the size because free memory beyond twice the threshold is returned to the system, and a result has other arrays
        beside it.
        """
        if self.largest < size <= _LARGEST:
            self.largest = size
            np.empty(min(2 * size, _LARGEST), np.uint8)

    def direct(self, cells: int) -> Array:
        """A table of at least this many cells, all -1; the caller must reset what it changes."""
        found = self.arrays.get("direct")
        if found is None or len(found) < cells:
            found = self.arrays["direct"] = np.full(cells, -1, np.int32)
        return found


#: The workspace of calls that are not given one.
SHARED_WORKSPACE = Workspace()


def keys_of(points: Array, grid: Grid, keys: Array, threads: int | None) -> int:
    """Write the key of each point to `keys`; returns the number of points that are not finite."""
    numbers, single = grid.numbers, grid.single
    counts = _threads.split_rows(
        lambda some, to: kernel.keys_of(some, numbers, single, to), (points, keys), threads, _BLOCK
    )
    return sum(counts)


def grid_table(grid: Grid, points: int, scratch: Scratch) -> Array | None:
    """A table with one entry per cell, all -1, where the grid is small enough; the caller resets what it changes."""
    cells = math.prod(grid.shape)
    return scratch.direct(cells) if cells <= _DIRECT and cells <= 8 * points else None


def voxel_ids(
    points: Array, grid: Grid, threads: int | None, scratch: Scratch, ids: Array | None = None
) -> tuple[Array, int, int]:
    """(ids, voxels, points that are not finite); ids as int32 in order of first appearance, -1 outside."""
    n = len(points)
    ids = np.empty(n, np.int32) if ids is None else ids
    if not n:
        return ids, 0, 0
    cells = math.prod(grid.shape)
    direct = cells <= _DIRECT and cells <= 8 * n
    if direct:
        grid = replace(grid, tight=True)
    keys = scratch.take("keys", n, grid.key)
    missing = keys_of(points, grid, keys, threads)
    if direct:
        table, size = scratch.direct(cells), np.zeros(1, np.int64)
        kernel.assign_direct(keys, ids, table, size)
        kernel.clear_direct(keys, table)
        return ids, int(size[0]), missing
    numbers = KeyTable(grid.key, max(n // 8, scratch.voxels * 3 // 2), scratch.take)
    numbers.assign(keys, ids)
    scratch.voxels = len(numbers)
    return ids, len(numbers), missing


def cells_of(points: Array, ids: Array, size: int, grid: Grid, axes: str = "xyz") -> Array:
    """Cells of the first `size` voxels, counted from the grid's base, as int32 rows (x, y, z) or (z, y, x)."""
    cells = np.empty((size, 3), np.int32)
    if size:
        kernel.voxel_cells(points, ids, size, grid.numbers, grid.single, axes == "zyx", cells)
    return cells
