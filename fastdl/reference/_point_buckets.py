"""Voxels of large clouds by buckets in NumPy, with the names and arguments of `fastdl_ext.points_buckets`."""

import numpy as np

from fastdl.reference import _point_cells


def _buckets(keys, bits):
    return (keys & keys.dtype.type((1 << bits) - 1)).astype(np.int64)


def _keys_in(points, numbers, single, dtype):
    keys = np.empty(len(points), dtype)
    missing = _point_cells.keys_of(points, numbers, single, keys)
    return keys, np.flatnonzero(keys != np.iinfo(dtype).max), missing


def count(points, numbers, single, bits, empty, counts):
    """Count the points of each bucket; returns the number of points that are not finite. Keys have `empty`'s dtype."""
    keys, inside, missing = _keys_in(points, numbers, single, empty.dtype)
    np.add.at(counts, _buckets(keys[inside], bits), 1)
    return missing


def scatter(points, start, numbers, single, bits, places, keys_out, index_out):
    """Write the keys and indices of points to the next places of their buckets; the first point has index `start`."""
    keys, inside, _ = _keys_in(points, numbers, single, keys_out.dtype)
    bucket = _buckets(keys[inside], bits)
    order = np.argsort(bucket, kind="stable")
    sizes = np.bincount(bucket, minlength=len(places))
    ends = np.cumsum(sizes)
    for b in np.flatnonzero(sizes):
        points_in = inside[order[ends[b] - sizes[b] : ends[b]]]
        place = slice(places[b], places[b] + sizes[b])
        keys_out[place], index_out[place] = keys[points_in], points_in + start
    places += sizes


def assign(keys, buckets, first, last, table, most, flags):
    """Number the voxels within each of the buckets first..last, and set a flag at the first point of every voxel."""
    for b in range(first, last):
        s = slice(buckets.starts[b], buckets.starts[b + 1])
        buckets.ids[s], new = _point_cells.number_keys(keys[s], keys[:0])
        buckets.sizes[b] = len(new)
        flags[_first_points(buckets, s)] = 1
    return last


def _ranks(words, before, points):
    """The number of flags below each point."""
    points = points.astype(np.int64)
    below = words[points >> 6] & ((np.uint64(1) << (points & 63).astype(np.uint64)) - np.uint64(1))
    return before[points >> 6] + np.bitwise_count(below)


def _first_points(buckets, s):
    """The first point of every voxel of a bucket, whose points are index[s]."""
    return buckets.index[s][np.unique(buckets.ids[s], return_index=True)[1]]


def sum_rows(points, buckets, first, last, mean, room, out):
    """Sums or means of the voxels of buckets first..last, each at its rank."""
    for b in range(first, last):
        s, m = slice(buckets.starts[b], buckets.starts[b + 1]), int(buckets.sizes[b])
        total, number = np.zeros((m, points.shape[1])), np.bincount(buckets.ids[s], minlength=m)
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(total, buckets.ids[s], points[buckets.index[s]].astype(np.float64))
            ranks = _ranks(buckets.words, buckets.before, _first_points(buckets, s))
            out[ranks] = total / number[:, None] if mean else total


def number(buckets, first, last, ranks, out):
    """Ids of the points of buckets first..last by order of first appearance in the whole cloud."""
    for b in range(first, last):
        s = slice(buckets.starts[b], buckets.starts[b + 1])
        rank = _ranks(buckets.words, buckets.before, _first_points(buckets, s))
        out[buckets.index[s]] = rank[buckets.ids[s]]
