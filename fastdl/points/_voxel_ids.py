"""Which voxel each point is in: the way that suits the size of the cloud."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np

from fastdl import _threads
from fastdl._typing import Array, DTypeLike
from fastdl.points._grid import Grid, kernel
from fastdl.points._key_table import KeyTable

_DIRECT = 1 << 18  # cells that have a table of their own: 1 MiB, what a core's L2 holds
_BLOCK = 1 << 17  # points of a block
_LARGEST = (1 << 25) - 4096  # bytes: the most for which glibc raises its threshold, with room for its header
_KEEP = 1 << 24  # bytes: a larger array is made anew, and given back


class Workspace(threading.local):
    """Arrays that outlive a call; each thread has its own, and pickling leaves them behind."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.last: dict[str, Array] = {}  # parts of these, as they were taken: loops ask for the same again
        self.largest = 0  # bytes of a result that was expected
        self.voxels = 16  # what the last cloud had: the next is likely to have as many

    def take(self, name: str, size: int, dtype: DTypeLike) -> Array:
        """An array of any content."""
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

    def expect_result(self, size: int) -> None:
        """Have the allocator keep memory of this many bytes when a result is freed: the next then has no page faults.

        glibc maps blocks above a threshold anew for each array, and raises it to the largest such block that was freed,
        up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). Results that are cut to their length are freed smaller than they
        were asked for, and would never raise it: this frees a block of twice the size, untouched, once. Twice, for
        what is free beyond two thresholds goes back to the system, and a result has other arrays beside it.
        """
        if self.largest < size <= _LARGEST:
            self.largest = size
            np.empty(min(2 * size, _LARGEST), np.uint8)

    def direct(self, cells: int) -> Array:
        """A table of -1, which the user leaves as it was."""
        found = self.arrays.get("direct")
        if found is None or len(found) < cells:
            found = self.arrays["direct"] = np.full(cells, -1, np.int32)
        return found

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        return Workspace, ()


#: For calls that have none of their own.
SHARED_WORKSPACE = Workspace()


def keys_of(points: Array, grid: Grid, keys: Array, threads: int | None) -> int:
    """Fill in the keys; the number of points that are not finite."""
    numbers, single = grid.numbers, grid.single
    counts = _threads.split_rows(
        lambda some, to: kernel.keys_of(some, numbers, single, to), (points, keys), threads, _BLOCK
    )
    return sum(counts)


def grid_table(grid: Grid, points: int, workspace: Workspace) -> Array | None:
    """A table with an entry a cell, all -1, where the grid is small enough for one; to be left as it is found."""
    cells = math.prod(grid.shape)
    return workspace.direct(cells) if cells <= _DIRECT and cells <= 8 * points else None


def voxel_ids(
    points: Array, grid: Grid, threads: int | None, workspace: Workspace, ids: Array | None = None
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
    keys = workspace.take("keys", n, grid.key)
    missing = keys_of(points, grid, keys, threads)
    if direct:
        table, size = workspace.direct(cells), np.zeros(1, np.int64)
        kernel.assign_direct(keys, ids, table, size)
        kernel.clear_direct(keys, table)
        return ids, int(size[0]), missing
    numbers = KeyTable(grid.key, max(n // 8, workspace.voxels * 3 // 2), workspace.take)
    numbers.assign(keys, ids)
    workspace.voxels = len(numbers)
    return ids, len(numbers), missing


def cells_of(points: Array, ids: Array, size: int, grid: Grid, axes: str = "xyz") -> Array:
    """Cells of the first `size` voxels without the grid's base, as int32 rows (x, y, z) or (z, y, x)."""
    cells = np.empty((size, 3), np.int32)
    if size:
        kernel.voxel_cells(points, ids, size, grid.numbers, grid.single, axes == "zyx", cells)
    return cells
