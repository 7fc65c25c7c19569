"""LZF decompression, as in the data of PCD files.  Trusts its caller only for the sizes of the two arrays: the bytes come from
a file and may be anything.

The format of Marc Lehmann's liblzf (lzf_d.c), a byte-aligned LZ77: a control byte below 32 is followed by that many literals and
one; else its upper 3 bits (7: and the next byte) are a length less 2, its lower 5 and the next byte a distance less 1.
Bound by operations: each run costs a guess whether it is of literals, and a short memcpy.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy


cdef Py_ssize_t expand(const uint8_t* source, Py_ssize_t n, uint8_t* target, Py_ssize_t size) noexcept nogil:
    # Every read and write is compared with what is left before it is made, in differences that cannot overflow.
    cdef Py_ssize_t i = 0, j = 0, k, start, length, distance
    while i < n:
        start = i
        length = source[i]
        i += 1
        if length < 32:
            length += 1
            if length > n - i or length > size - j:
                return start
            memcpy(target + j, source + i, length)
            i += length
        else:
            distance = (length & 31) << 8
            length = (length >> 5) + 2
            if length == 9:
                if i == n:
                    return start
                length += source[i]
                i += 1
            if i == n:
                return start
            distance += source[i] + 1
            i += 1
            if distance > j or length > size - j:
                return start
            if distance >= length:
                memcpy(target + j, target + j - distance, length)
            else:                       # the copy reads what it has just written
                for k in range(j, j + length):
                    target[k] = target[k - distance]
        j += length
    return -1 if j == size else n


def decompress(const uint8_t[::1] source, uint8_t[::1] target):
    """-1, or the offset in `source` where it went wrong."""
    cdef Py_ssize_t place
    with nogil:
        place = expand(&source[0], source.shape[0], &target[0], target.shape[0])
    return place
