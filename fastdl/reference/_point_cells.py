"""Cells, keys and ids of points in NumPy, with the names and arguments of `fastdl_ext.points`.

The compiled kernels find a voxel in `table` by the hash of its key; these use the table as a list, in the order of the
voxels' numbers.
"""

import numpy as np


def cells_in(points, numbers, single):
    """(cells (x, y, z) as int64, -1 for points outside; which points are in the grid; how many are not finite)."""
    dtype = np.float32 if single and points.dtype == np.float32 else np.float64
    low, size, base, grid = numbers[:12].reshape(4, 3).astype(dtype)
    x = points[:, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        cells = np.floor((x.astype(dtype) - low) / size) - base
    inside = ((cells >= 0) & (cells < grid)).all(axis=1)
    found = np.where(inside[:, None], cells, -1).astype(np.int64)
    return found, inside, int(np.count_nonzero(~np.isfinite(x).all(axis=1)))


def number_keys(keys, known):
    """The number of every key, and the new keys, numbered after the known ones in order of first appearance."""
    unique, first, inverse = np.unique(np.concatenate([known, keys]), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.reshape(-1)[len(known) :]], unique[order[len(known) :]]


def keys_of(points, numbers, single, keys):
    """Write the keys of points, all ones for points outside; returns the number of points that are not finite."""
    cells, inside, missing = cells_in(points, numbers, single)
    row, rows = numbers[12:14].astype(np.int64)
    keys[:] = np.iinfo(keys.dtype).max
    keys[inside] = ((cells[:, 2] * rows + cells[:, 1]) * row + cells[:, 0])[inside].astype(keys.dtype)
    return missing


def cells_of(points, numbers, single, reverse, cells):
    """Write the cells of points as rows (x, y, z), or (z, y, x) when reversed; -1 for points outside."""
    found, _, missing = cells_in(points, numbers, single)
    cells[:] = found[:, ::-1] if reverse else found
    return missing


def bounds(points, ends):
    """Update the least and the greatest x, y, z by the finite points; `ends` begins as inf and -inf."""
    x = points[np.isfinite(points[:, :3]).all(axis=1), :3]
    ends[:3] = np.minimum(ends[:3], x.min(axis=0, initial=np.inf))
    ends[3:] = np.maximum(ends[3:], x.max(axis=0, initial=-np.inf))


def assign(keys, ids, start, table, bits, count, limit):
    """Write the ids of keys, by first appearance; returns the index of the point at which the table was full."""
    narrow, m = keys.dtype == np.uint32, int(count[0])
    known = (table[:m] >> np.uint64(32)).astype(np.uint32) if narrow else table[: 2 * m : 2]
    part = keys[start:].copy()  # ids may be in the memory of the keys
    inside = part != np.iinfo(part.dtype).max
    numbers = np.full(len(part), -1, np.int64)
    numbers[inside], new = number_keys(part[inside], known)
    beyond = np.flatnonzero(numbers >= limit)
    stop = int(beyond[0]) if len(beyond) else len(part)
    ids[start : start + stop] = numbers[:stop]
    size = max(m, int(numbers[:stop].max(initial=-1)) + 1)
    words = np.arange(m + 1, size + 1, dtype=np.uint64)
    if narrow:
        table[m:size] = new[: size - m].astype(np.uint64) << np.uint64(32) | words
    else:
        table[2 * m : 2 * size : 2], table[2 * m + 1 : 2 * size : 2] = new[: size - m], words
    count[0] = size
    return start + stop


def assign_direct(keys, ids, table, count):
    """Write the ids of keys, by a table of one entry a cell, which must be -1 before; `clear_direct` resets it."""
    inside = keys != np.iinfo(keys.dtype).max
    numbers = np.full(len(keys), -1, np.int64)
    numbers[inside], new = number_keys(keys[inside], keys[:0])
    table[new] = np.arange(len(new))
    ids[:], count[0] = numbers, len(new)


def clear_direct(keys, table):
    """Undo what assign_direct wrote."""
    table[keys[keys != np.iinfo(keys.dtype).max]] = -1


def find(keys, ids, table, bits):
    """Ids of the keys that are in the table, -1 for the others."""
    pairs = table.reshape(-1, 2)
    pairs = pairs[pairs[:, 1] > 0]
    pairs = pairs[np.argsort(pairs[:, 0])]
    ids[:] = -1
    if len(pairs):
        at = np.minimum(np.searchsorted(pairs[:, 0], keys), len(pairs) - 1)
        known = pairs[at, 0] == keys
        ids[known] = pairs[at[known], 1].astype(np.int64) - 1


def rehash(old, table, bits, narrow):
    """Copy the entries of a table, of 32-bit or 64-bit keys, into a larger one."""
    table[: len(old)] = old


def sort_cells(cells, low, span, bits, keys, order):
    """The order of cells (x, y, z) by z, then y, then x; the row of `order` it is in."""
    order[0] = np.lexsort(cells.T)
    return 0


def voxel_cells(points, ids, keep, numbers, single, reverse, cells):
    """Cells of the first `keep` voxels as rows (x, y, z), or (z, y, x) when reversed."""
    unique, first = np.unique(ids, return_index=True)
    born = first[(unique >= 0) & (unique < keep)]
    found, _, _ = cells_in(points[born], numbers, single)
    cells[:] = found[:, ::-1] if reverse else found
