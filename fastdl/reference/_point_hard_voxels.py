"""Hard voxelization in NumPy, with the names and arguments of `fastdl_ext.points_hard_voxels`."""

import numpy as np

from fastdl.reference import _point_cells, _point_reductions


def fill(points, start, numbers, single, table, bits, state, most, reverse, ids, coords, counts, voxels):
    """Put the points from `start` on into their voxels; returns the index of the first without room, or their number.

    Known voxels are found by their coordinates, so that the table of the compiled kernel is not used.
    """
    m, rows, t = int(state[0]), len(counts), voxels.shape[1]
    limit = min(rows, 1 << (bits - 1)) if bits else rows
    cells, inside, _ = _point_cells.cells_in(points[start:], numbers, single)
    gx, gy = numbers[9:11].astype(np.int64)

    def keys_of(c):
        return (c[:, 2] * gy + c[:, 1]) * gx + c[:, 0]

    known = coords[:m, ::-1] if reverse else coords[:m]
    found = np.full(len(cells), -1, np.int64)
    found[inside], _ = _point_cells.number_keys(keys_of(cells[inside]), keys_of(known.astype(np.int64)))
    beyond = np.flatnonzero((found >= limit) & (found < most))
    stop = int(beyond[0]) if len(beyond) else len(found)
    part, found = points[start : start + stop], found[:stop]
    state[1] += np.count_nonzero(~np.isfinite(part[:, :3]).all(axis=1))
    state[2] += np.count_nonzero(found >= most)
    found[found >= most] = -1
    born = np.unique(found, return_index=True)[1]
    born = born[found[born] >= m]
    size = m + len(born)
    coords[m:size] = cells[born][:, ::-1] if reverse else cells[born]
    counts[m:size], voxels[m:size] = 0, 0
    place = counts[found] + _point_reductions.slots(found)
    kept = (found >= 0) & (place < t)
    voxels[found[kept], place[kept]] = part[kept]
    np.add.at(counts, found[found >= 0], 1)
    ids[start : start + stop], state[0] = found, size
    return start + stop


def cap_counts(true_counts, most, counts):
    """Fill `counts` with at most `most` of each; the sums of `true_counts` and of `counts`."""
    np.minimum(true_counts, most, out=counts)
    return int(true_counts.sum(dtype=np.int64)), int(counts.sum(dtype=np.int64))


def clear(coords, reverse, numbers, table):
    """Undo what `fill` wrote to a table of cells."""


def small_voxels(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""


small_cells = small_voxels
