"""Bases to the other strand, to k-mer numbers and counts, and to minimizers.  Trusts its caller: sizes fit.

Algorithms: complements by compares and masks, which are vectors; k-mer numbers by the rolling update
``number = number << 2 | base`` (both strands at once for canonical ones); minimizers (Roberts et al., Bioinformatics 20,
2004) by a queue of rising keys, which gives the least of each window in constant time a k-mer.
Bound: reverse complements by memory (1 byte read, 1 written); k-mer numbers by the chain of two dependent operations a
base, some 1 G bases/s, canonical ones some 0.6; counts by random access to a table of 8 * 4^k bytes.
Measured on a Zen 5 core in blocks of 256 k bases: reverse complement 0.10 ns a base (21 GB/s of a copy's 47), 12-mers 0.93 ns,
canonical ones 1.37 ns, counts of 8-mers 0.85 ns.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from fastdl_ext._arrays cimport SMALL, is_plain, new_vector
from fastdl_ext._common cimport cloned

cnp.import_array()

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_1BYTE_DATA(object text)
    object PyUnicode_New(Py_ssize_t size, uint32_t most)

cdef enum:
    PRINTED = 32            # the first letter of ASCII: smaller numbers are classes or tokens, not letters

cdef extern from *:
    """
    typedef uint32_t __attribute__((aligned(1), may_alias)) fastdl_u32;     /* at any address */
    """
    ctypedef uint32_t u32 "fastdl_u32"

ctypedef fused index:
    int32_t
    int64_t


cdef inline uint8_t if_equal(uint8_t u, uint8_t letter, uint8_t bits) noexcept nogil:
    return bits & <uint8_t>-<uint8_t>(u == letter)


cdef cloned complement_reversed(const uint8_t* x, uint8_t t, uint8_t* out, Py_ssize_t n) noexcept nogil:
    # A letter and its complement differ by some bits, the same in both cases: compares and masks are vectors, a table is
    # not.  Of T and U, t is the one that A becomes; both become A.
    cdef Py_ssize_t i
    cdef uint8_t c, u, flip
    for i in range(n):
        c = x[n - 1 - i]
        u = c & 0xDF
        flip = if_equal(u, 65, 65 ^ t) | if_equal(u, 84, 0x15) | if_equal(u, 85, 0x14)      # A T U
        flip |= if_equal(u, 67, 0x04) | if_equal(u, 71, 0x04)                               # C G
        flip |= if_equal(u, 82, 0x0B) | if_equal(u, 89, 0x0B)                               # R Y
        flip |= if_equal(u, 75, 0x06) | if_equal(u, 77, 0x06)                               # K M
        flip |= if_equal(u, 66, 0x14) | if_equal(u, 86, 0x14)                               # B V
        flip |= if_equal(u, 68, 0x0C) | if_equal(u, 72, 0x0C)                               # D H
        out[i] = c ^ flip


cdef cloned turn_rows_of_4(const u32* x, u32* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t v
    for i in range(n):
        v = x[n - 1 - i]
        out[i] = v >> 24 | ((v >> 8) & 0xFF00) | ((v & 0xFF00) << 8) | v << 24


cdef inline void numbers_of_kmers(const uint8_t* x, const uint8_t* code, int k, bint canonical, index* out,
                                  Py_ssize_t n) noexcept nogil:
    # x holds n + k - 1 bases.  The number is not masked as it rolls: old digits leave at the top.
    cdef Py_ssize_t i
    cdef int top = 2 * (k - 1)
    cdef uint64_t mask = (<uint64_t>1 << 2 * k) - 1, forward = 0, backward = 0, c, best
    cdef int64_t known = 0                  # of the bases just read, up to k
    for i in range(k - 1):
        c = code[x[i]]
        known = (known + 1) & -<int64_t>(c < 4)
        forward = forward << 2 | (c & 3)
        backward = backward >> 2 | (3 - (c & 3)) << top
    for i in range(n):
        c = code[x[i + k - 1]]
        known = (known + 1) & -<int64_t>(c < 4)
        forward = forward << 2 | (c & 3)
        best = forward & mask
        if canonical:
            backward = backward >> 2 | (3 - (c & 3)) << top
            best = min(best, backward)
        out[i] = <index>(<int64_t>best | -<int64_t>(known < k))


cdef inline void counts_of_kmers(const uint8_t* x, const uint8_t* code, int k, bint canonical, int64_t* counts,
                                 Py_ssize_t n) noexcept nogil:
    # As numbers_of_kmers, each number counted instead of written; k <= 15.
    cdef Py_ssize_t i
    cdef int top = 2 * (k - 1)
    cdef uint64_t mask = (<uint64_t>1 << 2 * k) - 1, forward = 0, backward = 0, c, best
    cdef int64_t known = 0
    for i in range(n + k - 1):
        c = code[x[i]]
        known = known + 1 if c < 4 else 0
        forward = forward << 2 | (c & 3)
        if canonical:
            backward = backward >> 2 | (3 - (c & 3)) << top
        if known >= k:
            best = forward & mask
            if canonical:
                best = min(best, backward)
            counts[best] += 1


cdef inline uint64_t mix(uint64_t key, uint64_t mask) noexcept nogil:
    # Thomas Wang's invertible hash of 2k bits, as minimap2 orders k-mers (hash64 in its sketch.c).
    key = (~key + (key << 21)) & mask
    key = key ^ key >> 24
    key = (key + (key << 3) + (key << 8)) & mask
    key = key ^ key >> 14
    key = (key + (key << 2) + (key << 4)) & mask
    key = key ^ key >> 28
    return (key + (key << 31)) & mask


cdef Py_ssize_t least_of_windows(const index* numbers, Py_ssize_t n, Py_ssize_t w, bint hashed, uint64_t mask,
                                 uint64_t* keys, int64_t* queue, int64_t* out) noexcept nogil:
    # The queue holds places of rising keys: its head is the least of the last w k-mers, the first of equals.  A k-mer
    # with an unknown base (-1) ends what came before: no window spans it.
    cdef Py_ssize_t i, head = 0, tail = 0, run = 0, count = 0, slot
    cdef uint64_t key
    cdef int64_t last = -1
    for i in range(n):
        if numbers[i] < 0:
            head = tail = run = 0
            continue
        key = mix(<uint64_t>numbers[i], mask) if hashed else <uint64_t>numbers[i]
        if tail > head and queue[head % w] <= i - w:
            head += 1
        while tail > head and keys[(tail - 1) % w] > key:
            tail -= 1
        slot = tail % w
        keys[slot], queue[slot] = key, i
        tail, run = tail + 1, run + 1
        if run >= w and queue[head % w] != last:
            last = queue[head % w]
            out[count] = last
            count += 1
    return count


def complement_letters(const uint8_t[::1] x, uint8_t t, uint8_t[::1] out):
    """The other strand of n letters; t is what A becomes, T or U."""
    with nogil:
        complement_reversed(&x[0], t, &out[0], x.shape[0])


def small_complement(seq, uint8_t t):
    """The other strand of a short sequence in its own type: a str, bytes, or a vector of uint8 or S1."""
    cdef const uint8_t* x
    cdef Py_ssize_t n
    if type(seq) is str and PyUnicode_IS_COMPACT_ASCII(seq):
        n, x = len(seq), <const uint8_t*>PyUnicode_1BYTE_DATA(seq)
    elif type(seq) is bytes:
        n, x = len(seq), <const uint8_t*><char*>seq
    elif is_plain(seq, cnp.NPY_UINT8, 1) or is_plain(seq, cnp.NPY_STRING, 1) and cnp.PyArray_ITEMSIZE(seq) == 1:
        n, x = cnp.PyArray_SIZE(seq), <const uint8_t*>cnp.PyArray_DATA(seq)
        if cnp.PyArray_TYPE(seq) == cnp.NPY_UINT8 and n > 1 and x[0] < PRINTED:
            return None
    else:
        return None
    if n == 0 or n > SMALL:
        return None
    if type(seq) is str:
        found = PyUnicode_New(n, 127)
        complement_reversed(x, t, <uint8_t*>PyUnicode_1BYTE_DATA(found), n)
    elif type(seq) is bytes:
        found = PyBytes_FromStringAndSize(NULL, n)
        complement_reversed(x, t, <uint8_t*>PyBytes_AS_STRING(found), n)
    else:
        found = new_vector(n, <cnp.dtype>cnp.PyArray_DESCR(seq))
        complement_reversed(x, t, <uint8_t*>cnp.PyArray_DATA(found), n)
    return found


def complement_rows_of_4(const uint8_t[::1] x, uint8_t[::1] out):
    """The other strand of rows of four bytes in the order A, C, G, T: both axes reversed."""
    with nogil:
        turn_rows_of_4(<const u32*>&x[0], <u32*>&out[0], x.shape[0] // 4)


def number_kmers(const uint8_t[::1] x, const uint8_t[::1] code, int k, bint canonical, index[::1] out):
    """The number of each k-mer of n + k - 1 letters; code: 0 to 3 for a base, 4 for what is none."""
    with nogil:
        if canonical:           # known to the compiler, which then writes two loops
            numbers_of_kmers(&x[0], &code[0], k, True, &out[0], out.shape[0])
        else:
            numbers_of_kmers(&x[0], &code[0], k, False, &out[0], out.shape[0])


def count_kmers(const uint8_t[::1] x, const uint8_t[::1] code, int k, bint canonical, int64_t[::1] counts):
    """Add the k-mers of n + k - 1 letters to counts (4^k,)."""
    with nogil:
        if canonical:
            counts_of_kmers(&x[0], &code[0], k, True, &counts[0], x.shape[0] - k + 1)
        else:
            counts_of_kmers(&x[0], &code[0], k, False, &counts[0], x.shape[0] - k + 1)


def minimizers(const index[::1] numbers, int k, uint64_t[::1] keys, int64_t[::1] queue, bint hashed, int64_t[::1] out):
    """The number of minimizers of n k-mers, whose places are put in out (n,); keys and queue hold a window of them."""
    cdef uint64_t mask = (<uint64_t>1 << 2 * k) - 1
    cdef Py_ssize_t count
    with nogil:
        count = least_of_windows(&numbers[0], numbers.shape[0], queue.shape[0], hashed, mask, &keys[0], &queue[0], &out[0])
    return count
