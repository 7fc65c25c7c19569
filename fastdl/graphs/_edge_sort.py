"""Edges to rows: a stable counting sort by target, in one scatter where the caches hold it, else by buckets."""

from __future__ import annotations

import numpy as np

from fastdl import _kernels
from fastdl._threads import count, share, split
from fastdl._typing import Array
from fastdl.reference import _graph_kernels

kernel = _kernels.load("graphs") or _graph_kernels

_INT32 = np.iinfo(np.int32).max
_BLOCK = 1 << 18  # edges read at once by one thread: 2 to 4 MB, the second-level cache and more
_DIRECT = 1 << 16  # edges up to which one random placement is as fast as two orderly ones (measured)
_BUCKETS = 256  # streams that are written at once: with more, each would lose its cache line between two writes


def survey(x: Array, threads: int | None) -> tuple[int, int, bool]:
    """(minimum, maximum, whether it is sorted) of a vector that is not empty."""
    # Each block looks at the value before it too.
    parts = split(len(x), threads, lambda s: kernel.survey(x[max(s.start - 1, 0) : s.stop]), _BLOCK)
    low, high, descents = zip(*parts)
    return min(low), max(high), sum(descents) == 0


def by_target(
    sources: Array, targets: Array, shape: tuple[int, int], ordered: bool, threads: int | None
) -> tuple[Array, Array, Array]:
    """(indptr, indices, order) of edges within shape = (targets, sources); `ordered`: the targets never fall."""
    edges, n = len(targets), shape[0]
    kind: type[np.signedinteger] = np.int32 if max(*shape, edges) <= _INT32 else np.int64
    indptr = np.zeros(n + 1, np.int64)
    if edges == 0:
        return indptr, np.empty(0, kind), np.empty(0, kind)
    if ordered:
        kernel.count(targets, 0, indptr[1:])
        np.cumsum(indptr, out=indptr)
        return indptr, sources.astype(kind), np.arange(edges, dtype=kind)
    indices, order = np.empty(edges, kind), np.empty(edges, kind)
    if edges <= _DIRECT or kind is np.int64:
        kernel.place_all(sources, targets, indptr[1:], indices, order)
    else:
        _by_buckets(sources, targets, threads, indptr, indices, order)
    return indptr, indices, order


def _by_buckets(
    sources: Array, targets: Array, threads: int | None, indptr: Array, indices: Array, order: Array
) -> None:
    """A bucket holds 2^shift targets; all blocks go to the buckets, then each bucket, in the cache, to its rows."""
    n = len(indptr) - 1
    shift = max(0, (n - 1).bit_length() - _BUCKETS.bit_length() + 1)
    buckets = ((n - 1) >> shift) + 1
    blocks = range(0, len(targets), _BLOCK)
    counts = np.zeros((len(blocks), buckets), np.int64)
    split(len(targets), threads, lambda s: kernel.count(targets[s], shift, counts[s.start // _BLOCK]), _BLOCK)
    # Bucket by bucket, and within a bucket block by block: that keeps the order of the edges.
    place = np.cumsum(counts.T).reshape(buckets, -1).T
    place = np.ascontiguousarray(place - counts)
    starts = [*place[0].tolist(), len(targets)]
    parted = np.empty((len(targets), 3), np.int32)

    def scatter(s: slice) -> None:
        kernel.scatter(sources[s], targets[s], s.start, shift, place[s.start // _BLOCK], parted)

    def finish(bucket: int) -> None:
        first, start = bucket << shift, starts[bucket]
        row_ends = indptr[first + 1 : min(first + (1 << shift), n) + 1]
        kernel.place_bucket(parted[start : starts[bucket + 1]], first, start, row_ends, indices, order)

    split(len(targets), threads, scatter, _BLOCK)
    share(buckets, count(threads), finish)
