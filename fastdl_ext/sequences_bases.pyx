"""Bases to the other strand, and to k-mer numbers.  Trusts its caller: sizes fit, tables are of full size."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fastdl_ext._common cimport cloned

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


def reverse_complement(const uint8_t[::1] x, uint8_t t, uint8_t[::1] out):
    with nogil:
        complement_reversed(&x[0], t, &out[0], x.shape[0])


def turn_4(const uint8_t[::1] x, uint8_t[::1] out):
    with nogil:
        turn_rows_of_4(<const u32*>&x[0], <u32*>&out[0], x.shape[0] // 4)


def kmer_index(const uint8_t[::1] x, const uint8_t[::1] code, int k, bint canonical, index[::1] out):
    with nogil:
        if canonical:           # known to the compiler, which then writes two loops
            numbers_of_kmers(&x[0], &code[0], k, True, &out[0], out.shape[0])
        else:
            numbers_of_kmers(&x[0], &code[0], k, False, &out[0], out.shape[0])
