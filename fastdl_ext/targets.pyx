"""Labels to values.  Trusts its caller: no array is empty, labels come as unsigned integers of their size.

Integers of a small range index a table of values.  Other labels, as 64-bit keys or items of a fixed number of bytes, are
found by open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L) and Fibonacci hashing,
in a table that is at most half full, an eighth for few classes.  A label is read once and a value written once.  Bound: by
those bytes where the table is of values, by look-ups in the cache that holds the keys where it is of keys.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cimport numpy as cnp
from fastdl_ext._arrays cimport SMALL, is_plain

cnp.import_array()

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


cdef enum:
    BATCH = 64                  # labels whose hashes are made together


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
    # A polynomial of the words, modulo 2^64: its upper bits depend on all of them (Dietzfelbinger, "Universal hashing and
    # k-wise independent random variables via integer arithmetic without primes", 1996), and no product waits for another word's.
    cdef uint64_t h = 0, power = 0x9E3779B97F4A7C15
    cdef Py_ssize_t i
    for i in range(0, size - 7, 8):
        h += word(item + i) * power
        power *= <uint64_t>0xD1342543DE82EF95
    if size & 7:
        h += last_word(item, size) * power
    return h


cdef inline bint equal(const uint8_t* a, const uint8_t* b, Py_ssize_t size) noexcept nogil:
    # Without a branch for each word: what hashes alike is nearly always equal.
    cdef uint64_t different = 0
    cdef Py_ssize_t i
    for i in range(0, size - 7, 8):
        different |= word(a + i) ^ word(b + i)
    if size & 7:
        different |= last_word(a, size) ^ last_word(b, size)
    return different == 0


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
    cdef Py_ssize_t i, j, m, missed = 0, mask = slots.shape[0] - 1
    cdef uint64_t h
    cdef uint64_t[BATCH] first          # where the search for each begins: many loads wait at once, none for a wrong guess
    cdef int32_t k
    with nogil:
        i = 0
        while i < out.shape[0]:
            m = min(<Py_ssize_t>BATCH, out.shape[0] - i)
            for j in range(m):
                first[j] = place(digest(&y[(i + j) * size], size), shift)
            for j in range(m):
                h = first[j]
                k = slots[h]
                while k >= 0 and not equal(&items[k * size], &y[(i + j) * size], size):
                    h = (h + 1) & mask
                    k = slots[h]
                missed += k < 0
                out[i + j] = table[k if k >= 0 else table.shape[0] - 1]
            i += BATCH
    return missed


cdef object room_for_few(object y, object table):
    # An array for the values of few labels, which are in an array of their own as kernels read it; or None.
    if not cnp.PyArray_CheckExact(y) or not cnp.PyArray_ISCARRAY_RO(y) or cnp.PyArray_SIZE(y) > SMALL:
        return None
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), cnp.PyArray_TYPE(table), 0)


cdef inline void put(void* out, const void* table, Py_ssize_t size, Py_ssize_t i, uint64_t k) noexcept nogil:
    # A value of `size` bytes.
    if size == 8:
        (<uint64_t*>out)[i] = (<const uint64_t*>table)[k]
    elif size == 4:
        (<uint32_t*>out)[i] = (<const uint32_t*>table)[k]
    elif size == 2:
        (<uint16_t*>out)[i] = (<const uint16_t*>table)[k]
    else:
        (<uint8_t*>out)[i] = (<const uint8_t*>table)[k]


def small_encode_range(y, int64_t low, table):
    """The values of few labels, int64 or int32, as encode_range; None also where one has the value of none."""
    cdef Py_ssize_t i, n, size
    cdef uint64_t k, span
    cdef const uint8_t* values = <const uint8_t*>cnp.PyArray_DATA(table)
    cdef bint wide = is_plain(y, cnp.NPY_INT64, -1)
    if not wide and not is_plain(y, cnp.NPY_INT32, -1):
        return None
    found = room_for_few(y, table)
    if found is None:
        return None
    n, size, span = cnp.PyArray_SIZE(y), cnp.PyArray_ITEMSIZE(table), cnp.PyArray_SIZE(table) - 1
    for i in range(n):
        k = (<const int64_t*>cnp.PyArray_DATA(y))[i] if wide else <int64_t>(<const int32_t*>cnp.PyArray_DATA(y))[i]
        k -= <uint64_t>low
        if k >= span or not memcmp(values + k * size, values + span * size, size):
            return None
        put(cnp.PyArray_DATA(found), cnp.PyArray_DATA(table), size, i, k)
    return found


def small_encode_keys(y, keys, int shift, slots, table):
    """The values of few labels, float64 or int64, as encode_keys; None also where one is no key."""
    cdef Py_ssize_t i, n, size, mask
    cdef uint64_t h, key
    cdef double number
    cdef int32_t k
    cdef const int32_t* places
    cdef bint floats = is_plain(y, cnp.NPY_FLOAT64, -1)
    if not floats and not is_plain(y, cnp.NPY_INT64, -1):
        return None
    found = room_for_few(y, table)
    if found is None:
        return None
    places, mask = <const int32_t*>cnp.PyArray_DATA(slots), cnp.PyArray_SIZE(slots) - 1
    n, size = cnp.PyArray_SIZE(y), cnp.PyArray_ITEMSIZE(table)
    for i in range(n):
        key = (<const uint64_t*>cnp.PyArray_DATA(y))[i]
        if floats:
            number = (<const double*>cnp.PyArray_DATA(y))[i] + 0.0        # -0 becomes 0
            memcpy(&key, &number, 8)
        h = place(key, shift)
        k = places[h]
        while k >= 0 and (<const uint64_t*>cnp.PyArray_DATA(keys))[k] != key:
            h = (h + 1) & mask
            k = places[h]
        if k < 0:
            return None
        put(cnp.PyArray_DATA(found), cnp.PyArray_DATA(table), size, i, k)
    return found
