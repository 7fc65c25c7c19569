"""Reductions of records by voxel in NumPy, with the names and arguments of `fastdl_ext.points_records`."""

import numpy as np

_NUMBERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def _values(records, which):
    """A column of records given as bytes; `which` is its offset, its type, its shift and its mask (0: all bits)."""
    offset, kind, shift, mask = map(int, which)
    dtype = np.dtype(_NUMBERS[kind])
    x = np.ascontiguousarray(records[:, offset : offset + dtype.itemsize]).view(dtype).reshape(len(records))
    return x >> shift & dtype.type(mask) if mask else x


def _put(records, which, rows, values):
    """Put values of a column into some rows of records."""
    offset, kind, shift, mask = map(int, which)
    dtype = np.dtype(_NUMBERS[kind])
    x = np.ascontiguousarray(records[:, offset : offset + dtype.itemsize]).view(dtype).reshape(len(records))
    x[rows] = x[rows] & ~dtype.type(mask << shift) | values << shift if mask else values
    records[:, offset : offset + dtype.itemsize] = x[:, None].view(np.uint8)


def fold_means(chunk, ids, voxels, columns, state):
    """Add the columns of points to the sums of their voxels. A voxel of one point needs none: its record holds it.

    Sums of integers of up to 32 bits are integers, the others float64 in input order. If `sums` has too few rows for
    the voxels that need one now, nothing is done, and `state` is left as it was.
    """
    (records, slots, sums), (start, met, used) = voxels, map(int, state)
    met_before = np.arange(len(ids)) >= start
    first = np.zeros(len(ids), bool)
    unique, at = np.unique(ids, return_index=True)
    first[at[unique >= met]] = True
    points = np.flatnonzero(met_before & (ids >= 0) & ~first)
    _, at = np.unique(ids[points], return_index=True)
    born = ids[points][np.sort(at)]
    born = born[slots[born] < 0]
    if used + len(born) > len(sums):
        return
    slots[born] = np.arange(used, used + len(born))
    for k, which in enumerate(columns):
        dtype = np.dtype(_NUMBERS[int(which[1])])
        wide = np.int64 if dtype.kind in "iu" and dtype.itemsize <= 4 else np.float64
        total = sums[:, k].view(wide)
        total[slots[born]] = _values(records[born], which).astype(wide)
        np.add.at(total, slots[ids[points]], _values(chunk[points], which).astype(wide))
    state[:] = len(ids), max(met, int(unique.max(initial=-1)) + 1), used + len(born)


def fold_extremes(chunk, ids, records, which, greatest):
    """The least or greatest value of a column in the voxels' records; NaN wins over everything."""
    points = np.flatnonzero(ids >= 0)
    values = _values(records, which).copy()
    with np.errstate(invalid="ignore"):
        (np.maximum if greatest else np.minimum).at(values, ids[points], _values(chunk[points], which))
    _put(records, which, np.arange(len(records)), values)


def differing(chunk, ids, records, which, points):
    """Write the points whose value of a column differs from that of their voxel's first point; returns their number."""
    inside = np.flatnonzero(ids >= 0)
    found = inside[_values(chunk[inside], which) != _values(records[ids[inside]], which)]
    points[: len(found)] = found
    return len(found)


def finish_means(records, slots, counts, sums, columns):
    """Put the means of voxels of more than one point in their records, rounded where those are integers."""
    rows = np.flatnonzero(slots >= 0)
    for k, which in enumerate(columns):
        dtype = np.dtype(_NUMBERS[int(which[1])])
        total = sums[slots[rows], k].view(np.int64 if dtype.kind in "iu" and dtype.itemsize <= 4 else np.float64)
        mean = total / counts[rows]
        if dtype.kind in "iu":
            end = np.iinfo(dtype).max
            values = np.where(mean < end, np.rint(np.minimum(mean, np.nextafter(float(end), 0))), 0).astype(dtype)
            mean = np.where(mean < end, values, dtype.type(end))
        _put(records, which, rows, mean.astype(dtype))


def lattice_bounds(chunk, offsets, ends):
    """The least and the greatest of the int32 coordinates at these three offsets, as the rows of `ends`."""
    x = np.stack([_values(chunk, (offset, 4, 0, 0)) for offset in offsets])
    ends[0], ends[1] = x.min(axis=1), x.max(axis=1)


def lattice_keys(chunk, offsets, axes, base, strides, keys):
    """Keys of int32 coordinates on a lattice: cell = floor((multiply X + shift) / step) - base."""
    x, y, z = (
        (_values(chunk, (offset, 4, 0, 0)).astype(np.int64) * multiply + shift) // step - low
        for offset, (multiply, shift, step), low in zip(offsets, axes, base)
    )
    keys[:] = ((z * strides[1] + y) * strides[0] + x).astype(np.uint64)
