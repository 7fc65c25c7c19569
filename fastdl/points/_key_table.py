"""The hash table that numbers the keys of voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdl._typing import Array
from fastdl.points._grid import Grid, grid_with_room, kernel

_LONG = _SLOT = np.dtype(np.uint64)


class KeyTable:
    """A hash table that numbers keys in order of first appearance; it grows when it is half full."""

    def __init__(self, key: np.dtype, expected: int, take: Callable[..., Array] | None = None):
        self.narrow = key.itemsize == 4
        self.bits = max(6, (2 * expected - 1).bit_length())
        self.size = np.zeros(1, np.int64)
        if take is None:
            self.slots = self._empty()
        else:  # memory of an earlier call, which costs no page faults
            self.slots = take("slots", (1 if self.narrow else 2) << self.bits, _SLOT)
            self.slots.fill(0)

    def __len__(self) -> int:
        return int(self.size[0])

    def _empty(self) -> Array:
        return np.zeros((1 if self.narrow else 2) << self.bits, np.uint64)

    def assign(self, keys: Array, ids: Array) -> None:
        """Write the number of each key to `ids`, which may share the memory of `keys`."""
        start = 0
        while start < len(keys):
            start = kernel.assign(keys, ids, start, self.slots, self.bits, self.size, 1 << (self.bits - 1))
            if start < len(keys):
                self.grow()

    def grow(self) -> None:
        """Make room for more."""
        self.bits += 1 if self.bits > 20 else 2
        old, self.slots = self.slots, self._empty()
        kernel.rehash(old, self.slots, self.bits, self.narrow)

    def keys(self) -> Array:
        """The keys in order of their numbers; 64-bit tables only."""
        pairs = self.slots.reshape(-1, 2)
        pairs = pairs[pairs[:, 1] > 0]
        keys = np.empty(len(self), np.uint64)
        keys[pairs[:, 1].astype(np.int64) - 1] = pairs[:, 0]
        return keys


def cover_cells(
    old: Grid | None, table: KeyTable, ends: tuple[Array, Array], units: tuple[Any, Any]
) -> tuple[Grid, KeyTable]:
    """A grid that holds the cells of `old` and those from ends[0] to ends[1], and the table with keys of that grid.

    `units` are the origin and the size of the cells.
    """
    low, high = ends
    if old is not None:
        base, top = np.array(old.base), np.array(old.base) + np.array(old.shape) - 1
        if (low >= base).all() and (high <= top).all():
            return old, table
        low, high = np.minimum(low, base), np.maximum(high, top)
    box = grid_with_room(*units, low, high)
    if old is None or not len(table):
        return box, table
    wide = KeyTable(_LONG, len(table))
    wide.assign(box.encode(old.decode(table.keys())), np.empty(len(table), np.int32))  # in order: numbers stay
    return box, wide
