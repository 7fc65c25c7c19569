"""Edge lists to rows (CSR) by a stable counting sort (Knuth, "The Art of Computer Programming" 3, 5.2, algorithm D).

Trusts its caller: nodes within range, arrays of full size. Bound by memory: an edge is read twice (16 bytes) and written once
(8 bytes), at a place that may be anywhere. So lists beyond the caches go through 256 buckets first (one pass of a radix sort by
the target's high bits), whose rows the second-level cache holds: another 24 bytes an edge, in order.
"""

from libc.stdint cimport int32_t, int64_t

from fastdl_ext._common cimport cloned

ctypedef fused index:       # what the graph holds: 32 bits while they suffice
    int32_t
    int64_t

ctypedef fused given:       # the integers an edge list comes in
    int32_t
    int64_t


cdef cloned range_of(const given* x, Py_ssize_t step, Py_ssize_t n, given* low, given* high) noexcept nogil:
    cdef Py_ssize_t i
    cdef given least = x[0], most = x[0]
    for i in range(n):
        least = min(least, x[i * step])
        most = max(most, x[i * step])
    low[0], high[0] = least, most


cdef cloned count_descents(const given* x, Py_ssize_t step, Py_ssize_t n, Py_ssize_t* count) noexcept nogil:
    cdef Py_ssize_t i, descents = 0
    for i in range(1, n):
        descents += x[i * step] < x[(i - 1) * step]
    count[0] = descents


def survey(const given[:] x):
    """(least, largest, how often a value is smaller than the one before it)."""
    cdef given low, high
    cdef Py_ssize_t step = x.strides[0] // <Py_ssize_t>sizeof(given), n = x.shape[0], descents
    with nogil:
        if step == 1:       # a constant in these calls, so that the compiler makes vectors of the loop
            range_of(&x[0], 1, n, &low, &high)
            count_descents(&x[0], 1, n, &descents)
        else:
            range_of(&x[0], step, n, &low, &high)
            count_descents(&x[0], step, n, &descents)
    return low, high, descents


def count(const given[:] targets, int shift, int64_t[::1] counts):
    """How many edges each bucket of 2^shift targets gets."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(targets.shape[0]):
            counts[<Py_ssize_t>(targets[i] >> shift)] += 1


def scatter(const given[:] sources, const given[:] targets, Py_ssize_t number, int shift, int64_t[::1] place,
            int32_t[:, ::1] edges):
    """Edges (target, source, number) to their buckets, in order; `place` is where each bucket's next edge goes.

    The three stand together, so that only one stream is written for each bucket.
    """
    cdef Py_ssize_t i, bucket
    cdef int32_t* e
    with nogil:
        for i in range(targets.shape[0]):
            bucket = <Py_ssize_t>(targets[i] >> shift)
            e = &edges[place[bucket], 0]
            place[bucket] += 1
            e[0] = <int32_t>targets[i]
            e[1] = <int32_t>sources[i]
            e[2] = <int32_t>(number + i)


cdef inline void starts_of(int64_t[::1] ends, int64_t start) noexcept nogil:
    # Counts to where each row starts. Placing its edges then moves this to where it ends.
    cdef Py_ssize_t r
    cdef int64_t n
    for r in range(ends.shape[0]):
        n = ends[r]
        ends[r] = start
        start += n


def place_bucket(const int32_t[:, ::1] edges, Py_ssize_t first_row, int64_t start, int64_t[::1] ends, int32_t[::1] indices,
                 int32_t[::1] order):
    """The edges of one bucket, whose first edge has place `start`, to their rows; `ends` is a part of indptr, given as zeros."""
    cdef Py_ssize_t i, r
    cdef int64_t at
    with nogil:
        for i in range(edges.shape[0]):
            ends[edges[i, 0] - first_row] += 1
        starts_of(ends, start)
        for i in range(edges.shape[0]):
            r = edges[i, 0] - first_row
            at = ends[r]
            ends[r] = at + 1
            indices[at] = edges[i, 1]
            order[at] = edges[i, 2]


def place_all(const given[:] sources, const given[:] targets, int64_t[::1] ends, index[::1] indices, index[::1] order):
    """All edges to their rows at once: for lists that the caches hold; `ends` is indptr[1:], given as zeros."""
    cdef Py_ssize_t i
    cdef int64_t at
    with nogil:
        for i in range(targets.shape[0]):
            ends[<Py_ssize_t>targets[i]] += 1
        starts_of(ends, 0)
        for i in range(targets.shape[0]):
            at = ends[<Py_ssize_t>targets[i]]
            ends[<Py_ssize_t>targets[i]] = at + 1
            indices[at] = <index>sources[i]
            order[at] = <index>i
