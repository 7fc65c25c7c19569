"""Reductions of points by voxel id in NumPy, with the names and arguments of `fastdl_ext.points_reduction`."""

import numpy as np

from fastdl.reference import _point_cells


def tally(ids, known, first, counts):
    """Add to the counts of voxels; `first` gets the first point of every voxel that is not among the `known`."""
    inside = np.flatnonzero(ids >= 0)
    unique, at = np.unique(ids[inside], return_index=True)
    first[unique[unique >= known] - known] = inside[at[unique >= known]]
    np.add.at(counts, ids[inside], 1)


def count_ids(ids, keep, counts):
    """Add to the counts of voxels below `keep`; returns the number of points of other voxels."""
    np.add.at(counts, ids[(ids >= 0) & (ids < keep)], 1)
    return int(np.count_nonzero(ids >= keep))


def fold_rows(points, ids, sums):
    """Add every row to the sums of its voxel."""
    inside = ids >= 0
    with np.errstate(over="ignore", invalid="ignore"):
        np.add.at(sums, ids[inside], points[inside].astype(np.float64))


def sum_by_key(points, keys, start, table, bits, count, limit, sums, counts):
    """Add to sums and counts by key, and points outside to count[1]; returns where the table was full."""
    known, ids = int(count[0]), np.empty(len(keys), np.int32)
    stop = _point_cells.assign(keys, ids, start, table, bits, count, limit)
    sums[known : count[0]], counts[known : count[0]] = 0, 0
    fold_rows(points[start:stop], ids[start:stop], sums)
    inside = ids[start:stop] >= 0
    np.add.at(counts, ids[start:stop][inside], 1)
    count[1] += int(np.count_nonzero(~inside))
    return stop


def finish_rows(sums, counts, mean, out):
    """Write sums, or means by one division, in the dtype of `out`."""
    with np.errstate(over="ignore", invalid="ignore"):
        out[:] = sums / counts[:, None] if mean else sums


def add_column(values, ids, sums):
    """Add a column to its voxels' sums, in input order."""
    inside = ids >= 0
    with np.errstate(over="ignore", invalid="ignore"):
        np.add.at(sums, ids[inside], values[inside].astype(np.float64))


def _winners(ids, *keys):
    """(voxel, point) of the point of every voxel that comes first by the keys, the most important first."""
    inside = np.flatnonzero(ids >= 0)
    order = inside[np.lexsort([inside, *(key[inside] for key in reversed(keys)), ids[inside]])]
    first = order[np.flatnonzero(np.diff(ids[order], prepend=-1))]
    return ids[first], first


def fold_extremes(values, greatest, ids, state):
    """Fold a column into its voxels' least or greatest value; the first of equals stays, NaN wins over everything."""
    rank = np.unique(values, return_inverse=True)[1].reshape(-1)
    voxel, point = _winners(ids, values == values, -rank if greatest else rank)
    v, s = values[point], state[voxel]
    wins = (v > s if greatest else v < s) | ((v != v) & (s == s))
    state[voxel[wins]] = v[wins]


def keep_last(values, ids, state):
    """The last value of every voxel."""
    voxel, point = _winners(ids, -np.arange(len(ids)))
    state[voxel] = values[point]


def fold_spread(values, ids, counts, means, squares):
    """Means and sums of squared distances from them, by Welford's updating formula, in input order."""
    with np.errstate(over="ignore", invalid="ignore"):
        for v, i in zip(values, ids):
            if i >= 0:
                counts[i] += 1
                step = v - means[i]
                means[i] += step / counts[i]
                squares[i] += step * (v - means[i])


def _keep_least(values, ids, best, pick, offset):
    voxel, point = _winners(ids, values)
    wins = (values[point] < best[voxel]) | (pick[voxel] < 0)
    best[voxel[wins]], pick[voxel[wins]] = values[point[wins]], point[wins] + offset


def nearest_points(points, ids, centres, best, pick, offset):
    """The point of every voxel that is nearest to its centre; the first of equals."""
    if not len(centres):  # every point is outside
        return
    with np.errstate(over="ignore", invalid="ignore"):
        step = (points[:, :3] - centres[np.maximum(ids, 0)]) ** 2
        _keep_least(step[:, 0] + step[:, 1] + step[:, 2], ids, best, pick, offset)


def least_ranks(ranks, ids, best, pick, offset):
    """The point of every voxel that has the least rank; the first of equals."""
    _keep_least(ranks, ids, best, pick, offset)


def nearest(distance, ids, best, pick, offset):
    """The point of the least distance in every voxel; the first of equals."""
    voxel, point = _winners(ids, distance)
    wins = distance[point] < best[voxel]
    best[voxel[wins]], pick[voxel[wins]] = distance[point[wins]], point[wins] + offset


def slots(ids):
    """The place of every point among its voxel's, in input order."""
    order = np.argsort(ids, kind="stable")
    start = np.searchsorted(ids[order], ids[order], side="left")
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids)) - start
    return place


def fill(points, ids, voxels, counts):
    """The first T points of every voxel that has a row in `voxels`, then zeros; counts are of all its points."""
    keep, t = voxels.shape[:2]
    inside = (ids >= 0) & (ids < keep)
    place = slots(ids)
    voxels[:], counts[:keep] = 0, 0
    np.add.at(counts, ids[inside], 1)
    kept = inside & (place < t)
    voxels[ids[kept], place[kept]] = points[kept]


def features(voxels, counts, cells, size, low, centred, out):
    """Columns, offsets from the mean of the used points, and from the cell's centre on the first `centred` axes."""
    used = np.arange(voxels.shape[1]) < counts[:, None]
    total = np.zeros((len(voxels), 3))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(voxels.shape[1]):
            total += np.where(used[:, t, None], voxels[:, t, :3], 0)
        mean = (total / np.maximum(counts, 1)[:, None]).astype(voxels.dtype)
        centre = cells[:, :centred].astype(voxels.dtype) * size[:centred] + low[:centred]
        parts = [voxels, voxels[..., :3] - mean[:, None], voxels[..., :centred] - centre[:, None]]
        out[:] = np.where(used[..., None], np.concatenate(parts, axis=2), 0)


def small_means(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""
