"""Draws of neighbours, and the numbers that the nodes drawn get in a sample.

Draws: subsets by Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", Communications of the ACM 30, 1987) and random
walks. Every draw is a hash (the finaliser of SplitMix64; Steele, Lea and Flood, 2014) of its key and number, so that it depends
on the seed and the node alone and not on who draws first. Bound by memory: a node costs two accesses of indptr, which lie
anywhere, and some 5 ns a neighbour. A subset of more than 64 is marked in a table of the node's degree, a smaller one is
searched and kept in order by insertion.

Numbers: a hash table with linear probing, at most half full, holds the place of every node in the list of nodes (4 bytes). A node
costs one access of the table, which lies anywhere and is prefetched, and one of the list.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    static inline uint64_t fastdl_mix(uint64_t x) {
        x += 0x9E3779B97F4A7C15u;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
        return x ^ (x >> 31);
    }
    /* The high half of a product, in halves of 32 bits: for compilers without integers of 128. */
    static inline uint64_t fastdl_high(uint64_t a, uint64_t b) {
        const uint64_t al = a & 0xFFFFFFFFu, ah = a >> 32, bl = b & 0xFFFFFFFFu, bh = b >> 32;
        const uint64_t middle = ah * bl + ((al * bl) >> 32), other = al * bh + (middle & 0xFFFFFFFFu);
        return ah * bh + (middle >> 32) + (other >> 32);
    }
    /* Draw i of a key: a number 0..n-1, by a multiplication instead of a division (Lemire, "Fast random integer generation in
       an interval", 2019); its bias is below n / 2^64. */
    static inline int64_t fastdl_below(uint64_t key, uint64_t i, uint64_t n) {
        return (int64_t)fastdl_high(fastdl_mix(key + i * 0x9E3779B97F4A7C15u), n);
    }
    #if defined(__GNUC__)
      #define FASTDL_FETCH_SLOT(p) __builtin_prefetch(p)
    #else
      #define FASTDL_FETCH_SLOT(p)
    #endif
    """
    void prefetch_slot "FASTDL_FETCH_SLOT"(const void* p) noexcept nogil
    uint64_t fastdl_mix(uint64_t x) noexcept nogil
    int64_t fastdl_below(uint64_t key, uint64_t i, uint64_t n) noexcept nogil

ctypedef fused index:
    int32_t
    int64_t

cdef enum:
    FEW = 64            # places that are kept in order by insertion
    AHEAD = 16          # nodes whose slots are prefetched: 16 accesses of the memory at once


cdef void few_places(uint64_t key, int64_t degree, int64_t count, int64_t start, int64_t* to) noexcept nogil:
    cdef int64_t i, j, t, at, k
    for i in range(count):
        j = degree - count + i
        t = start + fastdl_below(key, i, j + 1)
        j += start
        at = i
        while at > 0 and to[at - 1] > t:
            at -= 1
        if at > 0 and to[at - 1] == t:
            t = j                       # larger than all that were taken
            at = i
        for k in range(i, at, -1):
            to[k] = to[k - 1]
        to[at] = t


cdef bint many_places(uint64_t key, int64_t degree, int64_t count, int64_t start, int64_t* to) noexcept nogil:
    cdef int64_t i, j, t, at = 0
    cdef char* taken = <char*>calloc(degree, 1)
    if taken == NULL:
        return False
    for i in range(count):
        j = degree - count + i
        t = fastdl_below(key, i, j + 1)
        taken[j if taken[t] else t] = 1
    for j in range(degree):
        if taken[j]:
            to[at] = start + j
            at += 1
    free(taken)
    return True


def draw_edges(const int64_t[::1] indptr, const int64_t[::1] nodes, const int64_t[::1] ends, int64_t[::1] numbers, *,
               uint64_t seed, bint replace):
    """The numbers of edges into every node: numbers[ends[k]:ends[k + 1]] for the k-th; all of them where that is its degree."""
    cdef Py_ssize_t k, i
    cdef int64_t start, degree, count
    cdef int64_t* to
    cdef uint64_t key, mixed = fastdl_mix(seed)
    cdef bint enough = True
    with nogil:
        for k in range(nodes.shape[0]):
            start = indptr[nodes[k]]
            degree = indptr[nodes[k] + 1] - start
            count = ends[k + 1] - ends[k]
            if count == 0:
                continue
            to = &numbers[ends[k]]
            key = fastdl_mix(mixed ^ <uint64_t>nodes[k])
            if replace:
                for i in range(count):
                    to[i] = start + fastdl_below(key, i, degree)
            elif count == degree:
                for i in range(count):
                    to[i] = start + i
            elif count <= FEW:
                few_places(key, degree, count, start, to)
            elif not many_places(key, degree, count, start, to):
                enough = False
                break
    if not enough:
        raise MemoryError


def walk(const int64_t[::1] indptr, const index[::1] indices, int64_t[:, ::1] walks, *, uint64_t seed, uint64_t first):
    """Every row of walks from its first node on: each step to a neighbour of the node's row; walk k has the key first + k."""
    cdef Py_ssize_t k, i
    cdef int64_t node, start, degree
    cdef uint64_t key, mixed = fastdl_mix(seed)
    with nogil:
        for k in range(walks.shape[0]):
            key = fastdl_mix(mixed ^ (first + <uint64_t>k))
            node = walks[k, 0]
            for i in range(walks.shape[1] - 1):
                start = indptr[node]
                degree = indptr[node + 1] - start
                if degree:
                    node = indices[start + fastdl_below(key, i, degree)]
                walks[k, i + 1] = node


def relabel_nodes(const index[::1] nodes, int64_t[::1] ids, int64_t[::1] places, *, Py_ssize_t known) -> int:
    """Give every node its place in ids, whose first `known` are there; new nodes are appended as they come. Returns their number.

    ids has room for known + len(nodes) ids, fewer than 2^31.
    """
    cdef Py_ssize_t i, ahead, n = nodes.shape[0], count = 0, bits = 4
    cdef uint64_t slot, mask
    cdef int64_t node
    cdef int32_t place
    cdef int32_t* table
    while (<Py_ssize_t>1 << bits) < 2 * (known + n):
        bits += 1
    mask = (<uint64_t>1 << bits) - 1
    table = <int32_t*>calloc(<size_t>1 << bits, sizeof(int32_t))              # the place + 1; 0 is empty
    if table == NULL:
        raise MemoryError
    with nogil:
        for i in range(-known, n):                                            # what is known first, then the others
            ahead = i + AHEAD
            if ahead < 0:
                prefetch_slot(&table[fastdl_mix(<uint64_t>ids[known + ahead]) & mask])
            elif ahead < n:
                prefetch_slot(&table[fastdl_mix(<uint64_t>nodes[ahead]) & mask])
            node = ids[known + i] if i < 0 else nodes[i]
            slot = fastdl_mix(<uint64_t>node) & mask
            place = table[slot]
            while place and ids[place - 1] != node:
                slot = (slot + 1) & mask
                place = table[slot]
            if place == 0:
                ids[count] = node
                count += 1
                place = <int32_t>count
                table[slot] = place
            if i >= 0:
                places[i] = place - 1
    free(table)
    return count
