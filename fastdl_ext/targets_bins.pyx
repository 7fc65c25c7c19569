"""The bin of each value.  Trusts its caller: edges ascend, tables are built by fastdl/targets/_bin_search.py, NaN gets any bin.

The code of v is the number of inner edges <= v.  Few edges are all compared.  Of many, a monotone map of v to buckets (by
equal widths, or by the sign and upper bits of a float, as in a bucket sort; Knuth, The Art of Computer Programming 3, 5.2.5)
says how many lie below the bucket of v, and a binary search finds v among those inside.

Bound by operations: with few edges one comparison each, eight or sixteen values at once; else one look-up for the bucket and one
for each step of the search, which a core does two of a cycle. A value of 4 or 8 bytes is read and a code of 1 or 2 written.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain
from fastdl_ext._common cimport cloned, real

cnp.import_array()

ctypedef fused code:
    uint8_t
    uint16_t

ctypedef fused key:         # the bits of a real
    uint32_t
    uint64_t

ctypedef fused wide:        # an integer as wide as a real, so that comparisons need no conversion
    int32_t
    int64_t

cdef enum:
    BATCH = 512             # values taken together through loops that vectorise, their state in the first-level cache


cdef cloned compared(const real* y, const real* edges, Py_ssize_t count, wide* total, code* out, Py_ssize_t n,
                     Py_ssize_t* nans) noexcept nogil:
    # Four edges in each pass over the batch, so that its counts are read and written a quarter as often; `count` is a
    # multiple of four.
    cdef Py_ssize_t i, j
    cdef real a, b, c, d, v
    cdef wide missing = 0
    for i in range(n):
        v = y[i]
        missing += v != v
        total[i] = 0
    nans[0] += missing
    j = 0
    while j < count:
        a = edges[j]
        b = edges[j + 1]
        c = edges[j + 2]
        d = edges[j + 3]
        for i in range(n):
            v = y[i]
            total[i] += (<wide>(v >= a) + <wide>(v >= b)) + (<wide>(v >= c) + <wide>(v >= d))
        j += 4
    for i in range(n):
        out[i] = <code>total[i]


cdef cloned even_buckets(const real* y, real low, real inverse, real last, int32_t* bucket, Py_ssize_t n,
                         Py_ssize_t* nans) noexcept nogil:
    cdef Py_ssize_t i
    cdef real t
    cdef int32_t missing = 0
    for i in range(n):
        t = y[i]
        missing += t != t
        t = (t - low) * inverse
        t = t if t < last else last
        t = t if t > 0 else 0
        bucket[i] = <int32_t>t
    nans[0] += missing


cdef cloned float_buckets(const real* y, real centre, key first, key last, int shift, int32_t* bucket, Py_ssize_t n,
                          Py_ssize_t* nans) noexcept nogil:
    # The sign and the upper bits of the distance from the centre: fine beside it, coarse far from it.
    cdef Py_ssize_t i
    cdef real t
    cdef key bits, sign, top = 8 * sizeof(key) - 1
    cdef int32_t rank, half = <int32_t>(last - first) + 1, missing = 0
    for i in range(n):
        t = y[i]
        missing += t != t
        t = (t - centre) + 0            # -0 becomes 0
        memcpy(&bits, &t, sizeof(real))
        sign = bits >> top
        bits = (bits ^ (sign << top)) >> shift
        bits = bits if bits > first else first
        bits = bits if bits < last else last
        rank = <int32_t>(bits - first)
        bucket[i] = half + (rank ^ -<int32_t>sign)
    nans[0] += missing


cdef void step_up(const real* y, const int32_t* bucket, const uint16_t* below, const real* edges, int steps, int32_t* at,
                  code* out, Py_ssize_t n) noexcept nogil:
    # Of the edges from below[bucket] on, fewer than 2^steps may be <= v: a binary search, all values a step at a time and
    # without a branch, which the processor would guess wrongly half the time.
    cdef Py_ssize_t i
    cdef int32_t k
    cdef const real* middle
    if steps == 1:
        for i in range(n):
            k = below[bucket[i]]
            out[i] = <code>(k + (y[i] >= edges[k]))
        return
    if steps == 2:
        for i in range(n):
            k = below[bucket[i]]
            k = k + (<int32_t>(y[i] >= edges[k + 1]) << 1)
            out[i] = <code>(k + (y[i] >= edges[k]))
        return
    for i in range(n):
        at[i] = below[bucket[i]]
    while steps > 1:
        steps -= 1
        middle = edges + (1 << steps) - 1
        for i in range(n):
            k = at[i]
            at[i] = k + (<int32_t>(y[i] >= middle[k]) << steps)
    for i in range(n):
        k = at[i]
        out[i] = <code>(k + (y[i] >= edges[k]))


def encode_few(const real[::1] y, const real[::1] edges, code[::1] out):
    """The number of NaNs; a multiple of four edges, the last of them NaN where need be."""
    cdef Py_ssize_t start, m, nans = 0
    cdef int32_t totals[BATCH]
    cdef int64_t wide_totals[BATCH]
    with nogil:
        start = 0
        while start < y.shape[0]:
            m = min(<Py_ssize_t>BATCH, y.shape[0] - start)
            if real is float:
                compared(&y[start], &edges[0], edges.shape[0], totals, &out[start], m, &nans)
            else:
                compared(&y[start], &edges[0], edges.shape[0], wide_totals, &out[start], m, &nans)
            start += BATCH
    return nans


def encode_even(const real[::1] y, real low, real inverse, const uint16_t[::1] below, const real[::1] edges, int steps,
                code[::1] out):
    """The number of NaNs; by buckets of equal width."""
    cdef Py_ssize_t start, m, nans = 0
    cdef int32_t bucket[BATCH]
    cdef int32_t at[BATCH]
    with nogil:
        start = 0
        while start < y.shape[0]:
            m = min(<Py_ssize_t>BATCH, y.shape[0] - start)
            even_buckets(&y[start], low, inverse, <real>(below.shape[0] - 1), bucket, m, &nans)
            step_up(&y[start], bucket, &below[0], &edges[0], steps, at, &out[start], m)
            start += BATCH
    return nans


def encode_float(const real[::1] y, real centre, buckets, const uint16_t[::1] below, const real[::1] edges, int steps,
                 code[::1] out):
    """The number of NaNs; by buckets whose width grows with the distance from the centre, (first, last, shift) of its bits."""
    cdef uint64_t first = buckets[0], last = buckets[1]
    cdef int shift = buckets[2]
    cdef Py_ssize_t start, m, nans = 0
    cdef int32_t bucket[BATCH]
    cdef int32_t at[BATCH]
    with nogil:
        start = 0
        while start < y.shape[0]:
            m = min(<Py_ssize_t>BATCH, y.shape[0] - start)
            if real is float:
                float_buckets(&y[start], centre, <uint32_t>first, <uint32_t>last, shift, bucket, m, &nans)
            else:
                float_buckets(&y[start], centre, first, last, shift, bucket, m, &nans)
            step_up(&y[start], bucket, &below[0], &edges[0], steps, at, &out[start], m)
            start += BATCH
    return nans


cdef Py_ssize_t search_batch(const real* y, str search, tuple plan, code* out, Py_ssize_t n) except -1:
    # The number of NaNs among at most BATCH values.
    cdef int32_t[BATCH] bucket, at
    cdef int64_t[BATCH] wide_totals
    cdef Py_ssize_t nans = 0, count = cnp.PyArray_SIZE(plan[len(plan) - 1 if search == "encode_few" else len(plan) - 3])
    cdef int steps, shift
    cdef const uint16_t* below
    cdef const real* edges
    cdef uint64_t first, last
    if search == "encode_few":
        edges = <const real*>cnp.PyArray_DATA(plan[0])
        if real is float:
            compared(y, edges, count, at, out, n, &nans)
        else:
            compared(y, edges, count, wide_totals, out, n, &nans)
        return nans
    below, edges = <const uint16_t*>cnp.PyArray_DATA(plan[len(plan) - 3]), <const real*>cnp.PyArray_DATA(plan[len(plan) - 2])
    steps = plan[len(plan) - 1]
    if search == "encode_even":
        even_buckets(y, <real>plan[0], <real>plan[1], <real>(count - 1), bucket, n, &nans)
    else:
        first, last, shift = plan[1]
        if real is float:
            float_buckets(y, <real>plan[0], <uint32_t>first, <uint32_t>last, shift, bucket, n, &nans)
        else:
            float_buckets(y, <real>plan[0], first, last, shift, bucket, n, &nans)
    step_up(y, bucket, below, edges, steps, at, out, n)
    return nans


def small_encode(y, str search, tuple plan, dtype):
    """The bins of at most BATCH values, none of them NaN, by the plan of fastdl.targets._bin_search."""
    cdef int kind = (<cnp.dtype>dtype).type_num, given
    cdef Py_ssize_t n, nans
    if not cnp.PyArray_CheckExact(y) or kind != cnp.NPY_UINT8 and kind != cnp.NPY_UINT16:
        return None
    given, n = cnp.PyArray_TYPE(y), cnp.PyArray_SIZE(y)
    if n > BATCH or given != cnp.NPY_FLOAT32 and given != cnp.NPY_FLOAT64 or not is_plain(y, given, -1):
        return None
    codes = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), kind, 0)
    if given == cnp.NPY_FLOAT32 and kind == cnp.NPY_UINT8:
        nans = search_batch(<const float*>cnp.PyArray_DATA(y), search, plan, <uint8_t*>cnp.PyArray_DATA(codes), n)
    elif given == cnp.NPY_FLOAT32:
        nans = search_batch(<const float*>cnp.PyArray_DATA(y), search, plan, <uint16_t*>cnp.PyArray_DATA(codes), n)
    elif kind == cnp.NPY_UINT8:
        nans = search_batch(<const double*>cnp.PyArray_DATA(y), search, plan, <uint8_t*>cnp.PyArray_DATA(codes), n)
    else:
        nans = search_batch(<const double*>cnp.PyArray_DATA(y), search, plan, <uint16_t*>cnp.PyArray_DATA(codes), n)
    return None if nans else codes


cdef inline bint take(const code* z, const double* table, Py_ssize_t bins, real* out, Py_ssize_t n) noexcept nogil:
    # Whether all codes are bins.
    cdef Py_ssize_t i
    cdef uint64_t k, largest = 0
    for i in range(n):
        k = <uint64_t>z[i]
        largest = max(largest, k)
        out[i] = <real>table[k if k < <uint64_t>bins else 0]
    return largest < <uint64_t>bins


def small_decode(z, table, Py_ssize_t bins, dtype):
    """The numbers that few codes stand for; None also where one is no bin."""
    cdef int kind = (<cnp.dtype>dtype).type_num, given
    cdef Py_ssize_t n
    cdef const double* values
    cdef bint fits
    if not cnp.PyArray_CheckExact(z) or not is_plain(table, cnp.NPY_FLOAT64, 1) or cnp.PyArray_SIZE(table) != bins:
        return None
    given, n = cnp.PyArray_TYPE(z), cnp.PyArray_SIZE(z)
    if n > SMALL or given != cnp.NPY_UINT8 and given != cnp.NPY_UINT16 or not is_plain(z, given, -1) or bins == 0:
        return None
    found = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(z), cnp.PyArray_DIMS(z), kind, 0)
    values = <const double*>cnp.PyArray_DATA(table)
    if given == cnp.NPY_UINT8 and kind == cnp.NPY_FLOAT32:
        fits = take(<const uint8_t*>cnp.PyArray_DATA(z), values, bins, <float*>cnp.PyArray_DATA(found), n)
    elif given == cnp.NPY_UINT8:
        fits = take(<const uint8_t*>cnp.PyArray_DATA(z), values, bins, <double*>cnp.PyArray_DATA(found), n)
    elif kind == cnp.NPY_FLOAT32:
        fits = take(<const uint16_t*>cnp.PyArray_DATA(z), values, bins, <float*>cnp.PyArray_DATA(found), n)
    else:
        fits = take(<const uint16_t*>cnp.PyArray_DATA(z), values, bins, <double*>cnp.PyArray_DATA(found), n)
    return found if fits else None
