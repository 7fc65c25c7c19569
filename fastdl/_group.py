"""Which voxel each point is in: the way that suits the size of the cloud."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from fastdl import _threads
from fastdl._cells import Array, Geometry, Table, kernel

_DIRECT = 1 << 18  # cells that have a table of their own: 1 MiB, what a core's L2 holds
_BLOCK = 1 << 17  # points of one turn


class Workspace(threading.local):
    """Arrays that outlive a call; each thread has its own, and pickling leaves them behind."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def take(self, name: str, size: int, dtype: Any) -> Array:
        """An array of any content."""
        dtype = np.dtype(dtype)
        found = self.arrays.get(name)
        if found is None or found.nbytes < size * dtype.itemsize:
            found = self.arrays[name] = np.empty(size * dtype.itemsize * 5 // 4 + 64, np.uint8)
        return found[: size * dtype.itemsize].view(dtype)

    def direct(self, cells: int) -> Array:
        """A table of -1, which the user leaves as it was."""
        found = self.arrays.get("direct")
        if found is None or len(found) < cells:
            found = self.arrays["direct"] = np.full(cells, -1, np.int32)
        return found

    def __reduce__(self) -> Any:
        return Workspace, ()


def keys_of(points: Array, geometry: Geometry, keys: Array, threads: int | None) -> int:
    """Fill in the keys; the number of points that are not finite."""
    numbers = geometry.numbers
    return sum(
        _threads.split(
            len(points), threads, lambda s: kernel.keys_of(points[s], numbers, geometry.single, keys[s]), _BLOCK
        )
    )


def number(points: Array, geometry: Geometry, threads: int | None, workspace: Workspace) -> tuple[Array, int, int]:
    """(ids, voxels, points that are not finite); ids as int32 in order of first appearance, -1 outside."""
    n = len(points)
    ids = np.empty(n, np.int32)
    if not n:
        return ids, 0, 0
    cells = math.prod(geometry.grid)
    keys = workspace.take("keys", n, geometry.key)
    missing = keys_of(points, geometry, keys, threads)
    if cells <= _DIRECT and cells <= 8 * n:
        table, size = workspace.direct(cells), np.zeros(1, np.int64)
        kernel.assign_direct(keys, ids, table, size)
        kernel.clear_direct(keys, table)
        return ids, int(size[0]), missing
    numbers = Table(geometry.key, max(n // 4, 16), workspace.take)
    numbers.assign(keys, ids)
    return ids, len(numbers), missing


def first_points(ids: Array, size: int) -> Array:
    """The first point of each of the first `size` voxels."""
    first = np.empty(size, np.int64)
    if size:
        kernel.firsts(ids, size, first)
    return first


def cells_at(points: Array, geometry: Geometry, axes: str = "xyz") -> Array:
    """Cells of points without the grid's base, as int32 rows (x, y, z) or (z, y, x); -1 outside."""
    cells = np.empty((len(points), 3), np.int32)
    if len(points):
        kernel.cells_of(points, geometry.numbers, geometry.single, axes == "zyx", cells)
    return cells
