"""Large clouds to voxels by one radix partition of their keys.  Trusts its caller: equal lengths, room for the largest bucket.

The partitioned hash join of databases (Shatdal, Kant and Naughton, 1994), with voxels in place of join partners.  A table of
millions of voxels misses every cache at every point.  So points are first sent, in input order, to buckets by a hash
of their key; a bucket's table and sums then stay in L2, and each bucket, so each voxel, has one owner: the bits cannot
depend on the threads.  Bound by memory: a point moves its row twice and 24 bytes of key, index and id.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastdl_ext._common cimport real
from fastdl_ext.points cimport BLOCK, NONE, block_keys, fill_geometry, find_or_add, geometry, key, mix, prefetch

cdef extern from *:
    """
    #if defined(__GNUC__)
      #define FASTDL_POPCOUNT(x) __builtin_popcountll(x)
    #else
      static inline int FASTDL_POPCOUNT(unsigned long long x) { int n = 0; while (x) { x &= x - 1; n++; } return n; }
    #endif
    """
    int popcount "FASTDL_POPCOUNT"(uint64_t x) noexcept nogil

cdef enum:
    ROWS_AHEAD = 24         # rows asked for before they are needed: they come from memory


cdef inline Py_ssize_t bucket_of(key k, int bits) noexcept nogil:
    # Other bits than the tables': a bucket's keys must not share those that choose their slots.
    return <Py_ssize_t>((mix(<uint64_t>k) * <uint64_t>0xBF58476D1CE4E5B9) >> (64 - bits))


def count(const real[:, ::1] points, const double[::1] numbers, bint single, int bits, const key[::1] empty,
          int64_t[::1] counts):
    """Points per bucket; the number of points that are not finite.  `empty` tells the keys' type."""
    cdef geometry g
    cdef key keys[BLOCK]
    cdef Py_ssize_t i, j, m, n = points.shape[0], c = points.shape[1], missing = 0
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        for i in range(0, n, 512):
            m = min(<Py_ssize_t>512, n - i)
            block_keys(&points[i, 0], c, &g, keys, m, &missing)
            for j in range(m):
                if keys[j] != empty[0]:
                    counts[bucket_of(keys[j], bits)] += 1
    return missing


def scatter(const real[:, ::1] points, Py_ssize_t start, const double[::1] numbers, bint single, int bits,
            int64_t[::1] places, key[::1] keys_out, uint32_t[::1] index_out):
    """Keys and indices of points, the first of which is number `start`, to their buckets' next places."""
    cdef geometry g
    cdef key keys[BLOCK]
    cdef Py_ssize_t i, j, m, b, place, n = points.shape[0], c = points.shape[1], missing = 0
    with nogil:
        fill_geometry(&g, &numbers[0], single)
        for i in range(0, n, 512):
            m = min(<Py_ssize_t>512, n - i)
            block_keys(&points[i, 0], c, &g, keys, m, &missing)
            for j in range(m):
                if keys[j] != <key>NONE:
                    b = bucket_of(keys[j], bits)
                    place = places[b]
                    places[b] = place + 1
                    keys_out[place] = keys[j]
                    index_out[place] = <uint32_t>(start + i + j)


def assign(const key[::1] keys, buckets, Py_ssize_t first, Py_ssize_t last, uint64_t[::1] table, int most, uint8_t[::1] flags):
    """Ids within each of the buckets first..last, and a flag at the first point of every voxel.

    buckets: a record of arrays, `index` (points in the order of their buckets), `starts` (where each bucket begins), `ids`
    and `sizes` (voxels of each bucket), which are filled. The table has 2^most slots.  The bucket for which that is not
    enough is returned, else `last`.
    """
    cdef const uint32_t[::1] index = buckets.index
    cdef const int64_t[::1] starts = buckets.starts
    cdef int32_t[::1] ids = buckets.ids
    cdef int64_t[::1] sizes = buckets.sizes
    cdef Py_ssize_t b, j, n, done, short = last
    cdef int bits
    cdef int64_t size
    cdef int32_t next
    with nogil:
        for b in range(first, last):
            n = starts[b + 1] - starts[b]
            sizes[b] = 0
            if n == 0:
                continue
            bits = 4
            while bits < most and (<Py_ssize_t>1 << bits) < 2 * n:
                bits += 1
            while True:
                if key is uint32_t:
                    memset(&table[0], 0, <size_t>8 << bits)
                else:
                    memset(&table[0], 0, <size_t>16 << bits)
                size = 0
                done = find_or_add(&keys[starts[b]], &ids[starts[b]], 0, n, &table[0], bits, &size,
                                   <Py_ssize_t>1 << (bits - 1))
                if done == n or bits == most:
                    break
                bits += 1                       # keys that collide
            if done < n:
                short = b
                break
            next = 0
            for j in range(starts[b], starts[b + 1]):
                if ids[j] == next:
                    flags[index[j]] = 1
                    next += 1
            sizes[b] = size
    return short


cdef inline int64_t rank(const uint64_t* words, const int32_t* before, uint32_t i) noexcept nogil:
    # The number of flags below point i.
    return before[i >> 6] + popcount(words[i >> 6] & ((<uint64_t>1 << (i & 63)) - 1))


cdef inline void sum_bucket(const real* p, Py_ssize_t c, const uint32_t* index, const int32_t* ids, double* sums,
                            int64_t* counts, uint32_t* firsts, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef int32_t id, next = 0
    cdef const real* row
    cdef double* total
    for j in range(n):
        if j + ROWS_AHEAD < n:
            prefetch(p + <Py_ssize_t>index[j + ROWS_AHEAD] * c)
        id = ids[j]
        row = p + <Py_ssize_t>index[j] * c
        total = sums + id * c
        if id == next:
            firsts[id] = index[j]
            counts[id] = 0
            next += 1
            for k in range(c):
                total[k] = 0
        counts[id] += 1
        for k in range(c):
            total[k] += row[k]


def sum_rows(const real[:, ::1] points, buckets, Py_ssize_t first, Py_ssize_t last, bint mean, room, real[:, ::1] out):
    """Sums or means of the voxels of buckets first..last, each at its rank.

    buckets: as in `assign`, with `words` (a bit for each point, set where it is the first of its voxel) and `before` (bits
    set below each word); room: (sums, counts, first points), arrays as long as the largest bucket has voxels.
    """
    cdef const uint32_t[::1] index = buckets.index
    cdef const int32_t[::1] ids = buckets.ids, before = buckets.before
    cdef const int64_t[::1] starts = buckets.starts, sizes = buckets.sizes
    cdef const uint64_t[::1] words = buckets.words
    cdef double[:, ::1] sums = room[0]
    cdef int64_t[::1] counts = room[1]
    cdef uint32_t[::1] firsts = room[2]
    cdef Py_ssize_t b, v, k, n, s, c = points.shape[1]
    cdef double by
    cdef real* row
    with nogil:
        for b in range(first, last):
            s, n = starts[b], starts[b + 1] - starts[b]
            if n == 0:
                continue
            if c == 3:
                sum_bucket(&points[0, 0], 3, &index[s], &ids[s], &sums[0, 0], &counts[0], &firsts[0], n)
            elif c == 4:
                sum_bucket(&points[0, 0], 4, &index[s], &ids[s], &sums[0, 0], &counts[0], &firsts[0], n)
            else:
                sum_bucket(&points[0, 0], c, &index[s], &ids[s], &sums[0, 0], &counts[0], &firsts[0], n)
            for v in range(sizes[b]):
                row = &out[rank(&words[0], &before[0], firsts[v]), 0]
                by = counts[v] if mean else 1
                for k in range(c):
                    row[k] = <real>(sums[v, k] / by)


def number(buckets, Py_ssize_t first, Py_ssize_t last, int32_t[::1] ranks, int32_t[::1] out):
    """Ids of the points of buckets first..last by order of first appearance in the whole cloud; `ranks` is room."""
    cdef const uint32_t[::1] index = buckets.index
    cdef const int32_t[::1] ids = buckets.ids, before = buckets.before
    cdef const int64_t[::1] starts = buckets.starts
    cdef const uint64_t[::1] words = buckets.words
    cdef Py_ssize_t b, j
    cdef int32_t next
    with nogil:
        for b in range(first, last):
            next = 0
            for j in range(starts[b], starts[b + 1]):
                if ids[j] == next:
                    ranks[next] = <int32_t>rank(&words[0], &before[0], index[j])
                    next += 1
                out[index[j]] = ranks[ids[j]]
