"""Labels to values.  Trusts its caller: no array is empty, labels come as unsigned integers of their size.

Integers of a small range index a table of values.  Other labels, as 64-bit keys or items of a fixed number of bytes, are
found by open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L) and Fibonacci hashing,
in a table that is at most half full, an eighth for few classes.  A label is read once and a value written once.  Bound: by
those bytes where the table is of values, by look-ups in the cache that holds the keys where it is of keys.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

ctypedef fused label:       # integer labels, by size: differences wrap, so that the sign does not matter
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused value:       # what a label becomes, by size
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef Py_ssize_t look_up(const label* y, label low, uint64_t span, const value* table, value missing, value* out,
                        Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, missed = 0
    cdef uint64_t k
    cdef value v
    for i in range(n):
        k = <label>(y[i] - low)
        k = k if k < span else span
        v = table[k]
        out[i] = v
        missed += v == missing
    return missed


cdef inline uint64_t place(uint64_t key, int shift) noexcept nogil:
    return ((key ^ (key >> 32)) * <uint64_t>0x9E3779B97F4A7C15) >> shift


cdef inline uint64_t word(const uint8_t* item) noexcept nogil:
    cdef uint64_t w
    memcpy(&w, item, 8)
    return w


cdef inline uint64_t last_word(const uint8_t* item, Py_ssize_t size) noexcept nogil:
    # The bytes that fill no word: the last eight of the item, or all of a shorter one.  Copies of a size that is known
    # when compiling are single loads; of another size they would be calls.
    cdef uint32_t low, high
    cdef uint64_t w = 0
    cdef Py_ssize_t i
    if size >= 8:
        return word(item + size - 8)
    if size >= 4:
        memcpy(&low, item, 4)
        memcpy(&high, item + size - 4, 4)
        return (<uint64_t>high << 32) | low
    for i in range(size):
        w = (w << 8) | item[i]
    return w


cdef inline uint64_t digest(const uint8_t* item, Py_ssize_t size) noexcept nogil:
    cdef uint64_t h = 0
    cdef Py_ssize_t i
    for i in range(0, size - 7, 8):
        h = (h ^ word(item + i)) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 29
    if size & 7:
        h = (h ^ last_word(item, size)) * <uint64_t>0x9E3779B97F4A7C15
    return h


cdef inline bint equal(const uint8_t* a, const uint8_t* b, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(0, size - 7, 8):
        if word(a + i) != word(b + i):
            return False
    return not size & 7 or last_word(a, size) == last_word(b, size)


def encode_range(const label[::1] y, label low, const value[::1] table, value[::1] out):
    """The number of labels not in the table of those from `low` on, whose last entry stands for them."""
    cdef Py_ssize_t missed, span = table.shape[0] - 1
    with nogil:
        missed = look_up(&y[0], low, span, &table[0], table[span], &out[0], y.shape[0])
    return missed


def hash_keys(const uint64_t[::1] keys, int shift, int32_t[::1] slots):
    """Fill slots, all -1 and 2^(64 - shift) of them, with the places of the keys."""
    cdef Py_ssize_t i, mask = slots.shape[0] - 1
    cdef uint64_t h
    with nogil:
        for i in range(keys.shape[0]):
            h = place(keys[i], shift)
            while slots[h] >= 0:
                h = (h + 1) & mask
            slots[h] = i


def encode_keys(const uint64_t[::1] y, const uint64_t[::1] keys, int shift, const int32_t[::1] slots,
                const value[::1] table, value[::1] out):
    """The number of labels that are no key; the last entry of the table of values stands for them."""
    cdef Py_ssize_t i, missed = 0, mask = slots.shape[0] - 1
    cdef uint64_t h
    cdef int32_t k
    with nogil:
        for i in range(y.shape[0]):
            h = place(y[i], shift)
            k = slots[h]
            while k >= 0 and keys[k] != y[i]:
                h = (h + 1) & mask
                k = slots[h]
            missed += k < 0
            out[i] = table[k if k >= 0 else table.shape[0] - 1]
    return missed


def hash_items(const uint8_t[::1] items, Py_ssize_t size, int shift, int32_t[::1] slots):
    """As hash_keys, of items of `size` bytes each."""
    cdef Py_ssize_t i, mask = slots.shape[0] - 1
    cdef uint64_t h
    with nogil:
        for i in range(items.shape[0] // size):
            h = place(digest(&items[i * size], size), shift)
            while slots[h] >= 0:
                h = (h + 1) & mask
            slots[h] = i


def encode_items(const uint8_t[::1] y, const uint8_t[::1] items, Py_ssize_t size, int shift, const int32_t[::1] slots,
                 const value[::1] table, value[::1] out):
    """As encode_keys, of items of `size` bytes each."""
    cdef Py_ssize_t i, missed = 0, mask = slots.shape[0] - 1
    cdef uint64_t h
    cdef int32_t k
    with nogil:
        for i in range(out.shape[0]):
            h = place(digest(&y[i * size], size), shift)
            k = slots[h]
            while k >= 0 and not equal(&items[k * size], &y[i * size], size):
                h = (h + 1) & mask
                k = slots[h]
            missed += k < 0
            out[i] = table[k if k >= 0 else table.shape[0] - 1]
    return missed
